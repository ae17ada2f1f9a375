"""Whether the name of the first hop has an address. Behind an HTTP CONNECT proxy the proxy looks up the target."""

from __future__ import annotations

from teleport.client.doctor.trip import Trip
from teleport.net.dial import Address, resolve

_SHOWN = 4


async def run(trip: Trip) -> str:
    """Raises Unavailable (NET-DNS)."""
    hop = trip.first_hop
    found = await resolve(Address(hop.host, hop.port))
    addresses = list(dict.fromkeys(str(name[0]) for _, name in found))
    more = f" and {len(addresses) - _SHOWN} more" if len(addresses) > _SHOWN else ""
    return f"{hop.host} -> {', '.join(addresses[:_SHOWN])}{more}"
