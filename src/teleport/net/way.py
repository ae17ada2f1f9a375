"""Way: how to get from here to one proxy or Auth Service, whatever stands between.

    way = Way("proxy.example.com:443", network=network, entropy=entropy, environment=os.environ)
    stream = await way.open(["teleport-reversetunnel"], context, "teleport.cluster.local")

What is here: the straight way, the one through an HTTP CONNECT proxy, and the one inside a WebSocket, for load
balancers that end TLS. Which one is needed is found out when the straight one fails, and remembered. What is not: the
protocols themselves (`net.http_connect`, `net.upgrade`), and what the environment's variables mean
(`model.proxy_env`).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence

from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter, TeleportError, Unavailable
from teleport.base.log import logger
from teleport.model.address import Address, parse_addr
from teleport.model.proxy_env import ConnectProxy, connect_proxy, upgrade_wanted
from teleport.net import tls
from teleport.net.http_connect import connect
from teleport.net.network import Network
from teleport.net.stream import Stream
from teleport.net.tls import TlsStream
from teleport.net.upgrade import is_needed, upgrade
from teleport.pki.tls_settings import public_context

log = logger("NET")

WEB_PORT = 443
"""Port of a proxy given without one."""
TIMEOUT = 15.0
"""Seconds for each handshake."""
_BALANCERS_OWN = ("", "h2", "http/1.1")
"""Protocols that a load balancer selects by itself."""
_OF_HTTP = ("NET-ALPN-STRIPPED", "NET-502-BACKEND-HTTP", "NET-UPGRADE-UNKNOWN", "NET-CONNECT-")


class Way:
    """How one address is reached. Kept by whoever dials it, so that what was found out is remembered."""

    def __init__(
        self,
        address: str,
        *,
        network: Network,
        entropy: Entropy,
        environment: Mapping[str, str] | None = None,
        roots: Callable[[], ssl.SSLContext] = public_context,
        insecure: bool = False,
        upgrade: bool | None = None,
    ) -> None:
        """`environment`: variables for proxies and upgrades (`model.proxy_env`); without it none are followed. `roots`:
        whom to trust as a TLS proxy, and as a load balancer that ends TLS, unless `insecure`: for callers to whom the
        real TLS inside proves who answers. `upgrade`: whether connections are upgraded, as was found out before; None
        finds it out when it is needed, False does not even then (the address is no proxy's).

        Raises BadParameter (KIND-ADDRESS, NET-UPGRADE-VALUE).
        """
        self.address: Address = parse_addr(address, WEB_PORT)
        self._network = network
        self._entropy = entropy
        self._environment = environment or {}
        self._roots = roots
        self._insecure = insecure
        self._looks = upgrade is not False
        self._wanted = upgrade_wanted(self._environment, self.address) if self._looks else False
        self.upgraded = bool(upgrade if self._wanted is None else self._wanted)
        """Whether connections are upgraded, as far as is known. Worth remembering for the next program."""

    async def open(
        self, alpn: Sequence[str], context: ssl.SSLContext, server_name: str, *, vouched: ssl.SSLContext | None = None
    ) -> TlsStream:
        """Return a TLS connection with one of the protocols `alpn`, which `context` offers from now on; `server_name`
        is asked for, and checked by the context. Close what you open.

        Inside an upgraded connection the proxy shows a certificate of the cluster. A caller that knows no authority of
        it gives `vouched`, used there in place of `context`: a load balancer that proved itself to `roots` then
        vouches for what is behind it, as it does for people who sign in.

        Raises NotAuthenticated (NET-TLS-*), Unavailable (NET-*), TimedOut (NET-*), AccessDenied (NET-DENIED,
        NET-CONNECT-*), BadParameter (NET-CONNECT-*).
        """
        inner = context if vouched is None or self._insecure else vouched
        if self.upgraded:
            return await self._open_upgraded(alpn, inner, server_name)
        failure: TeleportError | None = None
        try:
            stream = await self._handshake(await self.reach(), alpn, context, server_name)
        except TeleportError as error:
            if not self._looks or not _may_be_a_balancer(error) or not await self.find_out():
                raise
            failure = error
        else:
            expected = stream.peer.alpn not in _BALANCERS_OWN or not _ours(alpn)
            if expected or not self._looks or not await self.find_out():
                return stream
            await stream.close()
        return await self._open_upgraded(alpn, inner, server_name, failure)

    async def carrier(self) -> Stream:
        """Return a connection on which the proxy awaits a TLS handshake, the real one. Raises as `open`."""
        if not self.upgraded:
            return await self.reach()
        host = str(self.address)
        context = public_context(insecure=True) if self._insecure else self._roots()
        stream = await tls.client_handshake(await self.reach(), context, TIMEOUT, server_name=self.address.host)
        try:
            return await upgrade(stream, host, self._entropy)
        except BaseException:
            await stream.close()
            raise

    async def find_out(self) -> bool:
        """Ask what answers whether connections must be upgraded; remember and return it.

        Raises Unavailable (NET-ALPN-STRIPPED) if they must and the environment forbids it, and what reaching the
        address raises.
        """
        needed = await is_needed(await self.reach(), self.address.host)
        if needed and self._wanted is False:
            raise Unavailable(
                "NET-ALPN-STRIPPED", address=self.address, server="in between",
                problem="TELEPORT_TLS_ROUTING_CONN_UPGRADE forbids to go through it in a WebSocket",
            )  # fmt: skip
        if needed and not self.upgraded:
            log.debug("TLS ends before the proxy: connections are upgraded from now on", address=self.address)
        self.upgraded = needed or self._wanted is True
        return self.upgraded

    async def _open_upgraded(
        self, alpn: Sequence[str], context: ssl.SSLContext, server_name: str, failure: TeleportError | None = None
    ) -> TlsStream:
        """`failure`: what the straight way failed with, which is what to tell if nothing here speaks HTTP either: it is
        no load balancer then, but an Auth Service perhaps."""
        try:
            carrier = await self.carrier()
        except TeleportError as error:
            self._forget()
            raise error if failure is None or error.code.startswith(_OF_HTTP) else failure from None
        try:
            return await self._handshake(carrier, alpn, context, server_name)
        except TeleportError:
            self._forget()
            raise

    def _forget(self) -> None:
        """The way may have changed: look again the next time."""
        self.upgraded = self._wanted is True

    async def _handshake(
        self, carrier: Stream, alpn: Sequence[str], context: ssl.SSLContext, server_name: str
    ) -> TlsStream:
        context.set_alpn_protocols(list(alpn))  # no turn of the loop lies between this and its use
        return await tls.client_handshake(carrier, context, TIMEOUT, server_name=server_name)

    async def reach(self) -> Stream:
        """Return a connection to what answers at the address, straight or through a CONNECT proxy. Raises as `open`."""
        host = str(self.address)
        try:
            proxy = connect_proxy(self._environment, *self.address)
        except BadParameter as error:
            log.warn("A variable of the environment names no proxy that could be used", address=host, error=error)
            raise
        if proxy is None:
            return await self._network.dial(host)
        stream = await self._dial_proxy(proxy)
        try:
            return await connect(stream, proxy, host)
        except BaseException:
            await stream.close()
            raise

    async def _dial_proxy(self, proxy: ConnectProxy) -> Stream:
        try:
            stream = await self._network.dial(str(proxy.address))
            if not proxy.tls:
                return stream
            return await tls.client_handshake(stream, self._roots(), TIMEOUT, server_name=proxy.address.host)
        except TeleportError as error:
            raise Unavailable(
                "NET-CONNECT-PROXY", proxy=proxy.address, variable=proxy.variable, problem=error.what
            ) from error


def _may_be_a_balancer(error: TeleportError) -> bool:
    """Say whether a handshake failed as it does when somebody else than the proxy ends TLS."""
    code = error.code
    return code == "NET-RESET" or (
        code.startswith("NET-TLS-") and not code.startswith("NET-TLS-REFUSED") and code != "NET-TLS-TIMEOUT"
    )


def _ours(alpn: Sequence[str]) -> bool:
    return any(name not in _BALANCERS_OWN for name in alpn)
