"""The connection upgrade: how a TLS connection to the web port becomes a way to everything else behind it.

What is here: the request and the answer of both sides (network specification, section 5): a WebSocket (RFC 6455,
section 4), or one of two older forms with the same header fields. What is not: frames (`wire.websocket`,
`wire.framing`), and when an upgrade is needed (`net.upgrade`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from teleport.wire.buffer import ProtocolError
from teleport.wire.framing import Framing, LengthFraming
from teleport.wire.http_head import Head
from teleport.wire.websocket import WebSocketFraming

PATH = "/webapi/connectionupgrade"
WEBSOCKET, PLAIN, PINGED = "websocket", "alpn", "alpn-ping"
"""Types of upgrades. The last two are those of old programs, and protocols within a WebSocket."""
LEGACY_FIELD = "X-Teleport-Upgrade"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_SIZE = 16


class Upgraded(NamedTuple):
    """What both sides agreed on."""

    kind: str
    """`websocket`, `alpn` or `alpn-ping`."""
    pinged: bool
    """Whether the server sends pings."""

    def framing(self, mask: Callable[[int], bytes] | None) -> Framing | None:
        """Return how the bytes are framed; None: they are as they are. `mask` as in WebSocketFraming."""
        if self.kind == WEBSOCKET:
            return WebSocketFraming(mask=mask)
        return LengthFraming() if self.kind == PINGED else None


def make_key(token: bytes) -> str:
    """Return the key of a request from 16 random bytes."""
    return base64.b64encode(token).decode()


def accept_of(key: str) -> str:
    """Return the proof that a server has read the key (RFC 6455, section 4.2.2)."""
    digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def write_request(host: str, key: str, protocol: str = PINGED) -> bytes:
    """Return a client's request; `host` is `host[:port]`, `protocol` `alpn` or `alpn-ping`."""
    lines = (
        f"GET {PATH} HTTP/1.1", f"Host: {host}", "User-Agent: Teleport", "Connection: Upgrade",
        f"Upgrade: {WEBSOCKET}", f"Upgrade: {protocol}", f"{LEGACY_FIELD}: {protocol}", "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}", f"Sec-WebSocket-Protocol: {protocol}",
    )  # fmt: skip
    return "\r\n".join((*lines, "", "")).encode("ascii")


def read_answer(head: Head, key: str, protocol: str = PINGED) -> Upgraded:
    """Return what a server's `101` agreed to. Raises ProtocolError (WIRE-UPGRADE) for one that fits no request."""
    kinds = {*head.words("upgrade"), *head.words(LEGACY_FIELD.lower())}
    if WEBSOCKET in kinds:
        if head.first("sec-websocket-accept") != accept_of(key):
            raise _bad("the server has not read the key of the request")
        if head.first("sec-websocket-protocol") != protocol or head.first("sec-websocket-extensions"):
            raise _bad("the server chose what was not offered")
        return Upgraded(WEBSOCKET, protocol == PINGED)
    if kinds == {protocol}:
        return Upgraded(protocol, protocol == PINGED)
    raise _bad("the server switched to something else")


def choose(field: Callable[[str], Sequence[str]]) -> Upgraded | None:
    """Return what a server does with a request; None if there is nothing it could do. `field` gives the values of a
    header field. A WebSocket goes before the older forms.

    Raises ProtocolError (WIRE-UPGRADE) for a WebSocket whose request is not as it must be.
    """
    wanted = {*_words(field("Upgrade")), *_words(field(LEGACY_FIELD))}
    if WEBSOCKET in wanted:
        if field("Sec-WebSocket-Version") != ["13"] or not _is_key(field("Sec-WebSocket-Key")):
            raise _bad("it is not a request for version 13 of WebSocket with a key")
        spoken = [word for word in _words(field("Sec-WebSocket-Protocol")) if word in (PLAIN, PINGED)]
        if not spoken:
            raise _bad("it names no protocol of this server within the WebSocket")
        return Upgraded(WEBSOCKET, spoken[0] == PINGED)
    if PINGED in wanted:
        return Upgraded(PINGED, pinged=True)
    return Upgraded(PLAIN, pinged=False) if PLAIN in wanted else None


def write_answer(upgraded: Upgraded, key: str = "") -> bytes:
    """Return a server's answer; `key` is that of the request for a WebSocket."""
    lines = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", f"Upgrade: {upgraded.kind}"]
    if upgraded.kind == WEBSOCKET:
        protocol = PINGED if upgraded.pinged else PLAIN
        lines += [f"Sec-WebSocket-Accept: {accept_of(key)}", f"Sec-WebSocket-Protocol: {protocol}"]
    else:
        lines.append(f"{LEGACY_FIELD}: {upgraded.kind}")
    return "\r\n".join((*lines, "", "")).encode("ascii")


def _words(values: Sequence[str]) -> list[str]:
    return [word.strip().lower() for word in ",".join(values).split(",") if word.strip()]


def _is_key(values: Sequence[str]) -> bool:
    try:
        return len(values) == 1 and len(base64.b64decode(values[0], validate=True)) == _KEY_SIZE
    except (binascii.Error, ValueError):
        return False


def _bad(problem: str) -> ProtocolError:
    return ProtocolError("WIRE-UPGRADE", problem=problem)
