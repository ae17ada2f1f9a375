"""Whether a proxy of a cluster answers at the web port, and what it says of itself (`/webapi/find`)."""

from __future__ import annotations

import json

from teleport.base.errors import TeleportError, Unavailable
from teleport.client.doctor.trip import Trip
from teleport.net import tls
from teleport.net.http_connect import server_of
from teleport.net.http_get import get
from teleport.net.stream import Stream
from teleport.net.upgrade import refusal
from teleport.wire.buffer import ProtocolError
from teleport.wire.http_head import ERROR_FIELD, Head

TIMEOUT = 5.0
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
    try:
        return await get(opened, str(trip.address), "/webapi/find", agent="teleport-doctor", timeout=TIMEOUT)
    except (ProtocolError, TeleportError) as error:
        raise _another(trip, error.what) from error


def _another(trip: Trip, problem: str) -> Unavailable:
    return Unavailable("NET-NOT-A-PROXY", address=trip.address, server=trip.server or "without a name", problem=problem)
