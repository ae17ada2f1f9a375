"""Whether the addresses that the proxy tells its clients lead somewhere from here."""

from __future__ import annotations

from teleport.base.errors import TeleportError
from teleport.client.doctor.report import Finding
from teleport.client.doctor.trip import Trip
from teleport.model.address import Address
from teleport.model.config.proxy import PORTS


async def run(trip: Trip) -> str | Finding:
    """Tries the public address if it is another one, and the separate ports if there are some."""
    try:
        wanted = _advertised(trip)
    except (TeleportError, LookupError, TypeError) as error:
        return Finding("advertised", "warn", f"what the proxy says of its addresses cannot be read: {error}")
    for what, address in wanted.items():
        try:
            await _try(trip, address)
        except TeleportError as error:
            return _unreachable(trip, what, address, error)
    if not wanted:
        return f"the proxy names {trip.address} and no other address"
    return ", ".join(f"{what} {address} answers" for what, address in wanted.items())


def _advertised(trip: Trip) -> dict[str, Address]:
    found = {} if trip.public == trip.address else {"public_addr": trip.public}
    if not trip.found["proxy"].get("tls_routing_enabled", True):
        found |= {"ssh": trip.own_port("ssh", PORTS["ssh"]), "tunnels": trip.own_port("tunnel", PORTS["tunnel"])}
    return found


async def _try(trip: Trip, address: Address) -> None:
    stream = await trip.way(address).reach()
    await stream.close()


def _unreachable(trip: Trip, what: str, address: Address, error: TeleportError) -> Finding:
    if what == "public_addr":
        evidence = f"{trip.address} answers, the public_addr that the proxy names does not: {error.what}"
        return Finding.told("advertised", "NET-SPLIT-DNS", evidence, address=address)
    evidence = f"the port for {what} does not answer: {error.what}"
    return Finding.told("advertised", "NET-PORTS", evidence, address=address)
