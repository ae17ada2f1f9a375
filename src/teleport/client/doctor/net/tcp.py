"""Whether a connection can be made to the first hop."""

from __future__ import annotations

from teleport.base.errors import TeleportError
from teleport.client.doctor.report import Finding
from teleport.client.doctor.trip import Trip

_PORTS = {
    443: "the proxy's one port", 3080: "the proxy's web port", 3025: "the Auth Service",
    3023: "SSH clients of the proxy", 3024: "reverse tunnels",
}  # fmt: skip


async def run(trip: Trip) -> str | Finding:
    """A port that does not answer is named with the direction in which a firewall has to let it pass."""
    hop = trip.first_hop
    try:
        stream = await trip.network.dial(str(hop))
    except TeleportError as error:
        return _closed(trip, error)
    await stream.close()
    through = "" if hop == trip.address else " (the HTTP CONNECT proxy)"
    return f"{hop} accepts connections{through}"


def _closed(trip: Trip, error: TeleportError) -> Finding:
    hop = trip.first_hop
    what = "the HTTP CONNECT proxy" if hop != trip.address else _PORTS.get(hop.port, "the proxy")
    found = Finding.of("tcp", error)
    fix = f"let TCP pass from this machine to {hop} ({what}), and see that it is running there: {found.fix}"
    return Finding("tcp", "fail", found.evidence, cause=found.cause, fix=fix, code=found.code)
