"""The door: TLS on 3025. Finds out who is at the other end of a connection before it is served.

Refused in the handshake: certificates that have expired, that are not of this cluster, that are not for clients.
Whoever shows none is nobody, and reaches what nobody may. Whoever shows one that OpenSSL accepts and we do not
(another cluster under a shared authority, another address than the pinned one) is served one answer: why.

Bounded are the seconds of a handshake, the connections of one source as long as it has proven nothing, and those of
one identity afterwards. What a connection may take once it is served stands in `api.connection`.
"""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from teleport.api.caller import Caller
from teleport.api.refused import of_their_certificate
from teleport.auth.refusals import Refusals, source_of
from teleport.base.clock import Clock
from teleport.base.errors import LimitExceeded, TeleportError
from teleport.base.log import logger
from teleport.model.identity import Identity
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.net import tls
from teleport.net.stream import Stream
from teleport.pki import check

log = logger("AUTH")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the door."""

    handshake: float = 10.0
    """Seconds."""
    strangers: int = 32
    """Connections of one source without a certificate: in the handshake, or as nobody."""
    callers: int = 64
    """Connections of one identity."""
    arriving: int = 512
    """Connections of one sender that have not sent their first byte, or are still saying for whom they come."""


class Door:
    """Serves streams that were just accepted."""

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        serve: Callable[[Stream, Caller], Awaitable[None]],
        authorities: Callable[[], Awaitable[Sequence[CertAuthority]]],
        refusals: Refusals,
        clock: Clock,
        cluster: str,
        limits: Limits | None = None,
        arrive: Callable[[Stream], Awaitable[Stream | None]] | None = None,
    ) -> None:
        """`context` asks for certificates of the cluster's authorities without requiring one. `arrive` takes what
        stands before TLS and says who the peer is (`net.proxy_protocol.ProxyProtocol.receive`)."""
        self._context = context
        self._serve = serve
        self._authorities = authorities
        self._refusals = refusals
        self._clock = clock
        self._cluster = cluster
        self._limits = limits or Limits()
        self._strangers = Tally(self._limits.strangers)
        self._callers = Tally(self._limits.callers)
        self._arriving = Tally(self._limits.arriving)
        self._arrive = arrive

    async def serve(self, stream: Stream) -> None:
        """Serve one connection until it ends."""
        arrived = await self._arrived(stream)
        if arrived is not None:
            await self._serve_arrived(arrived)

    async def _arrived(self, stream: Stream) -> Stream | None:
        if self._arrive is None:
            return stream
        sender = source_of(Caller(None, stream.peer.address).ip)
        with self._arriving.place(sender) as place:
            if not place:
                await self._full(stream, sender, self._limits.arriving)
                return None
            try:
                return await self._arrive(stream)
            except TeleportError as error:
                log.debug("A connection said nothing", peer=stream.peer.address, error=error)
                return None

    async def _serve_arrived(self, stream: Stream) -> None:
        source = source_of(Caller(None, stream.peer.address).ip)
        with self._strangers.place(source) as place:
            if not place:
                await self._full(stream, source, self._limits.strangers)
                return
            opened = await self._handshake(stream)
            if opened is None:
                return
            caller = await self._caller(opened)
            if caller.identity is None:
                await self._serve(opened, caller)
                return
        await self._serve_known(opened, caller, caller.identity)

    async def _serve_known(self, stream: Stream, caller: Caller, identity: Identity) -> None:
        key = f"{identity.kind}:{identity.name}"
        with self._callers.place(key) as place:
            if place:
                await self._serve(stream, caller)
                return
        error = LimitExceeded("API-CONNECTIONS", name=identity.name, limit=self._limits.callers)
        await self._refusals.note(caller.ip, error)
        with self._strangers.place(source_of(caller.ip)) as told:  # who is turned away is a stranger again
            if told:
                await self._serve(stream, Caller(None, caller.address, error))

    async def _handshake(self, stream: Stream) -> Stream | None:
        try:
            return await tls.server_handshake(stream, self._context, self._limits.handshake)
        except TeleportError as error:
            refused = of_their_certificate(error)
            if refused is not None:
                await self._refusals.note(Caller(None, stream.peer.address).ip, refused)
            else:  # a port scan, a health check, a client of another protocol: nothing that was refused
                log.debug("A TLS handshake failed", peer=stream.peer.address, error=error)
            return None

    async def _caller(self, stream: Stream) -> Caller:
        peer = stream.peer
        nobody = Caller(None, peer.address)
        if not peer.certificate:
            return nobody
        try:
            identity = check.check_x509(
                peer.certificate, authorities=await self._authorities(), now=self._clock.now(),
                source_ip=peer.proven_ip, cluster=self._cluster,
            )  # fmt: skip
        except TeleportError as error:
            await self._refusals.note(nobody.ip, error)
            return Caller(None, peer.address, error)
        return Caller(identity, peer.address)

    async def _full(self, stream: Stream, source: str, limit: int) -> None:
        error = LimitExceeded("API-CONNECTIONS", name=source or "this source", limit=limit)
        await self._refusals.note(Caller(None, stream.peer.address).ip, error)


class Tally:
    """Counts what is held at a time, by key."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: Counter[str] = Counter()

    @contextmanager
    def place(self, key: str) -> Iterator[bool]:
        """Hold a place for the time of a block; False if there is none left."""
        if self._held[key] >= self._most:
            yield False
            return
        self._held[key] += 1
        try:
            yield True
        finally:
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]
