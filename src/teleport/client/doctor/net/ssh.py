"""Whether bytes of SSH get through: what stock `ssh -J` needs, and what shows a load balancer that speaks HTTP."""

from __future__ import annotations

from teleport.base.errors import TeleportError
from teleport.client.doctor.report import Finding
from teleport.client.doctor.trip import Trip
from teleport.model.address import Address, parse_addr

GREETING = b"SSH-2.0-doctor\r\n"
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared only
SSH_PORT = 3023


async def run(trip: Trip) -> str | Finding:
    """Sends a greeting (RFC 4253 section 4.2) and looks at the first bytes of the answer."""
    target = _target(trip)
    stream = await type(trip)(target, trip.environment, trip.network, trip.clock, trip.entropy).way().reach()
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
    proxy = trip.found.get("proxy", {})
    if proxy.get("tls_routing_enabled", True):
        return trip.address
    listen = parse_addr(str(proxy["ssh"]["listen_addr"]), SSH_PORT)
    return Address(trip.address.host, listen.port) if listen.host in _EVERYWHERE else listen
