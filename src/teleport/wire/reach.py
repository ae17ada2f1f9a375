"""Reach: the request with which a client asks a proxy for a node, and the proxy's answer.

What is here: one frame each way, after which the connection carries the node's bytes. What is not: TLS, which
says who asks, and what the target means (`model.node_lookup`).

Frame: 32-bit length, body. Request: version 1, target (16-bit length), cluster, login (8-bit lengths), UTF-8.
Answer: status of gRPC (0: connected); otherwise code, id, number of fields, and name and value of each.
"""

from __future__ import annotations

from teleport.base.errors import TeleportError, from_grpc
from teleport.base.lean import NamedTuple
from teleport.wire.buffer import ProtocolError, Reader, Writer

VERSION = 1
REQUEST_LIMIT = 2048
"""Most bytes of a request, its length included."""
ANSWER_LIMIT = 65536
"""Most bytes of an answer, its length included."""
ALPN = "teleport-proxy-ssh"
"""Protocol name under which a proxy expects a request."""

_FIELDS, _VALUE = 15, 1000


class Request(NamedTuple):
    """What a client wants to reach."""

    target: str
    """`host`, `host:port` or the id of a node."""
    cluster: str = ""
    """Empty for the proxy's own."""
    login: str = ""
    """Login on the node; empty if the client does not say."""


def write_request(request: Request) -> bytes:
    """Return the frame of a request. Raises ProtocolError (WIRE-REACH) for what `read_request` refuses."""
    target, cluster, login = (text.encode("utf-8", "replace") for text in _texts(request))
    if max(len(cluster), len(login)) > 255 or len(target) > REQUEST_LIMIT:
        raise _bad("a name is too long")
    frame = _frame(Writer().u8(VERSION).vector16(target).vector8(cluster).vector8(login))
    read_request(frame)
    return frame


def read_request(data: bytes) -> tuple[Request, int]:
    """Read the request at the beginning of `data`; return it with the bytes that it takes.

    Raises NeedMore while it is incomplete, ProtocolError (WIRE-REACH) if it is none.
    """
    body, size = _body(data, REQUEST_LIMIT)
    reader = Reader(body)
    try:
        version = reader.u8()
        if version != VERSION:
            raise _bad(f"version {version} is not known")
        request = Request(_text(reader.vector16()), _text(reader.vector8()), _text(reader.vector8()))
        reader.expect_end()
    except ProtocolError as error:
        raise (error if error.code == "WIRE-REACH" else _bad(error.what)) from None
    if not request.target:
        raise _bad("it names no target")
    for text in _texts(request):
        if not text.isprintable() or " " in text:
            raise _bad("a name has blanks or characters that do not print")
    return request, size


def write_answer(error: TeleportError | None) -> bytes:
    """Return the frame of an answer: None is a connection, an error says why there is none."""
    writer = Writer().u8(error.kind.grpc if error else 0)
    if error:
        # Whoever does not know the code can still show what happened.
        fields = [("message", error.what), *(pair for pair in error.fields.items() if pair[0] != "message")][:_FIELDS]
        writer.vector8(error.code.encode()).vector8(error.id.encode()).u8(len(fields))
        for name, value in fields:
            writer.vector8(name.encode()[:255]).vector16(value[:_VALUE].encode("utf-8", "replace"))
    return _frame(writer)


def read_answer(data: bytes) -> tuple[TeleportError | None, int]:
    """Read the answer at the beginning of `data`; return the error, or None for a connection, and its size.

    Raises NeedMore while it is incomplete, ProtocolError (WIRE-REACH) if it is none.
    """
    body, size = _body(data, ANSWER_LIMIT)
    reader = Reader(body)
    try:
        status = reader.u8()
        error = _error(status, reader) if status else None
        reader.expect_end()
    except ProtocolError as problem:
        raise (problem if problem.code == "WIRE-REACH" else _bad(problem.what)) from None
    return error, size


def _error(status: int, reader: Reader) -> TeleportError:
    code, id = _text(reader.vector8()), _text(reader.vector8())
    fields = {_text(reader.vector8()): _text(reader.vector16()) for _ in range(reader.u8())}
    return from_grpc(status, code, fields, id)


def _texts(request: Request) -> tuple[str, str, str]:
    return request.target, request.cluster, request.login


def _frame(body: Writer) -> bytes:
    return bytes(Writer().vector32(bytes(body)))


def _body(data: bytes, limit: int) -> tuple[bytes, int]:
    reader = Reader(data, complete=False)
    length = reader.u32()
    if not 0 < length <= limit - 4:
        raise _bad(f"its length is {length}")
    return reader.take(length), reader.position


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise _bad("a text is not UTF-8") from None


def _bad(problem: str) -> ProtocolError:
    return ProtocolError("WIRE-REACH", problem=problem)
