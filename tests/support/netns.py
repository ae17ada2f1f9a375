"""Machines without machines: network namespaces that meet only in a program, which is the network between them.

    with Net({"auth": ["proxy"], "proxy": ["agent"]}) as net:      # who reaches whom; nobody else does
        server.wrapper = net.wrapper("auth")                         # a process there
        with net.inside("proxy"):                                    # this thread, and what it starts
            ...
        net.fault("proxy", "agent", loss=0.3)
        net.heal()

Each namespace has one TUN device, whose other end `tests.support.netns_router` holds: it passes packets between those
that are joined and does to them what a test wants. The namespaces have no names and belong to processes that end with
their input, so nothing is left behind whatever becomes of a test. Needs root and `ip` (iproute2).
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from tests.support import bare_home, programs
from tests.support.processes import wait_for
from tests.support.root import need_root

NETWORK = "10.91.7"
"""First three numbers of every address. They mean nothing outside of the namespaces."""
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


class Net:
    """Namespaces, and the network between them. A context manager."""

    def __init__(self, joined: Mapping[str, Sequence[str]]) -> None:
        """`joined` names, for a machine, others that it and they can reach."""
        need_root()
        programs.need("ip")
        self.pairs = {frozenset((one, other)) for one, others in joined.items() for other in others}
        self.names = sorted({name for pair in self.pairs for name in pair})
        self._stack = contextlib.ExitStack()
        self._machines: dict[str, subprocess.Popen[bytes]] = {}
        self._router: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            for name in self.names:
                self._machines[name] = stack.enter_context(_kept(["unshare", "--net", "cat"]))
            for machine in self._machines.values():
                wait_for("a network namespace", lambda pid=machine.pid: _namespace(pid) != _namespace(os.getpid()))
            argv = [sys.executable, str(Path(__file__).with_name("netns_router.py")), NETWORK]
            self._router = stack.enter_context(_kept(["unshare", "--net", *argv]))
            self._tell({"machines": {name: machine.pid for name, machine in self._machines.items()}})
            for name in self.names:
                self._up(name)
            self.heal()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def address(self, name: str) -> str:
        """Return the address of a machine."""
        return f"{NETWORK}.{self.names.index(name) + 1}"

    def wrapper(self, name: str) -> list[str]:
        """Return what to put in front of a command that runs on a machine. It keeps the process id."""
        return ["nsenter", f"--net={_net(self._machines[name].pid)}", *bare_home.wrapper()]

    @contextlib.contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Let this thread, and whatever it starts, be on a machine for the time of a block."""
        with open("/proc/thread-self/ns/net") as own, open(_net(self._machines[name].pid)) as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(own.fileno())

    # -- faults

    def fault(
        self, one: str, other: str, *, loss: float = 0.0, delay: float = 0.0, reset: bool = False, forget: bool = False
    ) -> None:
        """Do something to what goes between two machines from now on, instead of what was done before.

        `loss`: the part of packets that are dropped, in both directions (1.0: all of them, without a word);
        `delay` in seconds, each way; `reset`: connections are reset as soon as one side says something;
        `forget`: packets of connections that are there are dropped, those of new ones pass, as at a box in between
        that has forgotten its table.
        """
        self._tell({"pair": [one, other], "loss": loss, "delay": delay, "reset": reset, "forget": forget})

    def heal(self) -> None:
        """End every fault of what goes between machines."""
        for pair in self.pairs:
            self.fault(*sorted(pair))

    def cut(self, name: str) -> None:
        """Pull the cable of a machine: it has no network, and sees that."""
        subprocess.run([*self.wrapper(name), "ip", "link", "set", "net0", "down"], check=True)

    def plug(self, name: str) -> None:
        """Put the cable back."""
        subprocess.run([*self.wrapper(name), "ip", "link", "set", "net0", "up"], check=True)

    # -- inside

    def _up(self, name: str) -> None:
        lines = ["ip link set lo up", f"ip addr add {self.address(name)}/24 dev net0", "ip link set net0 up"]
        subprocess.run([*self.wrapper(name), "sh", "-ce", "\n".join(lines)], check=True, capture_output=True)

    def _tell(self, words: object) -> None:
        router = self._router
        assert router is not None
        assert router.stdin is not None
        assert router.stdout is not None
        router.stdin.write(json.dumps(words).encode() + b"\n")
        router.stdin.flush()
        assert router.stdout.readline() == b"done\n", "the network between the namespaces has ended"


@contextlib.contextmanager
def _kept(argv: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Keep a process that ends with its input."""
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def _net(pid: int) -> str:
    return f"/proc/{pid}/ns/net"


def _namespace(pid: int) -> str:
    return os.readlink(_net(pid))


def _enter(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
