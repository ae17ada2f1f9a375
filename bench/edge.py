"""The public port against HAProxy: bytes through terminated TLS, and new connections with client certificates.

Both terminate TLS 1.3 with the same P-256 certificates, ask for a client's certificate, forward to the same plain
backend, run on one core, and meet the same clients, which have the other core. Counted is computing time of the
server's process (user and system), so that the clients' own speed does not distort it: what one core would do is its
inverse. `python -m bench.edge --profile` prints where our time goes instead.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import cProfile
import datetime as dt
import ipaddress
import os
import pstats
import re
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from teleport.base.clock import SystemClock
from teleport.base.errors import TeleportError
from teleport.net import tls
from teleport.net.network import SystemNetwork
from teleport.net.relay import Relay
from teleport.net.router import RoutedStream, Router
from teleport.wire.tls_hello import ClientHello
from tests.support.ports import free_port

ROUNDS = 5
BYTES = 256 << 20
"""Bytes of one measured transfer."""
CHUNK = 256 << 10
SECONDS = 3
"""For which clients open connections."""
CLIENTS = 4
TICKS = os.sysconf("SC_CLK_TCK")
Row = tuple[str, str]

HAPROXY = """\
global
  nbthread 1
  maxconn 4000
  ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option splice-auto
listen tls
  bind 127.0.0.1:{port} ssl crt {folder}/server.pem ca-file {folder}/ca.crt verify required
  server backend 127.0.0.1:{backend}
"""


# -- certificates and the backend


def make_certificates(folder: Path) -> None:
    """Write ca.crt, and server and client as .crt, .key and .pem (both)."""
    now = SystemClock().now()
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
    for who, usage in (("ca", None), ("server", ExtendedKeyUsageOID.SERVER_AUTH),
                       ("client", ExtendedKeyUsageOID.CLIENT_AUTH)):  # fmt: skip
        key = ca_key if usage is None else ec.generate_private_key(ec.SECP256R1())
        name = ca_name if usage is None else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, who)])
        builder = (
            x509.CertificateBuilder().subject_name(name).issuer_name(ca_name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(usage is None, None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        )  # fmt: skip
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        certificate = builder.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.PEM)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / f"{who}.crt").write_bytes(certificate)
        (folder / f"{who}.key").write_bytes(private)
        (folder / f"{who}.pem").write_bytes(certificate + private)


async def _backend(port: int) -> None:
    """Answer `get N` with N bytes, `put N` with one byte after N bytes, and everything else with a word."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            verb, _, count = (await reader.readline()).decode().partition(" ")
            left = int(count) if verb in ("get", "put") else 0
            while left > 0:
                if verb == "get":
                    writer.write(_NOTHING[:left])
                    await writer.drain()
                    left -= min(left, CHUNK)
                else:
                    left -= len(await reader.read(CHUNK)) or left
            writer.write({"put": b".", "get": b""}.get(verb, b"yes"))
            await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=CHUNK, backlog=1024)
    async with server:
        await server.serve_forever()


_NOTHING = bytes(CHUNK)


# -- our server


async def _serve(folder: Path, port: int, backend: int) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "ca.crt"))
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0
    network = SystemNetwork()

    async def terminate(stream: RoutedStream, hello: ClientHello) -> None:
        with contextlib.suppress(TeleportError):  # a client that leaves without its TLS goodbye
            opened = await tls.server_handshake(stream, context, server_name=hello.server_name)
            await Relay(opened, await network.dial(f"127.0.0.1:{backend}")).run()

    listener = await network.listen(f"127.0.0.1:{port}", Router([], plain=[], default=terminate))
    await listener.serve_forever()


def serve(argv: list[str]) -> None:
    """Be one of the measured processes: `ours` or `backend`."""
    role, folder, port, backend, profile = argv
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    watch = cProfile.Profile()
    try:
        if profile:
            watch.enable()
        asyncio.run(_backend(int(port)) if role == "backend" else _serve(Path(folder), int(port), int(backend)))
    finally:
        if profile:
            watch.disable()
            pstats.Stats(watch, stream=sys.stdout).sort_stats("tottime").print_stats(18)


# -- measuring


@dataclass
class Server:
    """A process under measurement."""

    process: subprocess.Popen[bytes]
    port: int

    def computing(self) -> float:
        """Return the seconds of computing so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def running(argv: list[str], port: int, core: int) -> Iterator[Server]:
    """Run a server on one core for the time of a block."""
    with subprocess.Popen(["taskset", "-c", str(core), *argv]) as process:
        try:
            while True:
                with socket.socket() as probe:
                    if not probe.connect_ex(("127.0.0.1", port)):
                        break
                if process.poll() is not None:
                    raise SystemExit(f"{argv[0]} ended with {process.returncode}")
            yield Server(process, port)
        finally:
            process.terminate()


def _own(role: str, folder: Path, port: int, backend: int, profile: bool = False) -> list[str]:
    return [sys.executable, "-m", "bench.edge", "--serve", role, str(folder), str(port), str(backend),
            "yes" if profile else ""]  # fmt: skip


def transfer(server: Server, folder: Path, verb: str) -> float:
    """Return gigabytes per second of computing for one transfer."""
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    context.load_cert_chain(folder / "client.crt", folder / "client.key")
    before = server.computing()
    plain = socket.create_connection(("127.0.0.1", server.port))
    with context.wrap_socket(plain, server_hostname="127.0.0.1") as stream:
        stream.sendall(f"{verb} {BYTES}\n".encode())
        if verb == "get":
            left, scratch = BYTES, bytearray(CHUNK)
            while left > 0:
                left -= stream.recv_into(scratch) or left
        else:
            for _ in range(BYTES // CHUNK):
                stream.sendall(_NOTHING)
            stream.recv(1)
    return BYTES / 1e9 / (server.computing() - before)


def connections(server: Server, folder: Path) -> float:
    """Return new connections per second of computing: client certificate, a request to the backend, its answer.

    A client that leaves right after its own half of a TLS 1.3 handshake would spare a server that notices the work
    of looking at its certificate.
    """
    argv = ["taskset", "-c", "1", "openssl", "s_time", "-connect", f"127.0.0.1:{server.port}", "-new", "-tls1_3",
            "-www", "/", "-time", str(SECONDS), "-cert", str(folder / "client.crt"), "-key", str(folder / "client.key"),
            "-CAfile", str(folder / "ca.crt")]  # fmt: skip
    before = server.computing()
    clients = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(CLIENTS)]
    count = 0
    for client in clients:
        said = client.communicate()[0].decode()
        # The second line counts by the clock: "1234 connections in 4 real seconds, 3 bytes read per connection".
        count += int(re.findall(r"(\d+) connections in \d+ real seconds", said)[0])
    return count / (server.computing() - before)


def rows() -> list[Row]:
    """Measure both in turn, and return the rows of the table."""
    if shutil.which("haproxy") is None:
        return [("the public port against HAProxy", "not measured: haproxy is not installed")]
    figures: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        make_certificates(folder)
        backend, ours, theirs = free_port(), free_port(), free_port()
        (folder / "haproxy.cfg").write_text(HAPROXY.format(port=theirs, backend=backend, folder=folder))
        stack.enter_context(running(_own("backend", folder, backend, 0), backend, 1))
        servers = {
            "teleport": stack.enter_context(running(_own("ours", folder, ours, backend), ours, 0)),
            "haproxy": stack.enter_context(running(["haproxy", "-q", "-f", f"{name}/haproxy.cfg"], theirs, 0)),
        }
        for number in range(ROUNDS + 1):
            for who, server in servers.items():
                for what in ("get", "put", "new"):
                    got = connections(server, folder) if what == "new" else transfer(server, folder, what)
                    if number:
                        figures.setdefault((what, who), []).append(got)
    texts = {
        "get": "bytes through terminated TLS, to the client, GB per second of computing",
        "put": "bytes through terminated TLS, from the client, GB per second of computing",
        "new": "new mTLS connections per second of computing",
    }
    shown = []
    for what, text in texts.items():
        ours_, theirs_ = (statistics.median(figures[what, who]) for who in ("teleport", "haproxy"))
        digits = 0 if what == "new" else 2
        shown.append((text, f"{ours_:.{digits}f}; HAProxy {theirs_:.{digits}f}; ratio {ours_ / theirs_:.2f}"))
    return shown


def profile() -> None:
    """Print where our time goes: while bytes move, and while connections are made."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_certificates(folder)
        backend = free_port()
        with running(_own("backend", folder, backend, 0), backend, 1):
            for what in ("get", "put", "new"):
                port = free_port()
                print(f"-- {what}", flush=True)
                with running(_own("ours", folder, port, backend, profile=True), port, 0) as server:
                    connections(server, folder) if what == "new" else transfer(server, folder, what)


def main() -> None:
    """Print the rows, or a profile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--serve", nargs=5)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
    elif options.profile:
        profile()
    else:
        for what, figure in rows():
            print(f"| {what} | {figure} |")


if __name__ == "__main__":
    main()
