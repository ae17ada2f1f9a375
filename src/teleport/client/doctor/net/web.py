"""Whether a proxy of a cluster answers at the web port, and what it says of itself (`/webapi/find`)."""

from __future__ import annotations

import contextlib
import json

from teleport.base.errors import TeleportError, Unavailable
from teleport.client.doctor.trip import Trip
from teleport.net import tls
from teleport.net.http_connect import exchange, server_of
from teleport.net.stream import Stream
from teleport.net.upgrade import refusal
from teleport.wire.buffer import ProtocolError
from teleport.wire.http_head import ERROR_FIELD, Head

TIMEOUT = 5.0
LARGEST = 64 * 1024
_BACKEND_DOWN = (502, 503, 504)


async def run(trip: Trip) -> str:
    """Raises Unavailable (NET-502-BACKEND-HTTP, NET-NOT-A-PROXY)."""
    carrier = await trip.way().reach()
    opened = await tls.client_handshake(carrier, trip.web_context(), TIMEOUT, server_name=trip.address.host)
    try:
        head, body = await _get(opened, trip)
    finally:
        await opened.close()
    trip.server, trip.date = server_of(head), head.first("date")
    if head.status in _BACKEND_DOWN or head.first(ERROR_FIELD.lower()) == "NET-PLAIN-HTTP":
        raise refusal(head, str(trip.address))
    try:
        said = json.loads(body)
        trip.cluster = trip.cluster or str(said["cluster_name"])
        trip.found = dict(said)
        version = str(said["server_version"])
    except (ValueError, LookupError, TypeError):
        raise _another(trip, f"it answered {head.status} without what a proxy says of itself") from None
    return f"the proxy of {trip.cluster}, version {version}, answers"


async def _get(opened: Stream, trip: Trip) -> tuple[Head, bytes]:
    request = (
        f"GET /webapi/find HTTP/1.1\r\nHost: {trip.address}\r\nUser-Agent: teleport-doctor\r\n"
        "Accept: application/json\r\nConnection: close\r\n\r\n"
    )
    try:
        stream, head = await exchange(opened, request.encode(), timeout=TIMEOUT)
    except (ProtocolError, TeleportError) as error:
        raise _another(trip, error.what) from error
    body = await _body(stream, head)
    return head, _unchunked(body) if "chunked" in head.words("transfer-encoding") else body


async def _body(stream: Stream, head: Head) -> bytes:
    """Read what follows the head, as long as it says or until the server closes, in whatever way."""
    length = head.first("content-length")
    wanted, body = min(int(length), LARGEST) if length.isascii() and length.isdigit() else LARGEST, b""
    with contextlib.suppress(TeleportError):
        while len(body) < wanted and (data := await stream.read()):
            body += data
    return body


def _unchunked(body: bytes) -> bytes:
    """Join the chunks (RFC 9112 section 7.1) that a load balancer has made of an answer."""
    joined = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size.partition(b";")[0] or b"0", 16)
        joined, body = joined + rest[:length], rest[length + 2 :]
        if not length:
            break
    return joined


def _another(trip: Trip, problem: str) -> Unavailable:
    return Unavailable("NET-NOT-A-PROXY", address=trip.address, server=trip.server or "without a name", problem=problem)
