"""Whether bytes of SSH get through: what stock `ssh -J` needs, and what shows a load balancer that speaks HTTP."""

from __future__ import annotations

from teleport.base.errors import TeleportError
from teleport.client.doctor.report import Finding
from teleport.client.doctor.trip import Trip
from teleport.model.address import Address
from teleport.model.config.proxy import PORTS

GREETING = b"SSH-2.0-doctor\r\n"


async def run(trip: Trip) -> str | Finding:
    """Sends a greeting (RFC 4253 section 4.2) and looks at the first bytes of the answer."""
    target = _target(trip)
    stream = await trip.way(target).reach()
    try:
        await stream.write(GREETING)
        answer = await stream.read(256)
    except TeleportError:
        answer = b""
    finally:
        await stream.close()
    if answer.startswith(b"SSH-"):
        return f"{target} speaks SSH"
    said = ascii(answer.split(b"\r\n")[0][:60].decode("latin-1")) if answer else "nothing"
    evidence = f"a greeting of SSH was answered with {said}"
    if trip.balancer:
        return Finding.told("ssh", "NET-WEB-OK-CLI-BAD", evidence, "warn")
    return Finding.told("ssh", "NET-NO-SSH", evidence, address=target)


def _target(trip: Trip) -> Address:
    if trip.found.get("proxy", {}).get("tls_routing_enabled", True):
        return trip.address
    return trip.own_port("ssh", PORTS["ssh"])
