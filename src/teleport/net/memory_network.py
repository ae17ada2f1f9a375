"""A network in memory for simulations: dial and listen by name, with delay, cuts and refusals.

What is here: `MemoryNetwork`, which stands in for `SystemNetwork`. What is not: the streams (`net.memory`),
TLS (it reads the machine's clock), or the virtual clock (tests).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from teleport.base.errors import TimedOut, Unavailable
from teleport.net.dial import Address, parse_address
from teleport.net.listen import Connections, ErrorSink, Handler, Limits
from teleport.net.memory import LIMIT, MemoryStream, memory_pair
from teleport.net.stream import Peer


@dataclass
class _Place:
    """What the network knows of one address."""

    listener: MemoryListener | None = None
    delay: float = 0.0
    refusing: bool = False
    silent: bool = False
    streams: set[MemoryStream] = field(default_factory=set)


class MemoryNetwork:
    """Addresses that exist only here. Every delay is in loop time, so a virtual loop passes it at once."""

    def __init__(self, *, timeout: float = 10.0, limit: int = LIMIT, uid: int = 0) -> None:
        """`timeout`: seconds until a silent address fails; `limit`: bytes under way in each direction of a
        connection; `uid`: user that the peers of `unix:` addresses are said to run as."""
        self._timeout = timeout
        self._limit = limit
        self._uid = uid
        self._places: dict[str, _Place] = {}
        self._errors: list[BaseException] = []
        self._ports = 40000

    @property
    def errors(self) -> list[BaseException]:
        """What handlers failed with, in order."""
        return self._errors

    async def dial(self, address: str) -> MemoryStream:
        """See Network.dial."""
        where = parse_address(address)
        place = self._place(str(where))
        if place.silent:
            await asyncio.sleep(self._timeout)
            raise TimedOut("NET-TIMEOUT", address=where, seconds=f"{self._timeout:g}")
        await asyncio.sleep(place.delay)
        if place.refusing or place.listener is None or place.listener.full:
            raise Unavailable("NET-REFUSED", address=where)
        ours, theirs = memory_pair(limit=self._limit, delay=place.delay, peers=self._peers(where))
        place.streams = {stream for stream in place.streams if not stream.closed} | {ours}
        place.listener.serve(theirs)
        return ours

    async def listen(self, address: str, handler: Handler, *, limits: Limits | None = None) -> MemoryListener:
        """See Network.listen."""
        where = parse_address(address)
        if not where.path and not where.port:
            where = Address(where.host, self._next_port())
        place = self._place(str(where))
        if place.listener is not None:
            raise Unavailable("NET-IN-USE", address=where)
        place.listener = MemoryListener(self, str(where), handler, limits or Limits(), self._errors.append)
        return place.listener

    def delay(self, address: str, seconds: float) -> None:
        """Let each byte and each dial of connections made from now on take `seconds`."""
        self._known(address).delay = seconds

    def refuse(self, address: str, refusing: bool = True) -> None:
        """Refuse (or accept again) new connections."""
        self._known(address).refusing = refusing

    def silence(self, address: str, silent: bool = True) -> None:
        """Let new connections time out, as behind a firewall that drops (or end that)."""
        self._known(address).silent = silent

    def cut(self, address: str) -> int:
        """Reset every connection that was made to `address`; return how many were alive."""
        place = self._known(address)
        alive = [stream for stream in place.streams if not stream.closed]
        for stream in alive:
            stream.reset()
        place.streams.clear()
        return len(alive)

    def forget(self, listener: MemoryListener) -> None:
        """Free the address of a closed listener. Called by the listener."""
        place = self._place(listener.address)
        if place.listener is listener:
            place.listener = None

    def _peers(self, where: Address) -> tuple[Peer, Peer]:
        if where.path:
            return Peer(address=str(where), uid=self._uid, pid=1), Peer(address=str(where), uid=self._uid, pid=1)
        return Peer(address=str(where)), Peer(address=f"127.0.0.1:{self._next_port()}")

    def _next_port(self) -> int:
        self._ports = self._ports + 1 if self._ports < 65535 else 40000
        return self._ports

    def _place(self, address: str) -> _Place:
        return self._places.setdefault(address, _Place())

    def _known(self, address: str) -> _Place:
        return self._place(str(parse_address(address)))


class MemoryListener:
    """A listener of a MemoryNetwork."""

    def __init__(
        self, network: MemoryNetwork, address: str, handler: Handler, limits: Limits, on_error: ErrorSink
    ) -> None:
        self._network = network
        self._address = address
        self._connections = Connections(handler, limits, name=f"serve {address}", on_error=on_error)

    @property
    def address(self) -> str:
        """See Listener.address."""
        return self._address

    @property
    def full(self) -> bool:
        """Whether the limit of connections is reached."""
        return self._connections.full

    def serve(self, stream: MemoryStream) -> None:
        """Hand a connection to the handler."""
        self._connections.serve(stream)

    async def close(self, grace: float | None = None) -> None:
        """See Listener.close."""
        self._network.forget(self)
        await self._connections.close(grace)

    async def serve_forever(self) -> None:
        """See Listener.serve_forever."""
        await self._connections.closed.wait()
