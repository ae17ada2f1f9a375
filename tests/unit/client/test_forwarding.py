"""Forwards at work as far as no node is needed: listening, connecting, SOCKS clients, and what is told of failures.

A `Connection` is stood in for by one that notes what it was asked; bytes through real nodes are in
tests/integration/test_tsh_targets.py.
"""

import contextlib
import errno
import os
import socket

import pytest

from teleport.base.errors import Unavailable
from teleport.client import forwarding
from teleport.client.forwarding import Forwarding, connect
from teleport.client.forwards import Tcp, Unix, parse
from teleport.wire.ssh_channel import Origin
from tests.support.ports import free_port


class Engine:
    """Notes channels that are asked for."""

    def __init__(self):
        self.opened = []

    def open(self, kind, body, handler):
        self.opened.append((kind, body, handler))


class Channel:
    """Notes what is written."""

    room = 1 << 20

    def __init__(self):
        self.written = b""

    def write(self, data):
        self.written += data
        return len(data)

    def close(self):
        pass

    taken = end = close


class Node:
    """What `Forwarding` needs of a Connection."""

    congested = False

    def __init__(self):
        self.engine, self.watched = Engine(), []
        self.local, self.direct, self.remote = [], [], []

    def listen_local(self, sock, accepted):
        self.local.append((sock, accepted))

    def open_direct(self, host, port, sock, *, origin, refused):
        self.direct.append((Tcp(host, port), origin, refused))
        sock.close()

    def open_streamlocal(self, path, sock, *, refused):
        self.direct.append((Unix(path), None, refused))
        sock.close()

    def listen_remote(self, host, port, callback):
        self.remote.append((Tcp(host, port), callback))
        return port or 40000

    def listen_remote_local(self, path, callback):
        self.remote.append((Unix(path), callback))

    def accept(self, number=0):
        """Take a connection to a port that listens, as the loop would."""
        sock, accepted = self.local[number]
        accepted(sock.accept()[0])


@pytest.fixture
def node():
    return Node()


@pytest.fixture
def told():
    return []


@pytest.fixture
def forwards(node, told):
    with Forwarding(node, told.append) as made:
        yield made


def test_a_port_is_listened_at_and_each_connection_passed_on(node, forwards, told):
    port = free_port()
    forwards.start(parse("L", f"127.0.0.1:{port}:web:80"))
    forwards.start(parse("L", f"127.0.0.1:{free_port()}:/run/s"))
    with socket.create_connection(("127.0.0.1", port)) as client:
        node.accept()
        to, origin, refused = node.direct[0]
        assert (to, origin) == (Tcp("web", 80), client.getsockname())
        refused(1, "not you")
        refused(4, "")
    assert told == ["web:80: the node did not connect: not you", "web:80: the node did not connect: 4"]
    with socket.create_connection(node.local[1][0].getsockname()):
        node.accept(1)
    assert node.direct[1][0] == Unix("/run/s")


def test_localhost_is_every_address_of_that_name(node, forwards):
    port = free_port()
    forwards.start(parse("L", f"{port}:web:80"))
    assert ("127.0.0.1", port) in [sock.getsockname()[:2] for sock, _ in node.local]


def test_sockets_go_with_the_connection(node, told, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    path = str(tmp_path / "s")
    port = free_port()
    with Forwarding(node, told.append) as made:
        made.start(parse("L", f"{path}:web:80"))
        made.start(parse("L", f"127.0.0.1:{port}:web:80"))
        assert os.stat(path).st_mode & 0o777 == 0o600
    assert not os.path.exists(path)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_where_nobody_can_listen(forwards, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for text in (f"127.0.0.1:{port}:web:80", f"192.0.2.1:{port}:web:80", "no.such.host.invalid:8080:web:80",
                     f"{tmp_path}/not/there:web:80", f"localhost:{port}:web:80"):  # fmt: skip
            with pytest.raises(Unavailable) as caught:
                forwards.start(parse("L", text))
            assert caught.value.code == "CLIENT-FORWARD-LOCAL"


def test_an_address_family_that_a_machine_has_not_is_passed_over(node, forwards, monkeypatch):
    made = forwarding._bound

    def without_ipv6(family, address):
        if family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "not here")
        return made(family, address)

    monkeypatch.setattr(forwarding, "_bound", without_ipv6)
    addresses = [(socket.AF_INET6, ("::1", 0, 0, 0)), (socket.AF_INET, ("127.0.0.1", 0))]
    monkeypatch.setattr(forwarding, "_addresses", lambda forward, place: addresses)
    forwards.start(parse("L", "8080:web:80"))
    assert [sock.family for sock, _ in node.local] == [socket.AF_INET]


def test_a_port_of_the_node_leads_here(node, forwards, told):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        forwards.start(parse("R", f"0:127.0.0.1:{port}"))
        forwards.start(parse("R", f"/run/s:127.0.0.1:{port}"))
        assert [place for place, _ in node.remote] == [Tcp("localhost", 0), Unix("/run/s")]
        assert told == [f"Allocated port 40000 for remote forward to 127.0.0.1:{port}"]
        sock = node.remote[0][1](Origin("127.0.0.1", 1))
        with sock, listener.accept()[0] as accepted:
            assert accepted.getpeername() == sock.getsockname()
    assert node.remote[1][1](Origin("127.0.0.1", 1)) is None
    assert told[-1] == f"127.0.0.1:{port}: nobody answers here"


def test_connecting(tmp_path, monkeypatch):
    assert connect(Tcp("127.0.0.1", free_port())) is None
    assert connect(Tcp("no.such.host.invalid", 1)) is None
    assert connect(Unix(str(tmp_path / "none"))) is None
    assert connect(Unix("/" + "x" * 300)) is None
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")
        listener.listen()
        with forwarding.agent("s")() as sock:
            assert sock.getpeername() == "s"


# SOCKS

HELLO = b"\x05\x01\x00"
ASK = b"\x05\x01\x00\x03\x03web\x00\x50"


@contextlib.contextmanager
def asking(node, forwards):
    """A client of SOCKS that has connected, and what watches it."""
    port = free_port()
    forwards.start(parse("D", f"127.0.0.1:{port}"))
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        node.accept()
        yield client, node.watched[0]


def take(watcher):
    """Let it read what there is, as the loop does."""
    ((descriptor, _),) = watcher.wants()
    os.set_blocking(descriptor, True)
    watcher.ready(descriptor, 1)


def test_a_client_says_where_and_hears_that_it_is_there(node, forwards):
    with asking(node, forwards) as (client, watcher):
        client.sendall(HELLO)
        take(watcher)
        assert client.recv(10) == b"\x05\x00"
        client.sendall(ASK + b"early")
        take(watcher)
        assert watcher not in node.watched
        ((kind, body, joint),) = node.engine.opened
        assert kind == b"direct-tcpip"
        assert body.startswith(b"\0\0\0\x03web\0\0\0\x50")
        channel = Channel()
        joint.opened(channel)
        assert client.recv(20) == b"\x05\x00\x00\x01" + bytes(6)
        assert channel.written == b"early"
        joint.closed(None)


def test_a_client_hears_that_the_node_does_not_connect(node, forwards, told):
    with asking(node, forwards) as (client, watcher):
        client.sendall(HELLO + ASK)
        take(watcher)
        node.engine.opened[0][2].refused(2, "nobody there")
        assert client.recv(20) == b"\x05\x00\x05\x05\x00\x01" + bytes(6)
        assert client.recv(1) == b""
    assert "nobody there" in told[0]


def test_a_client_that_speaks_something_else(node, forwards, told):
    with asking(node, forwards) as (client, watcher):
        client.sendall(HELLO + b"\x05\x02\x00\x01")
        take(watcher)
        assert client.recv(20) == b"\x05\x00\x05\x07\x00\x01" + bytes(6)
        assert client.recv(1) == b""
    assert "SOCKS" in told[0]
    assert node.watched == []


def test_a_client_that_goes(node, forwards):
    with asking(node, forwards) as (client, watcher):
        watcher.ready(0, 1)  # nothing has come: not an end
        assert node.watched == [watcher]
        client.close()
        take(watcher)
        assert node.watched == []


def test_a_client_that_is_torn_away(node, forwards):
    with asking(node, forwards) as (client, watcher):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        take(watcher)
        assert node.watched == []


def test_a_client_on_the_node_says_where_to_from_here(node, forwards, told):
    forwards.start(parse("R", "1080"))
    ((place, called),) = node.remote
    assert place == Tcp("localhost", 1080)
    with socket.create_server(("127.0.0.1", 0)) as here, called(Origin("127.0.0.1", 1)) as client:
        port = here.getsockname()[1]
        client.settimeout(30)
        client.sendall(HELLO + b"\x05\x01\x00\x01\x7f\0\0\1" + port.to_bytes(2, "big") + b"early")
        take(node.watched[0])
        assert client.recv(2) == b"\x05\x00"
        assert client.recv(20)[:2] == b"\x05\x00"
        with here.accept()[0] as accepted:
            pump(node)
            assert accepted.recv(10) == b"early"
            node.watched[0].close()
    assert node.watched == []
    with called(Origin("127.0.0.1", 1)) as client:
        client.sendall(HELLO + b"\x05\x01\x00\x01\x7f\0\0\1" + free_port().to_bytes(2, "big"))
        take(node.watched[0])
        assert client.recv(12) == b"\x05\x00\x05\x04\x00\x01" + bytes(6)
    assert "nobody answers here" in told[-1]


def pump(node):
    for watcher in list(node.watched):
        for descriptor, events in list(watcher.wants()):
            watcher.ready(descriptor, events)
