"""Tunnels against OpenSSH: bytes, latency, new connections, computing, and what 5,000 idle ones hold.

The way is the same for both: a client connects to a port of the public side, which hands the connection through one
encrypted connection to the inner side, which connects to the backend. Ours: a relay into a stream of `net.tunnel`
over TLS 1.3, and a relay out of it. OpenSSH: `ssh -R` from inside to sshd; and `ssh -W` through sshd, where the client
is the stdin and stdout of ssh. Public side and inner side have a core each, and everything is measured in turn.

`python -m bench.tunnel` prints the rows, `--profile` where our time goes instead, `--idle` only the idle tunnels.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import cProfile
import os
import pstats
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.edge import make_certificates
from bench.walk import openssh, proportional
from teleport.base import tasks
from teleport.base.errors import TeleportError
from teleport.net import tls
from teleport.net.network import SystemNetwork
from teleport.net.relay import Relay
from teleport.net.stream import Stream
from teleport.net.tunnel import Call, Tunnel
from tests.support.cluster import free_ports
from tests.support.processes import tree, wait_for

ROUNDS = 5
BYTES = 128 << 20
CHUNK = 256 << 10
MESSAGES = 500
CONNECTIONS = 200
IDLE = 5000
TICKS = os.sysconf("SC_CLK_TCK")
HERE = "127.0.0.1"
_NOTHING = bytes(CHUNK)
Row = tuple[str, str]
Connect = Callable[[], socket.socket]


# -- the processes


def backend(folder: Path, port: int) -> None:
    """Answer `get N` with N bytes, `put N` with one byte after N bytes, and everything after `echo` with itself."""

    def serve(sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            line = b""
            while not line.endswith(b"\n"):
                line += sock.recv(1)
            verb, _, count = line.decode().strip().partition(" ")
            left = int(count or 0)
            while verb == "get" and left > 0:
                left -= sock.send(_NOTHING[:left])
            while verb == "put" and left > 0:
                left -= len(sock.recv(CHUNK)) or left
            sock.sendall(b".")
            while verb == "echo" and (data := sock.recv(CHUNK)):
                sock.sendall(data)

    with socket.create_server((HERE, port), backlog=1024) as listener:
        while True:
            sock, _ = listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=serve, args=[sock], daemon=True).start()


def _server_context(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "ca.crt"))
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0
    return context


def _client_context(folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    context.load_cert_chain(folder / "client.crt", folder / "client.key")
    return context


async def public(folder: Path, port: int, tunnels: int) -> None:
    """Serve clients at `port` through the newest of the tunnels that were made to the other port."""
    context, network, open_tunnels = _server_context(folder), SystemNetwork(), list[Tunnel]()

    async def tunnel(stream: Stream) -> None:
        open_tunnels.append(Tunnel(await tls.server_handshake(stream, context, timeout=60)))
        await open_tunnels[-1].closed()

    async def client(stream: Stream) -> None:
        with contextlib.suppress(TeleportError):
            await Relay(stream, await open_tunnels[-1].dial(b"")).run()

    await network.listen(f"{HERE}:{tunnels}", tunnel)
    await (await network.listen(f"{HERE}:{port}", client)).serve_forever()


async def inner(folder: Path, port: int, target: int, count: int = 1) -> None:
    """Make tunnels to a public side and connect what is called there with the backend."""
    context, network = _client_context(folder), SystemNetwork()
    gate, running = asyncio.Semaphore(16), set[asyncio.Task[None]]()

    async def serve(call: Call) -> None:
        with contextlib.suppress(TeleportError):
            sock = await network.dial(f"{HERE}:{target}")
            await Relay(await call.answer(), sock).run()

    async def one() -> None:
        async with gate:
            carrier = await tls.client_handshake(
                await network.dial(f"{HERE}:{port}"), context, timeout=60, server_name=HERE
            )
            tunnel = Tunnel(carrier)
            await tunnel.ping(timeout=60)
        if target == port:  # idle: nobody waits for calls
            await tunnel.closed()
        async for call in tunnel.accept():
            running.add(task := tasks.spawn(serve(call), name="call", on_error=print))
            task.add_done_callback(running.discard)

    await asyncio.gather(*(one() for _ in range(count)))


def be(argv: list[str]) -> None:
    """Be one of the measured processes."""
    role, folder, profile, *numbers = argv
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ports, watch = [int(number) for number in numbers], cProfile.Profile()
    try:
        if profile:
            watch.enable()
        if role == "backend":
            backend(Path(folder), *ports)
        else:
            asyncio.run(public(Path(folder), *ports) if role == "public" else inner(Path(folder), *ports))
    finally:
        if profile:
            watch.disable()
            print("--", role)
            pstats.Stats(watch, stream=sys.stdout).sort_stats("tottime").print_stats(22)


# -- measuring


@contextmanager
def running(folder: Path, role: str, *ports: int, core: str = "0-1", profile: bool = False) -> Iterator[int]:
    """Run one of our processes."""
    argv = ["taskset", "-c", core, sys.executable, "-m", "bench.tunnel", "--be", role, str(folder),
            "yes" if profile else "", *map(str, ports)]  # fmt: skip
    with subprocess.Popen(argv) as process:
        try:
            yield process.pid
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HERE, port)) as sock:
        sock.settimeout(2)
        sock.sendall(b"hello\n")
        return sock.recv(1) == b"."
    return False


@dataclass
class Way:
    """One of the ways to the backend."""

    connect: Connect
    pids: tuple[int, ...] = ()

    def computing(self) -> float:
        """Return the seconds that both sides have computed."""
        total = 0
        for pid in self.pids:
            for process in tree(pid):
                with contextlib.suppress(OSError):
                    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
                    total += sum(int(field) for field in fields[11:15])
        return total / TICKS

    def transfer(self, verb: str) -> tuple[float, float]:
        """Return gigabytes per second by the clock, and seconds of computing for a gigabyte."""
        with self.connect() as sock:
            computed, began = self.computing(), time.perf_counter()
            sock.sendall(f"{verb} {BYTES}\n".encode())
            left, scratch = BYTES, bytearray(CHUNK)
            while verb == "get" and left > 0:
                left -= sock.recv_into(scratch) or left
            if verb == "put":
                for _ in range(BYTES // CHUNK):
                    sock.sendall(_NOTHING)
                sock.recv(1)
            took = time.perf_counter() - began
            return BYTES / 1e9 / took, (self.computing() - computed) / BYTES * 1e9

    def latency(self) -> float:
        """Return the median of round trips of 64 bytes on an open connection, in seconds."""
        with self.connect() as sock:
            sock.sendall(b"echo\n")
            sock.recv(1)
            return statistics.median(self._round_trip(sock) for _ in range(MESSAGES))

    @staticmethod
    def _round_trip(sock: socket.socket) -> float:
        began, left = time.perf_counter(), 64
        sock.sendall(_NOTHING[:64])
        while left:
            left -= len(sock.recv(left))
        return time.perf_counter() - began

    def setup(self) -> list[float]:
        """Return the seconds from connecting to the backend's first answer, sorted."""
        took = []
        for _ in range(CONNECTIONS):
            began = time.perf_counter()
            with self.connect() as sock:
                sock.sendall(b"hello\n")
                sock.recv(1)
            took.append(time.perf_counter() - began)
        return sorted(took)


def _to(port: int) -> Connect:
    def connect() -> socket.socket:
        sock = socket.create_connection((HERE, port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    return connect


@contextmanager
def ours(folder: Path, target: int, profile: bool = False) -> Iterator[Way]:
    """Run both of our sides."""
    port, tunnels = free_ports(2)
    with (
        running(folder, "public", port, tunnels, core="0", profile=profile) as outside,
        ExitStack() as stack,
    ):
        wait_for("the public side", lambda: not socket.socket().connect_ex((HERE, tunnels)))
        inside = stack.enter_context(running(folder, "inner", tunnels, target, core="1", profile=profile))
        wait_for("the tunnel", lambda: _answers(port))
        yield Way(_to(port), (outside, inside))


@contextmanager
def theirs(folder: Path, target: int) -> Iterator[dict[str, Way]]:
    """Run sshd, `ssh -R`, and `ssh -W` for each connection."""
    (place := folder / "openssh").mkdir(mode=0o700)
    with openssh(place) as command:
        if command is None:
            yield {}
            return
        (port,) = free_ports(1)
        argv = ["ssh", "-F", command[2], "-N", "-R", f"{HERE}:{port}:{HERE}:{target}", "jump"]
        text = Path(command[2]).read_text().partition("Host jump")[2]
        number = next(line.split()[1] for line in text.splitlines() if "Port" in line)
        server = next(process.pid for process in tree(os.getpid()) if f"sshd-{number}" in process.arguments)
        subprocess.run(["taskset", "-cp", "0", str(server)], check=True, stdout=subprocess.DEVNULL)
        with subprocess.Popen(["taskset", "-c", "1", *argv]) as client:
            try:
                wait_for("ssh -R", lambda: _answers(port))
                forward = Way(_to(port), (server, client.pid))
                stdio = Way(lambda: socket.socket(), ())
                stdio.connect = _stdio(stdio, server, ["ssh", "-F", command[2], "-W", f"{HERE}:{target}", "jump"])
                yield {"ssh -R": forward, "ssh -W": stdio}
            finally:
                client.terminate()


def _stdio(way: Way, server: int, argv: list[str]) -> Connect:
    """Connect by starting ssh, whose stdin and stdout are the connection."""

    def connect() -> socket.socket:
        near, far = socket.socketpair()
        with far:
            client = subprocess.Popen(["taskset", "-c", "1", *argv], stdin=far.fileno(), stdout=far.fileno())
        threading.Thread(target=client.wait, daemon=True).start()
        way.pids = (server, client.pid)
        near.sendall(b"")
        return near

    return connect


def rows() -> list[Row]:
    """Measure all ways in turn, and return the rows of the table."""
    found: dict[tuple[str, str], list[float]] = {}

    def note(who: str, **figures: float) -> None:
        for what, figure in figures.items():
            found.setdefault((who, what), []).append(figure)

    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        make_certificates(folder)
        (target,) = free_ports(1)
        stack.enter_context(running(folder, "backend", target))
        wait_for("the backend", lambda: _answers(target))
        ways = {"direct": Way(_to(target)), "ours": stack.enter_context(ours(folder, target)),
                **stack.enter_context(theirs(folder, target))}  # fmt: skip
        for number in range(ROUNDS + 1):
            for who, way in ways.items():
                down, down_cpu = way.transfer("get")
                up, up_cpu = way.transfer("put")
                figures = {"down": down, "up": up, "down_cpu": down_cpu, "up_cpu": up_cpu, "latency": way.latency()}
                if who != "ssh -W":
                    took = way.setup()
                    figures |= {"p50": statistics.median(took), "p99": took[int(len(took) * 0.99)]}
                if number:
                    note(who, **figures)
    return _table({key: statistics.median(figures) for key, figures in found.items()})


def _table(found: dict[tuple[str, str], float]) -> list[Row]:
    shown: list[Row] = []
    peers = [who for who in ("ssh -R", "ssh -W") if (who, "down") in found]
    for what, text in (("down", "to the client"), ("up", "from the client")):
        for who in peers:
            fast, slow = found["ours", what], found[who, what]
            shown.append((f"bytes {text}, against {who}, GB/s", f"{fast:.2f}; {slow:.2f}; ratio {fast / slow:.2f}"))
            few, many = found["ours", f"{what}_cpu"], found[who, f"{what}_cpu"]
            shown.append((f"computing of both sides for a GB {text}, against {who}, s",
                          f"{few:.2f}; {many:.2f}; ratio {few / many:.2f}"))  # fmt: skip
    for who in peers:
        mine, other = (1e6 * (found[one, "latency"] - found["direct", "latency"]) for one in ("ours", who))
        shown.append((f"64 bytes there and back, added to {1e6 * found['direct', 'latency']:.0f} us, against {who}",
                      f"{mine:.0f} us; {other:.0f} us; ratio {mine / other:.2f}"))  # fmt: skip
    for what in ("p50", "p99"):
        figures = ", ".join(f"{who} {1e3 * found[who, what]:.2f} ms" for who in ("ours", "ssh -R", "direct")
                            if (who, what) in found)  # fmt: skip
        shown.append((f"a new connection through an open tunnel, {what}", figures))
    return shown


def idle(count: int = IDLE) -> list[Row]:
    """Return what idle tunnels hold in the process of each side."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        make_certificates(folder)
        port, tunnels = free_ports(2)
        outside = stack.enter_context(running(folder, "public", port, tunnels, core="0"))
        wait_for("the public side", lambda: not socket.socket().connect_ex((HERE, tunnels)))
        before = _mine(outside)
        began = time.perf_counter()
        inside = stack.enter_context(running(folder, "inner", tunnels, tunnels, count, core="1"))
        wait_for("the tunnels", lambda: _connections(inside) >= count, seconds=300)
        took = time.perf_counter() - began
        time.sleep(5)
        grown, whole = _mine(outside) - before, _mine(inside)
        computed = Way(_to(port), (outside, inside))
        start, waited = computed.computing(), 20.0
        time.sleep(waited)
        share = (computed.computing() - start) / waited
    return [
        (f"{count} idle tunnels: memory of each on the public side", f"{grown / count / 1e3:.0f} kB"),
        (
            f"{count} idle tunnels: memory of each on the inner side (one process)",
            f"{whole / count / 1e3:.0f} kB",
        ),
        (f"{count} idle tunnels: made in", f"{took:.0f} s ({count / took:.0f} /s)"),
        (f"{count} idle tunnels: computing of both processes, pings every 15 s", f"{100 * share:.0f} % of a core"),
    ]


def _mine(pid: int) -> int:
    return proportional(pid)


def _connections(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def profile() -> None:
    """Print where our time goes, on both sides, for bytes both ways."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        make_certificates(folder)
        (target,) = free_ports(1)
        stack.enter_context(running(folder, "backend", target))
        wait_for("the backend", lambda: _answers(target))
        for verb in ("get", "put", "latency", "setup"):
            print("----", verb, flush=True)
            with ours(folder, target, profile=True) as way:
                if verb in ("get", "put"):
                    print(way.transfer(verb), flush=True)
                else:
                    getattr(way, verb)()


def main() -> None:
    """Print the rows, or a profile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--idle", action="store_true")
    parser.add_argument("--be", nargs="+")
    options = parser.parse_args()
    if options.be:
        be(options.be)
    elif options.profile:
        profile()
    else:
        for what, figure in [*([] if options.idle else rows()), *idle()]:
            print(f"| {what} | {figure} |")


if __name__ == "__main__":
    main()
