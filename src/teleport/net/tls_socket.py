"""TLS on a real socket: a non-blocking `ssl.SSLSocket` driven by readiness.

What is here: the stream of plain bytes after the handshake, and the handshake's steps. What is not: which
certificates to trust (the caller's SSLContext), TLS inside another stream (`net.tls_memory`).

Half close: OpenSSL's shutdown sends close_notify and then reads; application data that it meets there is
lost and breaks the connection. So while it runs, the descriptor points at a socket pair that never has
anything to read; what it wrote there is sent afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import ssl
import struct
import threading
from typing import Any

from teleport.base.errors import TeleportError, Unavailable
from teleport.net.intake import Intake
from teleport.net.readiness import Readiness
from teleport.net.socket_stream import Turnstile, reset_error
from teleport.net.stream import Peer, Sink
from teleport.net.tls_errors import close_notify, is_end, tls_error

SCRATCH = 262144
"""Most bytes that one read returns: many records per turn of the loop is what makes bulk cheap."""
_RECORD = 16384


class _Scratch(threading.local):
    """Room to read into, used between two awaits only: the connections of a thread share it. Threads must not, since
    OpenSSL works without the interpreter's lock."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(SCRATCH))


_scratch = _Scratch()


class TlsSocketStream:
    """Plain bytes over an SSLSocket of which this object becomes the owner."""

    def __init__(self, sock: ssl.SSLSocket, carrier: Peer) -> None:
        """Take over a wrapped, connected socket before its handshake; `carrier` is the socket's peer."""
        self._socket = sock
        self._peer = carrier
        self._ready = Readiness(sock, carrier.address)
        self._reading = Turnstile("read", carrier.address)
        self._writing = Turnstile("write", carrier.address)
        self._intake = Intake(self._ready, self._receive)
        self._read_end = False
        self._write_end = False
        self._unfinished = False  # OpenSSL holds part of a record that must be completed first

    @property
    def peer(self) -> Peer:
        """Facts about the other end: what its certificate proved, once the handshake is done."""
        return self._peer

    @property
    def ssl_object(self) -> ssl.SSLSocket:
        """The TLS connection, for facts about it; reading or writing it directly is not allowed."""
        return self._socket

    @property
    def sock(self) -> ssl.SSLSocket:
        """The socket, for options and addresses."""
        return self._socket

    @property
    def closed(self) -> bool:
        """Whether this end is closed or reset."""
        return self._ready.closed

    async def handshake(self) -> None:
        """Do the handshake. Raises ssl.SSLError and OSError as they come."""
        while True:
            try:
                return self._socket.do_handshake()
            except ssl.SSLWantReadError:
                await self._ready.readable()
            except ssl.SSLWantWriteError:
                await self._ready.writable()

    def know(self, peer: Peer) -> None:
        """Set the facts that the handshake proved."""
        self._peer = peer

    async def read(self, limit: int = 65536) -> bytes:
        """See Stream.read. An end without TLS's own closing message raises Unavailable (NET-TLS-TRUNCATED), a
        refusal of our certificate NotAuthenticated (NET-TLS-REFUSED-*)."""
        with self._reading:
            try:
                return await self._intake.read(limit)
            except OSError as error:
                raise self._lost(error) from error

    def hand_on(self, sink: Sink | None) -> None:
        """See `net.stream.hand_on`."""
        self._intake.sink = sink

    def _receive(self, limit: int) -> bytes:
        """Read as many records as are there, up to `limit` bytes. Raises as SSLSocket does if there is none."""
        if self._read_end:
            return b""
        limit, size, tls, room = min(limit, SCRATCH), 0, self._tls, _scratch.view
        try:
            while size < limit:
                count = tls.read(limit - size, room[size:])
                size += count
                if not count:
                    self._read_end = True
                # A record that is not full is likely the last: asking again costs a call that fails.
                if count < _RECORD and not tls.pending():
                    break
        except ssl.SSLZeroReturnError:
            self._read_end = True
        except OSError as error:
            if not size:
                raise  # otherwise the next read meets it again
            self._intake.unreported = not isinstance(error, ssl.SSLWantReadError)
        self._intake.unreported |= self._read_end
        return bytes(room[:size])

    async def write(self, data: bytes) -> None:
        """See Stream.write. Cancelled or failed with data under way, the connection is reset."""
        with self._writing:
            await self._ready.turn()
            if self._write_end:
                raise Unavailable("NET-RESET", address=self._peer.address, reason="the end was written before")
            sent, view = 0, memoryview(data)
            try:
                while sent < len(view):
                    sent += await self._send(view[sent:])
            except OSError as error:
                raise self._lost(error) from error
            except BaseException:
                if sent or self._unfinished:
                    self.reset()
                raise

    async def _send(self, view: memoryview) -> int:
        try:
            count: int = self._tls.write(view[:SCRATCH])
        except ssl.SSLWantWriteError:
            self._unfinished = True
            await self._ready.writable()
            return 0
        except ssl.SSLWantReadError:
            self._unfinished = True
            await self._ready.readable()
            return 0
        self._unfinished = False
        return count

    def write_now(self, data: bytes | memoryview) -> int:
        """See `net.stream.write_now`."""
        if self._writing.busy or self._write_end or self._unfinished or self._ready.closed:
            return 0
        try:
            return int(self._tls.write(memoryview(data)[:SCRATCH]))
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            self._unfinished = True
        except OSError:
            pass
        return 0

    async def write_eof(self) -> None:
        """See Stream.write_eof: sends close_notify; reading goes on."""
        with self._writing:
            self._ready.check()
            if self._write_end:
                return
            try:
                rest = memoryview(self._close_notify())
                self._write_end = True
                while rest:
                    try:
                        # The SSLSocket would encrypt again: the descriptor takes the bytes as they are.
                        rest = rest[os.write(self._socket.fileno(), rest) :]
                    except BlockingIOError:
                        await self._ready.writable()
            except OSError as error:
                raise self._lost(error) from error
            except BaseException:
                if self._write_end:
                    self.reset()
                raise

    def _close_notify(self) -> bytes:
        """Let OpenSSL write its closing message aside; see the module's text."""
        number = self._socket.fileno()
        ours, aside = socket.socketpair()
        kept = os.dup(number)
        try:
            ours.setblocking(False)
            aside.setblocking(False)
            os.dup2(ours.fileno(), number, inheritable=False)
            try:
                self._drain()
                with contextlib.suppress(ssl.SSLWantReadError):
                    # Not unwrap(): that forgets the TLS layer when both ends are done.
                    self._shutdown()
            finally:
                os.dup2(kept, number, inheritable=False)
            with contextlib.suppress(BlockingIOError):
                return aside.recv(_RECORD)
            return b""
        finally:
            os.close(kept)
            ours.close()
            aside.close()

    def _drain(self) -> None:
        """Keep what OpenSSL has already taken from the socket; with the descriptor aside that is little."""
        with contextlib.suppress(ssl.SSLWantReadError):
            while not self._read_end:
                self._intake.keep(self._receive(SCRATCH))

    def _shutdown(self) -> None:
        close_notify(self._tls.shutdown, self._tls.read)

    @property
    def _tls(self) -> Any:
        """The object below the SSLSocket: what that does beside calling it is a third of the cost of a record."""
        inner = self._socket._sslobj  # type: ignore[attr-defined]
        if inner is None:
            raise OSError(errno.EBADF, "the TLS layer is gone")
        return inner

    async def close(self) -> None:
        """See Stream.close. Sends close_notify if the socket takes it at once."""
        if self._ready.closed:
            return
        if not self._write_end and not self._unfinished:
            self._write_end = True
            with contextlib.suppress(OSError, ValueError):
                self._shutdown()
        self._ready.close()
        self._socket.close()

    async def close_after_failure(self, patience: float) -> None:
        """Close such that an alert just sent arrives: unread data would turn the end into a reset, which can
        overtake it. Waits at most `patience` seconds for the peer to end."""
        with contextlib.suppress(OSError, TimeoutError, Unavailable):
            os_socket = socket.socket(fileno=os.dup(self._socket.fileno()))
            try:
                os_socket.shutdown(socket.SHUT_WR)
                async with asyncio.timeout(patience):
                    await self._swallow(os_socket)
            finally:
                os_socket.close()
        self._ready.close()
        self._socket.close()

    async def _swallow(self, plain: socket.socket) -> None:
        for _ in range(16):
            try:
                if not plain.recv_into(_scratch.view):
                    return
            except BlockingIOError:
                await self._ready.readable()

    def reset(self) -> None:
        """Close at once, such that the peer sees a reset and not an orderly end. Never waits."""
        if not self._ready.closed:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._ready.close()
            self._socket.close()

    def _lost(self, error: OSError) -> TeleportError:
        """Name a failure. A reset may hide the alert that explains it, which is then still to be read."""
        if self._ready.closed:
            return Unavailable("NET-CLOSED", address=self._peer.address)
        if isinstance(error, ssl.SSLError) and not is_end(error):
            return tls_error(self._peer.address, error)
        if (refusal := self._unread_refusal()) is not None:
            return refusal
        if isinstance(error, ssl.SSLError):
            return Unavailable("NET-TLS-TRUNCATED", address=self._peer.address)
        return reset_error(self._peer.address, error)

    def _unread_refusal(self) -> TeleportError | None:
        try:
            while self._socket.recv_into(_scratch.view):
                pass
        except ssl.SSLError as alert:
            if not is_end(alert):
                explained = tls_error(self._peer.address, alert)
                return explained if explained.code.startswith("NET-TLS-REFUSED") else None
        except (OSError, ValueError):
            pass
        return None
