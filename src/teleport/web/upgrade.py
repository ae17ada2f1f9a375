"""The connection upgrade: a request after which its connection leads to everything behind the web port.

For clients behind a load balancer that ends TLS. What is not here: the bytes (`wire.connection_upgrade`), what they
lead to (handed in as `Site.inner`), and the client's side (`net.upgrade`).
"""

from __future__ import annotations

import dataclasses

from aiohttp import web

from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter, NotFound
from teleport.net.framed import PING_EVERY, FramedStream
from teleport.net.peek import PeekStream
from teleport.net.stream import Stream
from teleport.web.app import SITE, Inner
from teleport.web.security import client
from teleport.web.server import Connection
from teleport.wire.connection_upgrade import PATH, Upgraded, choose, write_answer


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [web.get(PATH, switch, allow_head=False)]


async def switch(request: web.Request) -> web.Response:
    """Switch to what the client asks for. Raises NotFound (WEB-UPGRADE), BadParameter (WEB-UPGRADE-LOST, WIRE-UPGRADE,
    WEB-FORWARDED)."""
    site = request.app[SITE]
    agreed = choose(lambda name: request.headers.getall(name, []))
    if agreed is None or site.inner is None:
        types = ", ".join(request.headers.getall("Upgrade", []))[:80]
        raise NotFound("WEB-UPGRADE", types=ascii(types))
    if "upgrade" not in request.headers.get("Connection", "").lower():
        raise BadParameter("WEB-UPGRADE-LOST")
    connection = request.protocol
    assert isinstance(connection, Connection)  # noqa: S101 - nothing else serves this application
    successor = _Successor(agreed, client(request), site.inner, site.entropy)
    connection.hand_over(write_answer(agreed, request.headers.get("Sec-WebSocket-Key", "")), successor)
    return web.Response(status=101)


@dataclasses.dataclass(frozen=True)
class _Successor:
    """Serves the connection after the answer."""

    agreed: Upgraded
    client: str
    inner: Inner
    entropy: Entropy

    async def __call__(self, outer: Stream) -> None:
        """Hand on what is inside. What the outer TLS proved is the load balancer's, not the client's."""
        peer = dataclasses.replace(outer.peer, address=self.client, certificate=b"", alpn="", server_name="")
        framing = self.agreed.framing(None)
        if framing is None:
            plain = PeekStream(outer)
            plain.know(peer)
            await self.inner(plain)
            return
        stream = FramedStream(outer, framing, peer=peer)
        if self.agreed.pinged:
            stream.ping_every(PING_EVERY, self.entropy)
        try:
            await self.inner(stream)
        finally:
            await stream.close()
