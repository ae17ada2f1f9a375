"""tsh's SSH client against OpenSSH's server: each cipher, with keys anew from either side while data flows."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from teleport.base.entropy import SystemEntropy
from teleport.base.errors import NotAuthenticated
from teleport.client.ssh_client.ciphers import CIPHERS
from teleport.client.ssh_client.connection import Connection
from teleport.client.ssh_client.engine import Engine
from teleport.client.ssh_client.transport import Limits, Transport
from teleport.client.ssh_client.trust import HostTrust, UserKey
from teleport.pki import keys
from tests.support.both_ways import echoed
from tests.support.cluster import OWN
from tests.support.ports import free_ports
from tests.support.processes import wait_for
from tests.support.programs import need
from tests.support.ssh_peer import AUTHORITY, HOST_KEY, USER_KEY, certificate, trust
from tests.support.ssh_server import FOREVER, MAY, SocketCarrier

CONFIG = """\
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
HostCertificate {folder}/host-cert.pub
TrustedUserCAKeys {folder}/users
AuthorizedKeysFile none
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
RekeyLimit 4M
"""
SIZE = 20 << 20


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    program, folder = need("sshd"), tmp_path_factory.mktemp("sshd")
    (number,) = free_ports(1)
    for name, data in (
        ("host", keys.private_openssh(HOST_KEY)),
        ("host-cert.pub", keys.ssh_line(certificate(HOST_KEY.public_key(), **FOREVER)).encode() + b"\n"),
        ("users", keys.ssh_line(keys.ssh_blob(AUTHORITY.public_key())).encode() + b"\n"),
        ("config", CONFIG.format(port=number, folder=folder).encode()),
    ):
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(data)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd run by root wants to see it
    with open(folder / "log", "wb") as log:
        server = subprocess.Popen([program, "-D", "-e", "-f", str(folder / "config")], stdin=-3, stderr=log)
    try:
        wait_for("sshd", lambda: b"listening" in (folder / "log").read_bytes() or server.poll() is not None)
        yield number
    finally:
        server.terminate()
        server.wait(30)


def connect(port: int, ciphers: tuple[str, ...] = tuple(CIPHERS), checked: HostTrust | None = None) -> Connection:
    own = certificate(USER_KEY.public_key(), type="user", principals=(OWN,), extensions=MAY, **FOREVER)
    believed = checked or trust()
    transport = Transport(believed.verify, SystemEntropy(), Limits(size=3 << 20), ciphers)
    engine = Engine(transport, OWN, UserKey(USER_KEY, own))
    made = Connection(SocketCarrier(socket.create_connection(("127.0.0.1", port), 10)), engine, believed.host)
    try:
        made._sign_in()
    except BaseException:
        made.close()
        raise
    return made


@pytest.mark.parametrize("cipher", CIPHERS)
def test_each_cipher_with_keys_anew_from_either_side(port: int, cipher: str) -> None:
    connection = connect(port, (cipher,))
    assert echoed(connection, SIZE >> 20)
    assert connection.engine._transport.exchanges > 3
    assert connection.engine._transport.strict
    assert connection.open_stream(command="echo on").read_exactly(3) == b"on\n"
    connection.close()


def test_a_name_that_the_certificate_does_not_have(port: int) -> None:
    with pytest.raises(NotAuthenticated) as caught:
        connect(port, checked=trust("node-2"))
    assert caught.value.code == "CLIENT-HOST-KEY"


def test_an_end_by_a_signal_and_a_forward(port: int) -> None:
    connection = connect(port)
    assert connection.open_stream(command="kill -TERM $$").read(1) == b""
    ours, theirs = socket.socketpair()
    connection.open_direct("127.0.0.1", port, theirs)
    ours.settimeout(30)
    assert connection.run(lambda: connection.engine.channels, 30)
    for _ in range(100):
        connection.step(0.1)
        ours.setblocking(False)
        try:
            assert ours.recv(8) == b"SSH-2.0-"
            break
        except BlockingIOError:
            continue
    else:
        raise AssertionError("nothing came through the forward")
    ours.close()
    connection.close()
