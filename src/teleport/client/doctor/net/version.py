"""Whether this program and the proxy are of versions that work together."""

from __future__ import annotations

from teleport.base.errors import BadParameter, NotSupported
from teleport.base.version_order import ordered
from teleport.client.doctor.report import Finding
from teleport.client.doctor.trip import Trip
from teleport.version import VERSION


async def run(trip: Trip) -> str | Finding:
    """Raises NotSupported (NET-VERSION-OLD) for a client that the proxy turns away."""
    server, least = str(trip.found.get("server_version", "")), str(trip.found.get("min_client_version", ""))
    try:
        theirs, ours = ordered(server), ordered(VERSION)
        if least and ours < ordered(least):
            raise NotSupported("NET-VERSION-OLD", ours=VERSION, theirs=server, least=least)
    except BadParameter as error:
        return Finding.of("version", error, "warn")
    evidence = f"this program {VERSION}, proxy {server}"
    if abs(theirs[0] - ours[0]) > 1:
        return Finding.told("version", "VER-SKEW", evidence)
    return evidence
