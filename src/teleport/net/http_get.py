"""One GET on a connection that is open, for what proxies say of themselves: bounded, without redirects.

Load balancers on the way may close when they like and may have made chunks of the answer. What is not here: how the
connection came about (`net.way`), and HTTP to others (`net.fetch`).
"""

from __future__ import annotations

import contextlib

from teleport.base.errors import TeleportError
from teleport.net.http_connect import exchange
from teleport.net.stream import Stream
from teleport.wire.http_head import Head

LARGEST = 64 * 1024
"""Bytes of an answer; what follows is left."""


async def get(opened: Stream, host: str, path: str, *, agent: str, timeout: float) -> tuple[Head, bytes]:
    """Return head and body of the answer; the connection is used up. `timeout` is for the head, in seconds.

    Raises ProtocolError (WIRE-HTTP), BadParameter (NET-PROTOCOL), TimedOut (NET-FIRST-BYTES), Unavailable (NET-RESET).
    """
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\n"
        "Accept: application/json\r\nConnection: close\r\n\r\n"
    )
    stream, head = await exchange(opened, request.encode(), timeout=timeout)
    body = await _body(stream, head)
    return head, _unchunked(body) if "chunked" in head.words("transfer-encoding") else body


async def _body(stream: Stream, head: Head) -> bytes:
    """Read what follows the head, as long as it says or until the server closes, in whatever way."""
    length = head.first("content-length")
    wanted, body = min(int(length), LARGEST) if length.isascii() and length.isdigit() else LARGEST, b""
    with contextlib.suppress(TeleportError):
        while len(body) < wanted and (data := await stream.read()):
            body += data
    return body[:wanted]


def _unchunked(body: bytes) -> bytes:
    """Join the chunks (RFC 9112 section 7.1) that a load balancer has made of an answer. Raises ValueError."""
    joined = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size.partition(b";")[0] or b"0", 16)
        joined, body = joined + rest[:length], rest[length + 2 :]
        if not length:
            break
    return joined
