"""Whether the HTTP CONNECT proxy lets connections to the address pass."""

from __future__ import annotations

from teleport.client.doctor.trip import Trip


async def run(trip: Trip) -> str:
    """Raises AccessDenied and Unavailable (NET-CONNECT-*)."""
    proxy = trip.proxy
    if proxy is None:
        return "straight, no HTTP CONNECT proxy on the way"
    stream = await trip.way().reach()
    await stream.close()
    return f"{proxy.address} connects to {trip.address}"
