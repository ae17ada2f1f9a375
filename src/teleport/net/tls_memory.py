"""TLS inside any Stream: an `ssl.SSLObject` between two memory buffers.

What is here: the stream of plain bytes over a memory pair, a tunnel or another TLS stream. What is not: TLS
on a socket, which is cheaper (`net.tls_socket`).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl

from teleport.base.errors import TeleportError, Unavailable
from teleport.net.socket_stream import Turnstile, drop
from teleport.net.stream import Peer, Stream
from teleport.net.tls_errors import close_notify, is_end, tls_error

_PIECE = 65536
_FLUSH_ON_CLOSE = 1.0


class TlsMemoryStream:
    """Plain bytes over TLS over `inner`, of which this object becomes the owner."""

    def __init__(self, inner: Stream, context: ssl.SSLContext, *, server_side: bool, server_name: str = "") -> None:
        self._inner = inner
        self._peer = inner.peer
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_name or None
        )
        self._flushing = asyncio.Lock()
        self._reading = Turnstile("read", self._peer.address)
        self._writing = Turnstile("write", self._peer.address)
        self._early = b""  # plain bytes that were read while the half close was prepared
        self._read_end = False
        self._write_end = False
        self._broken = False
        self._closed = False

    @property
    def peer(self) -> Peer:
        """Facts about the other end: what its certificate proved, once the handshake is done."""
        return self._peer

    @property
    def ssl_object(self) -> ssl.SSLObject:
        """The TLS connection, for facts about it."""
        return self._tls

    @property
    def closed(self) -> bool:
        """Whether this end is closed."""
        return self._closed

    def know(self, peer: Peer) -> None:
        """Set the facts that the handshake proved."""
        self._peer = peer

    async def handshake(self) -> None:
        """Do the handshake. Raises ssl.SSLError, and Unavailable of the stream below, as they come."""
        while True:
            try:
                self._tls.do_handshake()
                await self._flush()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._fill()
            else:
                return

    async def read(self, limit: int = 65536) -> bytes:
        """See Stream.read and `TlsSocketStream.read`."""
        with self._reading:
            while True:
                self._check()
                if self._early:
                    data, self._early = self._early[:limit], self._early[limit:]
                    return data
                if self._read_end:
                    return b""
                try:
                    data = self._tls.read(limit)
                except ssl.SSLWantReadError:
                    if self._outgoing.pending and not self._flushing.locked():
                        await self._flush()  # an answer of TLS itself; a writer that is at it takes it along
                    await self._fill()
                except ssl.SSLZeroReturnError:
                    self._read_end = True
                except ssl.SSLError as error:
                    raise self._failure(error) from error
                else:
                    self._read_end = not data
                    return data

    async def write(self, data: bytes) -> None:
        """See Stream.write. Cancelled with data under way, the stream can not be written any more."""
        with self._writing:
            self._check()
            if self._write_end:
                raise Unavailable("NET-RESET", address=self._peer.address, reason="the end was written before")
            view = memoryview(data)
            for at in range(0, len(view), _PIECE):
                try:
                    self._tls.write(view[at : at + _PIECE])
                except ssl.SSLError as error:
                    raise self._failure(error) from error
                try:
                    await self._flush()
                except BaseException:
                    self._broken = True  # only a part of `data` went out
                    raise

    async def write_eof(self) -> None:
        """See Stream.write_eof: sends close_notify; reading goes on."""
        with self._writing:
            self._check()
            if self._write_end:
                return
            self._write_end = True
            try:
                self._drain()
                close_notify(self._tls.unwrap, self._tls.read)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                raise self._failure(error) from error
            await self._flush()

    async def close(self) -> None:
        """See Stream.close. Tries for a moment to send close_notify."""
        if self._closed:
            return
        self._closed = True
        if not self._broken and not self._writing.busy:
            with contextlib.suppress(ssl.SSLError):
                if not self._write_end:
                    close_notify(self._tls.unwrap, self._tls.read)
            with contextlib.suppress(TeleportError, TimeoutError):
                async with asyncio.timeout(_FLUSH_ON_CLOSE):
                    await self._flush()
        await self._inner.close()

    async def close_after_failure(self, patience: float) -> None:
        """Send the alert that OpenSSL left behind, for at most `patience` seconds, and close."""
        self._closed = True
        try:
            with contextlib.suppress(TeleportError, TimeoutError):
                async with asyncio.timeout(patience):
                    await self._flush()
        finally:
            await self._inner.close()

    def reset(self) -> None:
        """Drop the connection at once: the peer does not see an orderly end."""
        self._broken = True
        drop(self._inner)

    def _drain(self) -> None:
        """Keep what has arrived: OpenSSL's shutdown would lose it."""
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            while not self._read_end:
                data = self._tls.read(_PIECE)
                self._early += data
                self._read_end = not data

    async def _fill(self) -> None:
        data = await self._inner.read(_PIECE)
        if data:
            self._incoming.write(data)
        elif not self._incoming.eof:
            self._incoming.write_eof()
        else:
            raise Unavailable("NET-TLS-TRUNCATED", address=self._peer.address)

    async def _flush(self) -> None:
        async with self._flushing:
            while self._outgoing.pending:
                data = self._outgoing.read(_PIECE)
                try:
                    await self._inner.write(data)
                except BaseException:
                    self._broken = True  # part of a record is lost: nothing can follow it
                    raise

    def _check(self) -> None:
        if self._closed or self._broken:
            raise Unavailable("NET-CLOSED", address=self._peer.address)

    def _failure(self, error: ssl.SSLError) -> TeleportError:
        if is_end(error):
            return Unavailable("NET-TLS-TRUNCATED", address=self._peer.address)
        return tls_error(self._peer.address, error)
