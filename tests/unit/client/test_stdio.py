"""Standard input and output over TLS, by blocking sockets: byte-exact, with ends that are told apart."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from teleport.base.errors import NotAuthenticated, NotFound, TeleportError, Unavailable
from teleport.client.stdio import BlockingTls, join
from teleport.wire.reach import read_answer, write_answer
from tests.support import tls as certificates

Serve = Callable[[ssl.SSLSocket], None]
LENGTH = 20 << 20


class Peer:
    """The server's end: a thread that serves one connection."""

    def __init__(self, serve: Serve, context: ssl.SSLContext) -> None:
        self.near, self._far = socket.socketpair()
        self.near.settimeout(20)
        self._far.settimeout(20)
        self._serve, self._context = serve, context
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with (
            contextlib.suppress(OSError),
            self._context.wrap_socket(self._far, server_side=True, suppress_ragged_eofs=False) as opened,
        ):
            self._serve(opened)
        self._far.close()

    def end(self) -> None:
        self.near.close()
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture
def connect() -> Iterator[Callable[[Serve], BlockingTls]]:
    peers: list[Peer] = []
    authority = certificates.authority()

    def make(serve: Serve, context: ssl.SSLContext | None = None) -> BlockingTls:
        peers.append(Peer(serve, authority.server()))
        return BlockingTls(peers[-1].near, Named(context or authority.client()), "proxy.example:443")

    yield make
    for peer in peers:
        peer.end()


class Named:
    """Gives the server's name, as contexts of ours do by themselves."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def wrap_bio(self, *args: object, **kwargs: object) -> ssl.SSLObject:
        return self._context.wrap_bio(*args, **kwargs, server_hostname=certificates.NAME)


Connect = Callable[..., BlockingTls]


def echo(opened: ssl.SSLSocket) -> None:
    """Echo until the peer's end, then say `END` and end."""
    with contextlib.suppress(ssl.SSLZeroReturnError):
        while data := opened.recv(65536):
            opened.sendall(data)
    opened.sendall(b"END")
    with contextlib.suppress(OSError):
        opened.unwrap()


def run(tls: BlockingTls, data: bytes) -> bytes:
    """Join the connection with pipes, feed `data` and return what came out."""
    source, feed = os.pipe()
    out, target = os.pipe()
    received: list[bytes] = []

    def write() -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(feed, view) :]
        os.close(feed)

    def read() -> None:
        while piece := os.read(out, 65536):
            received.append(piece)

    threads = [threading.Thread(target=work) for work in (write, read)]
    for thread in threads:
        thread.start()
    try:
        join(tls, source, target)
        assert os.get_blocking(source)
    finally:
        os.close(target)
        os.close(source)
        for thread in threads:
            thread.join(20)
        os.close(out)
    return b"".join(received)


def test_target_that_may_block_is_asked_first(connect: Connect, tmp_path: Path) -> None:
    """A file, as a terminal, is shared with others and stays as it is."""
    tls, data = connect(echo), os.urandom(LENGTH)
    tls.handshake()
    (tmp_path / "source").write_bytes(data)
    with open(tmp_path / "source", "rb") as source, open(tmp_path / "target", "wb") as target:
        join(tls, source.fileno(), target.fileno())
        assert os.get_blocking(target.fileno())
    assert (tmp_path / "target").read_bytes() == data + b"END"


@pytest.mark.parametrize("size", [0, 1, 65536, LENGTH])
def test_bytes_are_exact_both_ways_and_half_an_end_is_no_end(connect: Connect, size: int) -> None:
    tls, data = connect(echo), os.urandom(size)
    tls.handshake()
    assert run(tls, data) == data + b"END"


def test_what_the_answer_brought_along_is_not_lost(connect: Connect) -> None:
    def serve(opened: ssl.SSLSocket) -> None:
        assert opened.recv(100) == b"please"
        opened.sendall(write_answer(None) + b"SSH-2.0-x\r\n")
        opened.unwrap()

    tls = connect(serve)
    tls.handshake()
    tls.ask(b"please")
    tls.answer(read_answer)
    assert run(tls, b"") == b"SSH-2.0-x\r\n"


def test_a_refusal_is_raised(connect: Connect) -> None:
    def serve(opened: ssl.SSLSocket) -> None:
        opened.recv(100)
        answer = write_answer(NotFound("POL-NOT-FOUND", kind="node", name="n", decision="d"))
        for byte in answer:
            opened.sendall(bytes([byte]))

    tls = connect(serve)
    tls.handshake()
    tls.ask(b"please")
    with pytest.raises(NotFound) as caught:
        tls.answer(read_answer)
    assert caught.value.code == "POL-NOT-FOUND"


@pytest.mark.parametrize("orderly", [True, False])
def test_an_end_instead_of_an_answer(connect: Connect, orderly: bool) -> None:
    def serve(opened: ssl.SSLSocket) -> None:
        opened.recv(100)
        if orderly:
            opened.settimeout(0)  # our own end is enough
            opened.unwrap()

    tls = connect(serve)
    tls.handshake()
    tls.ask(b"please")
    with pytest.raises(Unavailable) as caught:
        tls.answer(read_answer)
    assert caught.value.code == "NET-TLS-TRUNCATED"


def test_a_cut_is_not_taken_for_the_end(connect: Connect) -> None:
    tls = connect(lambda opened: opened.sendall(b"half"))
    tls.handshake()
    with pytest.raises(Unavailable) as caught:
        run(tls, b"")
    assert caught.value.code in ("NET-TLS-TRUNCATED", "NET-RESET")  # it may end before it has read our end


def test_a_peer_that_takes_no_more_may_still_say_why(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    def serve(opened: ssl.SSLSocket) -> None:
        opened.sendall(b"the reason")
        opened.settimeout(0)
        opened.unwrap()

    def refuse() -> None:
        raise Unavailable("NET-RESET", address="proxy.example:443", reason="broken pipe")

    tls = connect(serve)
    tls.handshake()
    tls.flush()
    monkeypatch.setattr(tls, "flush", refuse)
    assert run(tls, b"x" * 100) == b"the reason"


def test_a_server_of_another_authority_is_refused(connect: Connect) -> None:
    tls = connect(echo, certificates.authority("another").client())
    with pytest.raises(NotAuthenticated) as caught:
        tls.handshake()
    assert caught.value.code == "NET-TLS-UNKNOWN-CA"


@pytest.mark.parametrize("greeting", [b"220 mail\r\n", b""])
def test_what_does_not_speak_tls(greeting: bytes) -> None:
    near, far = socket.socketpair()
    with near, far:
        far.sendall(greeting)
        far.shutdown(socket.SHUT_WR)
        tls = BlockingTls(near, Named(certificates.authority().client()), "proxy.example:443")  # type: ignore[arg-type]
        with pytest.raises(Unavailable) as caught:
            tls.handshake()
    assert caught.value.code == ("NET-TLS-NOT-TLS" if greeting else "NET-TLS-EOF")


def test_silence_ends_with_a_text() -> None:
    near, far = socket.socketpair()
    with near, far:
        near.settimeout(0.05)
        tls = BlockingTls(near, Named(certificates.authority().client()), "proxy.example:443")  # type: ignore[arg-type]
        with pytest.raises(TeleportError) as caught:
            tls.handshake()
    assert (caught.value.code, "no answer in time" in caught.value.what) == ("CLIENT-UNREACHABLE", True)


def test_a_reader_that_is_gone(connect: Connect) -> None:
    tls = connect(lambda opened: [opened.sendall(b"x" * 65536) for _ in range(50)])  # type: ignore[arg-type,return-value]
    tls.handshake()
    source, feed = os.pipe()
    out, target = os.pipe()
    os.close(out)
    with pytest.raises(BrokenPipeError):
        join(tls, source, target)
    for descriptor in (source, feed, target):
        os.close(descriptor)
