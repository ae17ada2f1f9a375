"""The proxy's door for who joins: hosts and bots that have no certificate yet, and trust the proxy's web certificate.

What is said here is passed on to the Auth Service, which decides; the proxy adds the address of who says it and lends
nothing of its own (joining reference, section 6).
"""

from __future__ import annotations

from teleport.api import rpc
from teleport.api.caller import Caller
from teleport.api.client import AuthClient
from teleport.api.join_calls import PROXY_ALPN
from teleport.api.services import join
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.log import logger
from teleport.net.stream import Stream

log = logger("PROXY")

ALPN = PROXY_ALPN
MOST = 256
"""Connections at a time; a conversation takes a minute at most."""


class JoinDoor:
    """Serves connections whose TLS was opened with the web certificate."""

    def __init__(self, client: AuthClient, *, clock: Clock, entropy: Entropy) -> None:
        """`client` acts as the proxy."""
        self._server = rpc.Server(join.relay(client.channel), clock=clock, entropy=entropy, on_defect=_defect)
        self._open = 0

    async def serve(self, stream: Stream) -> None:
        """Serve one connection until it ends; one too many is closed at once."""
        if self._open >= MOST:
            log.warn("Too many join at a time, one is turned away", peer=stream.peer.address, limit=MOST)
            await stream.close()
            return
        self._open += 1
        try:
            await self._server.serve(stream, Caller(None, stream.peer.address))
        finally:
            self._open -= 1

    async def close(self) -> None:
        """End every conversation."""
        await self._server.close()


def _defect(method: str, id: str, error: BaseException) -> None:
    log.error("A call failed unexpectedly", method=method, id=id, error=error)
