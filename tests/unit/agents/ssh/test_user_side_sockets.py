"""Connecting and listening, as whoever runs this test."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from teleport.agents.ssh import user_side_messages as messages
from teleport.agents.ssh import user_side_sockets as sockets
from teleport.agents.ssh.user_side_sockets import Made
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import AccessDenied, BadParameter, NotFound, TeleportError, Unavailable


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def closed(made: Made) -> Made:
    for each in made.sockets:
        each.close()
    return made


def port_of(server: socket.socket) -> int:
    port: int = server.getsockname()[1]
    return port


def refusal(kind: type[TeleportError], code: str, act: object, *arguments: object) -> TeleportError:
    assert callable(act)
    with pytest.raises(kind) as caught:
        act(*arguments)
    assert (type(caught.value), caught.value.code) == (kind, code)
    assert all((caught.value.what, caught.value.why, caught.value.fix))
    return caught.value


def test_connecting(server: socket.socket) -> None:
    made = sockets.do(messages.ConnectTcp(1, "127.0.0.1", port_of(server)), "alice")
    (connected,) = made.sockets
    accepted, address = server.accept()
    with connected, accepted:
        assert connected.getsockname() == address
        assert connected.getblocking() is False


def test_every_address_of_a_host_is_tried(server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    free = socket.create_server(("127.0.0.1", 0))
    closed_port = port_of(free)
    free.close()
    found = [(2, 1, 6, "", ("127.0.0.1", port)) for port in (closed_port, port_of(server))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(99, 1, 6, "", ("strange", 1)), *found])
    sockets.connect_tcp("many.example.com", 80, "alice").close()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(99, 1, 6, "", ("strange", 1)), found[0]])
    error = refusal(Unavailable, "SSH-USER-CONNECT", sockets.connect_tcp, "many.example.com", 80, "alice")
    assert "many.example.com:80" in error.what
    assert "'alice'" in error.what
    assert "strange: Address family not supported" in error.what
    assert "127.0.0.1: Connection refused" in error.what


def test_a_host_that_does_not_answer(server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listener whose queue is full answers nobody."""
    monkeypatch.setattr(sockets, "CONNECT_SECONDS", 0.05)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        error = refusal(Unavailable, "SSH-USER-CONNECT", sockets.connect_tcp, "127.0.0.1", port_of(full), "alice")
        assert "no answer in time" in error.what
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", full.getsockname())] * 3)
        refusal(Unavailable, "SSH-USER-CONNECT", sockets.connect_tcp, "many.example.com", 80, "alice")
        for each in waiting:
            each.close()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "\ud800", "x" * 250])
def test_hosts_that_are_not_there(host: str) -> None:
    refusal(NotFound, "SSH-USER-HOST", sockets.connect_tcp, host, 80, "alice")
    refusal(NotFound, "SSH-USER-HOST", sockets.listen_tcp, host, 0, "alice")


def test_ports_that_are_none() -> None:
    for port in (-1, 0, 65536):
        refusal(BadParameter, "SSH-USER-PORT", sockets.connect_tcp, "127.0.0.1", port, "alice")
    for port in (-1, 65536):
        refusal(BadParameter, "SSH-USER-PORT", sockets.listen_tcp, "127.0.0.1", port, "alice")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "", "*"])
def test_listening(host: str) -> None:
    made = sockets.do(messages.ListenTcp(1, host, 0), "alice")
    (listening,) = made.sockets
    assert made.port == listening.getsockname()[1]
    assert listening.getblocking() is False
    with socket.create_connection(("127.0.0.1", made.port)):
        listening.close()


def test_listening_where_somebody_does(server: socket.socket) -> None:
    taken = port_of(server)
    error = refusal(Unavailable, "SSH-USER-LISTEN", sockets.listen_tcp, "127.0.0.1", taken, "alice")
    assert f"127.0.0.1:{taken}" in error.what
    assert "in use" in error.what
    assert sockets.shown("::1", 80) == "[::1]:80"


def test_listening_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def without(host: str, *rest: int, **more: int) -> object:
        if host == "::":
            return [(99, 1, 6, "", ("::", 0))]
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", without)
    assert closed(sockets.listen_tcp("", 0, "alice")).port


def test_a_unix_socket_from_end_to_end(tmp_path: Path) -> None:
    path = bytes(tmp_path / "s")
    made = sockets.do(messages.ListenUnix(1, path), "alice")
    assert stat.S_IMODE(os.lstat(path).st_mode) == 0o600
    assert made.sockets[0].getblocking() is False
    (connected,) = sockets.do(messages.ConnectUnix(2, path), "alice").sockets
    with connected:
        assert connected.getblocking() is False
    closed(made).remove()
    assert not os.path.lexists(path)
    made.remove()  # a second time does nothing


def test_unix_sockets_that_cannot_be_used(tmp_path: Path) -> None:
    refusal(NotFound, "SSH-USER-SOCKET", sockets.connect_unix, bytes(tmp_path / "none"), "alice")
    (tmp_path / "file").touch()
    refusal(Unavailable, "SSH-USER-SOCKET", sockets.connect_unix, bytes(tmp_path / "file"), "alice")
    refusal(NotFound, "SSH-USER-SOCKET", sockets.listen_unix, bytes(tmp_path / "file" / "x"), "alice")
    for path in (b"relative", b"", b"/nul\0", b"/" + b"x" * messages.PATH_BYTES):
        refusal(BadParameter, "SSH-USER-PATH", sockets.connect_unix, path, "alice")
        refusal(BadParameter, "SSH-USER-PATH", sockets.listen_unix, path, "alice")
    error = refusal(NotFound, "SSH-USER-SOCKET", sockets.connect_unix, b"/no/\xff", "alice")
    assert "\\xff" in error.what


@pytest.mark.parametrize("kind", ["file", "socket", "link", "dangling"])
def test_listening_takes_the_place_of_nothing(tmp_path: Path, kind: str) -> None:
    place, other = tmp_path / "s", tmp_path / "other"
    if kind == "file":
        place.write_text("kept")
    elif kind == "socket":
        closed(sockets.listen_unix(bytes(place), "alice"))
    else:
        place.symlink_to(other)
        if kind == "link":
            other.write_text("kept")
    before = os.lstat(place)
    refusal(Unavailable, "SSH-USER-SOCKET", sockets.listen_unix, bytes(place), "alice")
    assert os.lstat(place) == before
    assert other.exists() == (kind == "link")


def test_removal_spares_what_has_taken_the_place(tmp_path: Path) -> None:
    place, other = tmp_path / "s", tmp_path / "other"
    made = closed(sockets.listen_unix(bytes(place), "alice"))
    os.unlink(place)
    place.write_text("somebody's")
    made.remove()
    assert place.read_text() == "somebody's"
    os.unlink(place)
    theirs = closed(sockets.listen_unix(bytes(other), "alice"))
    place.symlink_to(other)
    theirs_too = closed(sockets.listen_unix(bytes(tmp_path / "third"), "alice"))
    made.remove()
    assert place.is_symlink()
    assert other.exists()
    os.rename(tmp_path / "third", place)
    made.remove()
    assert place.exists()
    theirs.remove()
    theirs_too.remove()


def test_an_agent_gets_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "AGENT_FOLDERS", str(tmp_path))
    made = sockets.do(messages.ListenAgent(1), "alice")
    folder = Path(os.fsdecode(made.path)).parent
    assert (folder.parent, stat.S_IMODE(folder.stat().st_mode)) == (tmp_path, 0o700)
    assert stat.S_IMODE(os.lstat(made.path).st_mode) == 0o600
    closed(made).remove()
    assert list(tmp_path.iterdir()) == []


def test_an_agent_without_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "AGENT_FOLDERS", str(tmp_path))
    first = sockets.listen_agent("alice", SeededEntropy(1))
    refusal(Unavailable, "SSH-USER-SOCKET", sockets.listen_agent, "alice", SeededEntropy(1))
    closed(first).remove()
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr(sockets, "AGENT_FOLDERS", str(deep))
    refusal(BadParameter, "SSH-USER-PATH", sockets.listen_agent, "alice", SeededEntropy(1))
    assert list(deep.iterdir()) == []


def test_what_the_rights_forbid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may everything, so the kernel's word is given here."""

    def no(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(sockets, "_connected", no)
    refusal(AccessDenied, "SSH-USER-CONNECT", sockets.connect_tcp, "127.0.0.1", 80, "alice")
    refusal(AccessDenied, "SSH-USER-SOCKET", sockets.connect_unix, b"/root/socket", "alice")
