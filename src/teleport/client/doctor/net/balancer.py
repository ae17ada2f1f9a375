"""Whether a load balancer ends TLS before the proxy, and if so whether connections get through it in a WebSocket."""

from __future__ import annotations

from teleport.client.doctor.trip import Trip
from teleport.net import tls
from teleport.pki.tls_settings import public_context

TIMEOUT = 5.0
PROBE = "http/1.1"


async def run(trip: Trip) -> str:
    """Raises Unavailable (NET-ALPN-STRIPPED, NET-502-BACKEND-HTTP, NET-UPGRADE-UNKNOWN)."""
    way = trip.way()
    trip.balancer = await way.find_out()
    if not trip.balancer:
        return "TLS reaches the proxy unopened"
    carrier = await way.carrier()
    inner = await tls.client_handshake(
        carrier, public_context(insecure=True, alpn=(PROBE,)), TIMEOUT, server_name=trip.address.host
    )  # fmt: skip
    await inner.close()
    return f"a load balancer ({trip.server or 'without a name'}) ends TLS; WebSocket upgrades get through it"
