"""Targets on floor 1: what the other side of a connection that can be resumed says, before and after the change."""

from __future__ import annotations

from teleport.wire.buffer import NeedMore, ProtocolError
from teleport.wire.resumption import Duplex
from teleport.wire.resumption_opening import (
    MARK,
    RESUME,
    ClientOpening,
    Greeting,
    NodeOpening,
    Request,
    read_answer,
    write_answer,
    write_greeting,
    write_request,
)
from tests.fuzz.engine import Target, plain, register

_WINDOW = 64
_VERSION, _PACKET = b"SSH-2.0-Fuzz\r\n", b"\0\0\0\x04init"
_GREETING = write_greeting(Greeting("host", bytes(range(16))))
_END = b"\xff" * 9 + b"\1"
_WORDS = (MARK, RESUME, b"SSH-2.0-", b"\r\n", b"\0\0\0\x04", _END, b"\x80", b"\0\0")


def _frames() -> list[bytes]:
    return [b"\0\x05hello\x05\x00\x02\x03you" + _END, b"\0\x00\x09\x01x", _END + b"\0\0"]


def _openings() -> list[bytes]:
    server = [_VERSION + _PACKET, _GREETING + _VERSION + _PACKET + MARK + b"frames"]
    client = [_VERSION + _PACKET + MARK + b"\0\1x", write_request(Request(bytes(16), 7, b"signature"))]
    return [*server, *client, _VERSION + write_answer(7), _VERSION + write_answer(None)]


def _hear(data: bytes, size: int) -> tuple[bytes, bool, int]:
    """Tell a side that has said something `data` in pieces of `size`."""
    duplex, found = Duplex(_WINDOW), b""
    duplex.write(b"x" * 2 * _WINDOW)
    for at in range(0, len(data), size):
        found += b"".join(duplex.receive(data[at : at + size]))
        duplex.more()
        duplex.acknowledgement()
    assert duplex.kept <= 2 * _WINDOW
    return found, duplex.ended, duplex.acknowledged


def _duplex(data: bytes) -> object:
    try:
        found = _hear(data, 3)
    except ProtocolError as error:
        return error.what
    return found


def _open(data: bytes, size: int) -> tuple[object, ...]:
    """Show `data` to a node and to a client; what of it is SSH, and what was agreed on."""
    node, client, heard = NodeOpening(), ClientOpening(), [b"", b""]
    client.send(_VERSION + _PACKET)
    for at in range(0, len(data), size):
        piece = data[at : at + size]
        heard[0] += piece if node.decided else node.receive(piece)
        heard[1] += piece if client.marked else client.receive(piece)
        if client.ready:
            client.mark()
    assert len(node.rest) <= 8192 + size
    return node.resumable, node.request, client.plain, client.marked, *map(len, heard)


def _opening(data: bytes) -> object:
    try:
        answer: object = read_answer(data)
    except (NeedMore, ProtocolError) as error:
        answer = error.code
    try:
        return answer, _open(data, 5)
    except ProtocolError as error:
        return answer, error.what


register(Target("wire.resumption", plain(_duplex), _frames, (ProtocolError,), dictionary=_WORDS))
register(
    Target("wire.resumption_opening", plain(_opening), _openings, (ProtocolError,), widths=(2, 4), dictionary=_WORDS)
)
