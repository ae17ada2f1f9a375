"""Stream: the only connection type. Socket, TLS, mux channel, WebSocket and memory pair all have these
five methods; `net.bridge` turns any of them into an `asyncio.Transport` for libraries that want one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

Sink = Callable[[bytes | memoryview], int]
"""Takes bytes at once, or the first of them, and returns how many; what it keeps it copies."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end, as far as the carrier knows."""

    address: str = ""
    """`host:port`, a path, or empty."""
    certificate: bytes = b""
    """Certificate that the peer proved in TLS, DER; empty without one."""
    alpn: str = ""
    server_name: str = ""
    """Name that the client asked for (SNI)."""
    uid: int = -1
    """User id of a peer on a unix socket (SO_PEERCRED); -1 elsewhere."""
    pid: int = -1

    @property
    def proven_ip(self) -> str:
        """IP address that a certificate may be bound to. Empty where there is none, and where one was only claimed:
        such an address has port 0 (`net.proxy_protocol`)."""
        host, _, port = self.address.rpartition(":")
        return "" if port == "0" else host.strip("[]")


class Stream(Protocol):
    """A two-way byte channel. One reader and one writer at a time."""

    async def read(self, limit: int = 65536) -> bytes:
        """Return at least one and at most `limit` bytes; `b""` at the end. Raises Unavailable (NET-RESET)."""
        ...

    async def write(self, data: bytes) -> None:
        """Send all of `data`; returns when the carrier may take more. Raises Unavailable (NET-RESET)."""
        ...

    async def write_eof(self) -> None:
        """Say that no more will be written; reading goes on."""
        ...

    async def close(self) -> None:
        """Release the stream. Closing twice is allowed; the peer sees the end."""
        ...

    @property
    def peer(self) -> Peer:
        """Facts about the other end."""
        ...


# A Stream may have two methods more, which save a turn of the loop for each few bytes. Nobody needs to know which do.


def hand_on(stream: Stream, sink: Sink | None) -> None:
    """Let `sink` have what comes while a read of `stream` waits; that read returns what it did not take. A stream that
    cannot do that goes on as before."""
    method: Callable[[Sink | None], None] | None = getattr(stream, "hand_on", None)
    if method is not None:
        method(sink)


def write_now(stream: Stream) -> Sink:
    """Return what sends as much of some bytes as goes without waiting; `write` must follow with the rest, if any. It
    raises nothing: what is wrong shows there."""
    return getattr(stream, "write_now", _nothing)


def _nothing(data: bytes | memoryview) -> int:
    return 0
