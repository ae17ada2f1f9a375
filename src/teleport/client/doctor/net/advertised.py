"""Whether the addresses that the proxy tells its clients lead somewhere from here."""

from __future__ import annotations

from teleport.base.errors import TeleportError
from teleport.client.doctor.report import Finding
from teleport.client.doctor.trip import Trip
from teleport.model.address import Address, parse_addr
from teleport.net.way import WEB_PORT

SSH_PORT, TUNNEL_PORT = 3023, 3024
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared only


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
    proxy = trip.found["proxy"]
    ssh = proxy["ssh"]
    public = parse_addr(str(ssh["public_addr"]), WEB_PORT) if ssh.get("public_addr") else trip.address
    found = {} if public == trip.address else {"public_addr": public}
    if not proxy.get("tls_routing_enabled", True):
        found["ssh"] = _on(public, str(ssh["listen_addr"]), SSH_PORT)
        found["tunnels"] = _on(public, str(ssh["tunnel_listen_addr"]), TUNNEL_PORT)
    return found


def _on(public: Address, listen: str, port: int) -> Address:
    """A port that listens everywhere is reached at the public host."""
    address = parse_addr(listen, port)
    return Address(public.host, address.port) if address.host in _EVERYWHERE else address


async def _try(trip: Trip, address: Address) -> None:
    other = type(trip)(address, trip.environment, trip.network, trip.clock, trip.entropy)
    stream = await other.way().reach()
    await stream.close()


def _unreachable(trip: Trip, what: str, address: Address, error: TeleportError) -> Finding:
    if what == "public_addr":
        evidence = f"{trip.address} answers, the public_addr that the proxy names does not: {error.what}"
        return Finding.told("advertised", "NET-SPLIT-DNS", evidence, address=address)
    evidence = f"the port for {what} does not answer: {error.what}"
    return Finding.told("advertised", "NET-PORTS", evidence, address=address)
