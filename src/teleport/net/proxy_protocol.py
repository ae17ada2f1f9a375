"""PROXY protocol on a listener: who is behind the load balancer, and whom to believe.

What is here: the headers before the first byte of a connection, taken as the listener's mode says (network
specification, sections 3.1-3.3); from then on `stream.peer` names the client. At most one unsigned header, from a
load balancer, and one signed, from a proxy of the cluster. What is not: the header (`wire.proxy_header`) and its
signature (`pki.client_address`).
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import ipaddress
from collections.abc import Awaitable, Callable
from typing import Literal

from teleport.base.clock import Clock
from teleport.base.errors import AccessDenied, BadParameter, TeleportError, TimedOut
from teleport.base.log import Logger
from teleport.net.listen import Handler
from teleport.net.peek import TIMEOUT, Peekable, peek, peekable, take
from teleport.net.socket_stream import SocketStream, format_address
from teleport.net.stream import Stream
from teleport.pki.client_address import is_signed
from teleport.wire.buffer import ProtocolError
from teleport.wire.proxy_header import Endpoint, ProxyHeader, build_v2, looks_like, parse

Mode = Literal["on", "off", ""]
"""`on`: a load balancer stands before the listener and always says who its client is. `off`: none does. Empty: nobody
has said; what is claimed is taken, and nothing that must be proven rests on it."""
Verify = Callable[[ProxyHeader], Awaitable[None]]
"""Return if a proxy of the cluster signed the header. Raises TeleportError."""
WINDOW = dt.timedelta(seconds=60)
"""Time within which the same complaint is written once."""
_OWN = ("NET-PROXY-", "WIRE-PROXY-", "PKI-")
_UNSET = "NET-PROXY-UNSET"


class ProxyProtocol:
    """What a listener does with PROXY headers."""

    def __init__(
        self, mode: Mode, *, clock: Clock, log: Logger, verify: Verify | None = None, timeout: float = TIMEOUT
    ) -> None:
        """Without `verify` no signed header is believed. `timeout`: seconds in which all headers must have come."""
        self._mode = mode
        self._clock = clock
        self._log = log
        self._verify = verify
        self._timeout = timeout
        self._told: dict[str, tuple[dt.datetime, int]] = {}

    @property
    def expected(self) -> bool:
        """Whether every connection has to begin with a header. Where none has to, a protocol in which the server speaks
        first cannot wait for one."""
        return self._mode == "on"

    def before(self, handler: Handler) -> Handler:
        """Return a handler that takes the headers first. A refusal is logged, and ends its connection alone."""

        async def handle(stream: Stream) -> None:
            arrived = await self.receive(stream)
            if arrived is not None:
                await handler(arrived)

        return handle

    async def receive(self, stream: Stream) -> Peekable | None:
        """Take the headers; return the stream with its client's address, or None after a refusal (logged).

        Raises what is no matter of headers: BadParameter (NET-PROTOCOL: nothing came), TimedOut (NET-FIRST-BYTES),
        Unavailable (NET-RESET).
        """
        arrived = peekable(stream)
        carrier = arrived.peer.address
        try:
            async with asyncio.timeout(self._timeout):
                await self._headers(arrived)
        except TimeoutError:
            raise TimedOut("NET-FIRST-BYTES", address=carrier, seconds=f"{self._timeout:g}") from None
        except TeleportError as error:
            if not error.code.startswith(_OWN):
                raise
            self._tell("A connection was refused", carrier, error)
            return None
        return arrived

    async def _headers(self, stream: Peekable) -> None:
        unsigned = signed = False
        while (header := await _next(stream)) is not None:
            if is_signed(header):
                if signed:
                    raise BadParameter("NET-PROXY-TWICE", form="signed")
                await self._check(header)
                await _use(stream, header)
                signed = True
                continue
            if signed:
                raise BadParameter("NET-PROXY-ORDER")
            if unsigned:
                raise BadParameter("NET-PROXY-TWICE", form="unsigned")
            await self._unsigned(stream, header)
            unsigned = True
        if self._mode == "on" and not (unsigned or signed) and not _is_own(stream):
            raise AccessDenied("NET-PROXY-MISSING", address=stream.peer.address)

    async def _check(self, header: ProxyHeader) -> None:
        if self._verify is None:
            raise AccessDenied("PKI-CLIENT-ADDRESS", problem="this listener knows no proxy that could sign")
        await self._verify(header)

    async def _unsigned(self, stream: Peekable, header: ProxyHeader) -> None:
        carrier = stream.peer.address
        if self._mode == "off":
            raise AccessDenied("NET-PROXY-OFF", address=carrier)
        if not self._mode:
            self._tell("A PROXY header is not provided for", carrier, BadParameter(_UNSET, address=carrier))
        await _use(stream, header, port=None if self._mode else 0)

    def _tell(self, message: str, address: str, error: TeleportError) -> None:
        """Write an error, each once in a minute: anybody may cause them, as many as they like."""
        now = self._clock.now()
        since, more = self._told.get(error.code, (now - WINDOW, 0))
        if now - since < WINDOW:
            self._told[error.code] = (since, more + 1)
            return
        self._told[error.code] = (now, 0)
        say = self._log.error if error.code == _UNSET else self._log.warn
        say(message, peer=address, error=error, more_before=more)


async def _next(stream: Peekable) -> ProxyHeader | None:
    """Look for a header at the beginning of what comes. Raises ProtocolError (WIRE-PROXY-HEADER) for half of one."""
    seen = b""

    def recognise(data: bytes) -> ProxyHeader | None:
        nonlocal seen
        seen = data
        if not looks_like(data):
            return None
        return parse(data)

    try:
        return await peek(stream, recognise)
    except BadParameter as error:
        if error.code == "NET-PROTOCOL" and seen:
            raise ProtocolError("WIRE-PROXY-HEADER", problem="the connection ended in the middle of it") from None
        raise


async def _use(stream: Peekable, header: ProxyHeader, *, port: int | None = None) -> None:
    """Take the header and believe it, with another source port if one is given."""
    await take(stream, header.size)
    if header.source is not None:
        source = header.source if port is None else Endpoint(header.source.host, port)
        stream.know(dataclasses.replace(stream.peer, address=shown(source)))


def shown(end: Endpoint) -> str:
    """Return `host:port`; an IPv4 address inside IPv6 as what it is."""
    address = ipaddress.ip_address(end.host)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return format_address((str(mapped or address), end.port))


def introduction(
    client: Stream, target: Stream, entry: Callable[[Endpoint, Endpoint], tuple[int, bytes]]
) -> bytes:  # fmt: skip
    """Return the signed header with which `target` learns who `client` is; empty where an end has no IP address.

    `entry` makes the signature for source and destination. Addresses of different families are both written as
    IPv6, because a header has one family.
    """
    ends = [_endpoint(stream.peer.address) for stream in (client, target)]
    if ends[0] is None or ends[1] is None:
        return b""
    source, destination = ends[0], ends[1]
    if (":" in source.host) != (":" in destination.host):
        source, destination = _as_v6(source), _as_v6(destination)
    return build_v2(source, destination, (entry(source, destination),))


def _endpoint(text: str) -> Endpoint | None:
    host, _, port = text.rpartition(":")
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
        return Endpoint(str(address), int(port))
    except ValueError:
        return None


def _as_v6(end: Endpoint) -> Endpoint:
    return end if ":" in end.host else Endpoint(str(ipaddress.ip_address(f"::ffff:{end.host}")), end.port)


def _is_own(stream: Peekable) -> bool:
    """Say whether a connection came from this machine's own address: a service beside this one, or its checks."""
    if not isinstance(stream, SocketStream):
        return False
    own, other = (_endpoint(text) for text in (format_address(stream.sock.getsockname()), stream.peer.address))
    return own is not None and other is not None and own.host == other.host
