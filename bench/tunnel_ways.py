"""The ways that `bench.tunnel` measures: ours, OpenSSH's and HAProxy's, and the processes of ours.

Each goes from a client to a port of the public side, through one encrypted connection to the inner side, and from there
to the backend. Public side and inner side have a core each. Two ways begin one leg before, at the stdin and stdout of a
program that reaches the public side by an encrypted connection: `ssh -W` through sshd to the port of `ssh -R`, and what
`tsh proxy ssh` does.
"""

from __future__ import annotations

import asyncio
import contextlib
import cProfile
import os
import pstats
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.walk import openssh
from teleport.base import tasks
from teleport.base.errors import TeleportError
from teleport.client.stdio import BlockingTls, join
from teleport.net import tls
from teleport.net.network import SystemNetwork
from teleport.net.relay import Relay
from teleport.net.stream import Stream
from teleport.net.tunnel import Call, Tunnel
from tests.support.ports import free_ports
from tests.support.processes import tree, wait_for

BYTES = 128 << 20
CHUNK = 256 << 10
MESSAGES = 500
CONNECTIONS = 200
TICKS = os.sysconf("SC_CLK_TCK")
HERE = "127.0.0.1"
OURS, SSH = "ours", "ssh -R"
OURS_STDIO, SSH_STDIO = "ours from stdin", "ssh -W through ssh -R"
MODULE = "bench.tunnel_ways"
HAPROXY = {
    "both": """\
global
  nbthread 1
  ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option splice-auto
""",
    "public": """\
listen public
  bind 127.0.0.1:{port}
  server inner 127.0.0.1:{between} ssl crt {folder}/client.pem ca-file {folder}/ca.crt verify required
""",
    "inner": """\
listen inner
  bind 127.0.0.1:{between} ssl crt {folder}/server.pem ca-file {folder}/ca.crt verify required
  server backend 127.0.0.1:{target}
""",
}
_NOTHING = bytes(CHUNK)
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


async def public(folder: Path, port: int, tunnels: int, doors: int) -> None:
    """Serve clients at `port`, and TLS clients at `doors`, through the newest of the tunnels made to `tunnels`."""
    context, network, open_tunnels = _server_context(folder), SystemNetwork(), list[Tunnel]()

    async def tunnel(stream: Stream) -> None:
        open_tunnels.append(Tunnel(await tls.server_handshake(stream, context, timeout=60)))
        await open_tunnels[-1].closed()

    async def client(stream: Stream) -> None:
        with contextlib.suppress(TeleportError):
            await Relay(stream, await open_tunnels[-1].dial(b"")).run()

    async def door(stream: Stream) -> None:
        await client(await tls.server_handshake(stream, context, timeout=60))

    await network.listen(f"{HERE}:{tunnels}", tunnel)
    await network.listen(f"{HERE}:{doors}", door)
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


def client(folder: Path, port: int) -> None:
    """Join stdin and stdout with a connection to a TLS port, as `tsh proxy ssh` does."""
    carrier = BlockingTls(socket.create_connection((HERE, port)), _client_context(folder), HERE)
    carrier.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    carrier.handshake()
    carrier.ask(b"")
    join(carrier, 0, 1)


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
        elif role == "client":
            client(Path(folder), *ports)
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
    argv = ["taskset", "-c", core, sys.executable, "-m", MODULE, "--be", role, str(folder),
            "yes" if profile else "", *map(str, ports)]  # fmt: skip
    with subprocess.Popen(argv) as process:
        try:
            yield process.pid
        finally:
            process.terminate()


def answers(port: int) -> bool:
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
    starts: bool = False
    """Whether each connection starts a program."""

    def computing(self) -> float:
        """Return the seconds that both sides have computed, and the program at the client's end if there is one."""
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


def to(port: int) -> Connect:
    def connect() -> socket.socket:
        sock = socket.create_connection((HERE, port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    return connect


@contextmanager
def ours(folder: Path, target: int, profile: bool = False) -> Iterator[dict[str, Way]]:
    """Run both of our sides: a way for plain connections, and one for a client that speaks TLS."""
    port, tunnels, doors = free_ports(3)
    with (
        running(folder, "public", port, tunnels, doors, core="0", profile=profile) as outside,
        ExitStack() as stack,
    ):
        wait_for("the public side", lambda: not socket.socket().connect_ex((HERE, tunnels)))
        inside = stack.enter_context(running(folder, "inner", tunnels, target, core="1", profile=profile))
        wait_for("the tunnel", lambda: answers(port))
        argv = [sys.executable, "-m", MODULE, "--be", "client", str(folder), "", str(doors)]
        yield {OURS: Way(to(port), (outside, inside)), OURS_STDIO: _stdio((outside, inside), argv)}


@contextmanager
def theirs(folder: Path, target: int) -> Iterator[dict[str, Way]]:
    """Run sshd and `ssh -R`, and `ssh -W` through both for each connection."""
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
                wait_for("ssh -R", lambda: answers(port))
                forward = Way(to(port), (server, client.pid))
                argv = ["ssh", "-F", command[2], "-W", f"{HERE}:{port}", "jump"]
                yield {SSH: forward, SSH_STDIO: _stdio((server, client.pid), argv)}
            finally:
                client.terminate()


def _stdio(pids: tuple[int, ...], argv: list[str]) -> Way:
    """A way that begins with the stdin and stdout of a program, one for each connection."""

    def connect() -> socket.socket:
        near, far = socket.socketpair()
        with far:
            client = subprocess.Popen(["taskset", "-c", "1", *argv], stdin=far.fileno(), stdout=far.fileno())
        threading.Thread(target=client.wait, daemon=True).start()
        way.pids = (*pids, client.pid)
        return near

    way = Way(connect, pids, starts=True)
    return way


@contextmanager
def haproxy(folder: Path, target: int) -> Iterator[dict[str, Way]]:
    """Run HAProxy on both sides: plain to TLS with a client's certificate, and back."""
    if shutil.which("haproxy") is None:
        yield {}
        return
    port, between = free_ports(2)
    with ExitStack() as stack:
        pids = []
        for side, core in (("public", "0"), ("inner", "1")):
            listen = HAPROXY[side].format(port=port, between=between, target=target, folder=folder)
            (folder / f"{side}.cfg").write_text(HAPROXY["both"] + listen)
            argv = ["taskset", "-c", core, "haproxy", "-q", "-db", "-f", str(folder / f"{side}.cfg")]
            server = stack.enter_context(subprocess.Popen(argv))
            stack.callback(server.terminate)
            pids.append(server.pid)
        wait_for("HAProxy", lambda: answers(port))
        yield {"HAProxy": Way(to(port), tuple(pids))}


if __name__ == "__main__":
    be(sys.argv[2:])
