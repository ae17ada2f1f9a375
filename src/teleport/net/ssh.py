"""SSH connections that we serve: asyncssh's transport under our own authentication and our own doors.

asyncssh does versions, key exchange, ciphers, rekeying and windows. Ours are: who is let in (`ssh_auth`), which
channels and requests exist (`ssh_doors`, `ssh_channel`), and the bounds; here the carrier: its end, its fullness, and
the life of a connection. asyncssh's own authentication, SFTP, forwarding, agent and X11 code is never
reached. Private names used stand in `ssh_private`.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from typing import Any

from asyncssh.constants import DISC_SERVICE_NOT_AVAILABLE

from teleport.net.resumption import Carrier, ResumableTransport, Resumptions, carry
from teleport.net.socket_stream import SocketStream
from teleport.net.ssh_auth import ATTEMPTS, QUERIES
from teleport.net.ssh_channel import SessionChannel
from teleport.net.ssh_doors import CHANNELS, TOO_MANY, Doors
from teleport.net.ssh_handler import Forwards, Handler, Listens, Place, Proof, Refusal, Trust, one_line
from teleport.net.ssh_packets import MALFORMED
from teleport.net.ssh_settings import ServerOptions
from teleport.net.stream import Peer, Stream

__all__ = [
    "ATTEMPTS", "CHANNELS", "QUERIES", "TOO_MANY", "Forwards", "Handler", "Listens", "Place", "Proof",
    "Refusal", "ServerConnection", "Trust", "one_line", "serve",
]  # fmt: skip

UNSENT_BYTES = 16 * 1024 * 1024
"""Output that may wait for a client that does not read; beyond it the connection ends."""
LINGER = 2.0
"""Seconds that a client has to take our last words."""
TCP_QUICKACK = 12  # linux/tcp.h; the socket module has no name for it


async def serve(
    stream: Stream, *, settings: ServerOptions, trust: Trust, handler: Callable[[ServerConnection], Handler],
    resumptions: Resumptions | None = None,
) -> None:  # fmt: skip
    """Speak SSH on an accepted stream until either side ends it. The stream is closed at the end. With `resumptions`
    the connection may outlive the stream, and another one may lead to a connection that did."""
    connection = ServerConnection(settings, stream=stream, trust=trust, handler=handler)
    transport: Carrier | ResumableTransport | None = None
    try:
        transport = _carry(stream, connection, resumptions)
        await connection.wait_closed()
        await transport.wait_closed()
    finally:
        connection.abort()
        if transport is not None:
            transport.abort()
        await stream.close()


def _carry(
    stream: Stream, connection: ServerConnection, resumptions: Resumptions | None
) -> Carrier | ResumableTransport:  # fmt: skip
    if resumptions is not None:
        resumable = ResumableTransport(stream, connection, resumptions)
        resumable.start()
        return resumable
    transport = carry(stream, connection)
    connection.connection_made(transport)
    transport.start()
    return transport


class ServerConnection(Doors):
    """One connection of a client."""

    def __init__(
        self, settings: ServerOptions, *, stream: Stream, trust: Trust,
        handler: Callable[[ServerConnection], Handler],
    ) -> None:  # fmt: skip
        super().__init__(settings, trust=trust, client_ip=stream.peer.proven_ip)
        self.client = stream.peer.address
        """Address of the client, `host:port`."""
        self.local = _own_address(stream)
        """Our own address that the client reached, `host:port`; empty where the carrier has none."""
        self._handler = handler(self)
        self._carrier = stream.sock if isinstance(stream, SocketStream) else None

    def data_received(self, data: bytes | memoryview, datatype: Any = None) -> None:
        if not self._auth_complete:
            self._acknowledge_at_once()
        transport = self._transport
        if transport is not None and transport.get_write_buffer_size() > UNSENT_BYTES:
            self.abort()
            return
        super().data_received(data, datatype)

    def use(self, transport: asyncio.Transport) -> None:
        """Write to another transport from now on."""
        self._transport = transport

    def resumed(self, peer: Peer) -> None:
        """The client has come back, and is there now."""
        self.client, self.client_ip = peer.address, peer.proven_ip

    def _acknowledge_at_once(self) -> None:
        """OpenSSH's client keeps Nagle's algorithm on until its session starts, so each of its second small
        packets would wait for our delayed acknowledgement (two times 40 ms a login)."""
        if self._carrier is not None and self._carrier.family in (socket.AF_INET, socket.AF_INET6):
            try:
                self._carrier.setsockopt(socket.IPPROTO_TCP, TCP_QUICKACK, 1)
            except OSError:
                pass  # it has been closed

    def end(self, reason: str) -> None:
        """End the connection with a reason that clients show; asyncssh would close the channels before, and clients
        would leave with the last of them."""
        self._send_disconnect(DISC_SERVICE_NOT_AVAILABLE, reason, "")
        self._force_close(None)

    def _force_close(self, exc: Exception | None) -> None:
        """End the connection. asyncssh drops what is unsent, and with it the reason it has just given; here
        the client gets a moment to take it."""
        transport = self._transport
        if transport is not None:
            self._transport = None
            transport.close()
            self._loop.call_later(LINGER, transport.abort)
            self._loop.call_soon(self._cleanup, exc)

    def pause_writing(self) -> None:
        self._hold(True)

    def resume_writing(self) -> None:
        self._hold(False)

    def _hold(self, held: bool) -> None:
        self.output_held = held
        for channel in list(self._channels.values()):
            if isinstance(channel, SessionChannel):
                channel.hold_output(held)

    def internal_error(self, exc_info: Any = None, error_logger: Any = None) -> None:
        """asyncssh closes the connection and tells nobody."""
        error = (exc_info or sys.exc_info())[1]
        if isinstance(error, MALFORMED):
            self.end_as_malformed(error)
            return
        if error is not None:
            self._handler.failed(error)
        super().internal_error(exc_info, error_logger)


def _own_address(stream: Stream) -> str:
    if not isinstance(stream, SocketStream) or stream.sock.family not in (socket.AF_INET, socket.AF_INET6):
        return ""
    host, port = stream.sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
