"""Stream: the only connection type. Socket, TLS, mux channel, WebSocket and memory pair all have these
five methods; `net.bridge` turns any of them into an `asyncio.Transport` for libraries that want one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


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
