"""Whether the variables of the environment that change the way can be followed (networking guide, HTTP CONNECT)."""

from __future__ import annotations

from teleport.client.doctor.trip import Trip
from teleport.model.proxy_env import EXCEPTIONS, VARIABLES, upgrade_wanted


async def run(trip: Trip) -> str:
    """Raises BadParameter (NET-CONNECT-VALUE, NET-CONNECT-LOOPBACK, NET-UPGRADE-VALUE)."""
    proxy, upgrade = trip.proxy, upgrade_wanted(trip.environment, trip.address)
    said = {True: ", connections are to be upgraded", False: ", connections are not to be upgraded", None: ""}[upgrade]
    if proxy is not None:
        return f"{proxy.variable} names the HTTP CONNECT proxy {proxy.address}{said}"
    if any(trip.environment.get(name) for name in VARIABLES):
        exceptions = next(name for name in EXCEPTIONS if trip.environment.get(name))
        return f"{exceptions} excepts {trip.address} from the HTTP CONNECT proxy{said}"
    return f"no HTTP CONNECT proxy is named{said}"
