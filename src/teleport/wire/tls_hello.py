"""ClientHello: the first message of a TLS connection, read without opening TLS.

What is here: from the first bytes to the server name and the protocols that the client offers
(RFC 8446 section 4.1.2 and 5.1, RFC 6066 section 3, RFC 7301). Strict, because the router acts on the
answer: what OpenSSL would refuse later is refused here. What is not: any cryptography, or the handshake.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from teleport.wire.buffer import NeedMore, ProtocolError, Reader

LIMIT = 16384
"""Most bytes of a ClientHello, TLS record headers included."""
RECORDS = 16
"""Most TLS records over which it may be spread; bounds the work that a trickle of tiny records causes."""

_HANDSHAKE, _CLIENT_HELLO = 22, 1
_SERVER_NAME, _ALPN = 0, 16
_NAME = re.compile(rb"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,253}[A-Za-z0-9_])?")


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What a router needs of a ClientHello."""

    server_name: str
    """SNI in lower case; empty if the client sent none."""
    alpn: tuple[str, ...]
    """Protocols in the client's order of preference, byte for byte as Latin-1."""
    size: int
    """Bytes that the ClientHello takes on the wire, record headers included."""


def parse(data: bytes) -> ClientHello:
    """Read the ClientHello at the beginning of `data`; what follows it is left alone.

    Raises NeedMore while `data` is a correct but incomplete beginning, ProtocolError (WIRE-TLS-HELLO,
    WIRE-TLS-SIZE) as soon as it cannot become a ClientHello.
    """
    try:
        message, size = _message(data)
        server_name, alpn = _hello(Reader(message))
    except ProtocolError as error:
        if error.code.startswith("WIRE-TLS-"):
            raise
        raise _bad(error.what) from error
    return ClientHello(server_name, alpn, size)


def _bad(problem: str) -> ProtocolError:
    return ProtocolError("WIRE-TLS-HELLO", problem=problem)


def _too_large() -> ProtocolError:
    return ProtocolError("WIRE-TLS-SIZE", limit=LIMIT, records=RECORDS)


def _message(data: bytes) -> tuple[bytes, int]:
    """Join the handshake message from its records: (body, size on the wire)."""
    reader, body = Reader(data, complete=False), b""
    for _ in range(RECORDS):
        length = _record_header(reader)
        if reader.position + length > LIMIT:
            raise _too_large()
        # The fragment may be partly here: its first bytes already tell a wrong or an oversized message.
        partial = reader.take(min(length, reader.remaining))
        body += partial
        _check_start(body)
        if len(partial) < length:
            raise NeedMore(length - len(partial))
        if len(body) >= 4 and len(body) >= (wanted := 4 + int.from_bytes(body[1:4], "big")):
            if len(body) > wanted:
                raise _bad("its last record holds more than the message")
            return body[4:], reader.position
    raise _too_large()


def _record_header(reader: Reader) -> int:
    """Take a record header byte by byte, so that a wrong first byte is refused without waiting."""
    kind = reader.u8()
    if kind != _HANDSHAKE:
        raise _bad(f"record type {kind}")
    major = reader.u8()
    if major != 3:
        raise _bad(f"record version {major}")
    reader.u8()
    length = reader.u16()
    if not 0 < length <= LIMIT:
        raise _bad(f"record length {length}")
    return length


def _check_start(body: bytes) -> None:
    if body[:1] not in (b"", bytes([_CLIENT_HELLO])):
        raise _bad(f"handshake message {body[0]}")
    if len(body) >= 4 and int.from_bytes(body[1:4], "big") > LIMIT:
        raise _too_large()


def _hello(reader: Reader) -> tuple[str, tuple[str, ...]]:
    version = reader.u16()
    if version >> 8 != 3:
        raise _bad(f"client version {version:#06x}")
    reader.take(32)  # random
    if len(reader.vector8()) > 32:
        raise _bad("session id too long")
    suites = reader.vector16()
    if not suites or len(suites) % 2:
        raise _bad("cipher suites")
    if 0 not in reader.vector8():
        raise _bad("compression methods")
    if not reader.remaining:  # TLS 1.2 allows a hello without extensions
        return "", ()
    extensions = Reader(reader.vector16())
    reader.expect_end()
    return _extensions(extensions)


def _extensions(reader: Reader) -> tuple[str, tuple[str, ...]]:
    server_name = ""
    alpn: tuple[str, ...] = ()
    seen: set[int] = set()
    while reader.remaining:
        kind, content = reader.u16(), Reader(reader.vector16())
        if kind in seen:
            raise _bad(f"extension {kind} twice")
        seen.add(kind)
        if kind == _SERVER_NAME:
            server_name = _server_name(content)
        elif kind == _ALPN:
            alpn = _alpn(content)
    return server_name, alpn


def _server_name(reader: Reader) -> str:
    names = Reader(reader.vector16())
    reader.expect_end()
    kind, name = names.u8(), names.vector16()
    names.expect_end()
    if kind != 0 or not _NAME.fullmatch(name):
        raise _bad("server name")
    return name.decode("ascii").lower()


def _alpn(reader: Reader) -> tuple[str, ...]:
    entries = Reader(reader.vector16())
    reader.expect_end()
    names: list[str] = []
    while entries.remaining:
        name = entries.vector8()
        if not name:
            raise _bad("empty protocol name")
        names.append(name.decode("latin-1"))
    if not names:
        raise _bad("empty list of protocol names")
    return tuple(names)
