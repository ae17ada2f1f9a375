"""Channels of SSH connections that we made: what hears the server on one, and a channel as a socket.

The socket is one end of a pair, whose other end is copied here.
Back-pressure goes both ways: a socket that nobody reads leaves the server waiting, a server that does not read leaves
the socket full. Ends go on as ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import asyncssh

from teleport.wire.terminal import Size

HIGH, LOW = 262144, 65536
"""Bytes that wait for a server which does not read before, and until, its user is asked to pause."""

LOOK = 5.0
"""Seconds between looks at whether somebody is at the other end of a socket that sends no more."""


class OnwardSession(asyncssh.SSHClientSession[bytes]):
    """What hears the server on one channel, and speaks to it. Subclasses say what happens with it.

    Of asyncssh's own methods these are called: `data_received(data, kind)`, `eof_received()`, `exit_status_received`,
    `exit_signal_received`, `connection_lost(error)`.
    """

    def __init__(self) -> None:
        self._far: Any = None
        self._abandoned = False

    def connection_made(self, chan: Any) -> None:
        """The channel is open. One that was abandoned meanwhile is closed."""
        self._far = chan
        chan.set_write_buffer_limits(high=HIGH, low=LOW)
        if self._abandoned:
            chan.abort()

    @property
    def far(self) -> Any:
        """The channel; None while it is not open."""
        return self._far

    def crowded(self, crowded: bool) -> None:
        """More, or no more, waits for the server than it takes."""

    def pause_writing(self) -> None:
        self.crowded(True)

    def resume_writing(self) -> None:
        self.crowded(False)

    def send(self, data: bytes) -> None:
        """Send input, unless the channel is closing."""
        if self._far is not None and not self._far.is_closing():
            self._far.write(data)

    def send_end(self) -> None:
        """Tell the server that no more input comes."""
        if self._far is not None and not self._far.is_closing():
            self._far.write_eof()

    def send_signal(self, name: str) -> None:
        """Pass on a signal (RFC 4254 §6.9)."""
        if self._far is not None and not self._far.is_closing():
            self._far.send_signal(name)

    def send_size(self, size: Size) -> None:
        """Pass on another size of the terminal."""
        if self._far is not None and not self._far.is_closing():
            self._far.change_terminal_size(*size)

    def flow(self, on: bool) -> None:
        """Take output of the server, or leave it waiting."""
        if self._far is not None:
            (self._far.resume_reading if on else self._far.pause_reading)()

    def finish(self) -> None:
        """Close the channel behind what was sent on it."""
        if self._far is not None:
            self._far.close()

    def abandon(self) -> None:
        """Close the channel: what runs there is hung up, and what was not sent is forgotten."""
        self._abandoned = True
        if self._far is not None:
            self._far.abort()


class Carried(OnwardSession):
    """The channel's half."""

    def __init__(self) -> None:
        super().__init__()
        self._near: asyncio.Transport | None = None

    def attach(self, near: asyncio.Transport) -> None:
        """Hand everything on to this transport from now on."""
        self._near = near
        near.set_write_buffer_limits(high=HIGH, low=LOW)

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if self._near is not None and datatype is None:  # what a server says on standard error has no place in a stream
            self._near.write(data)

    def eof_received(self) -> bool:
        if self._near is not None and self._near.can_write_eof() and not self._near.is_closing():
            self._near.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._near is not None:
            self._near.close()

    def drop(self) -> None:
        """End both halves: there will be no channel."""
        self._abandoned = True
        if self._near is not None:
            self._near.abort()

    def crowded(self, crowded: bool) -> None:
        if self._near is not None and not self._near.is_closing():
            (self._near.pause_reading if crowded else self._near.resume_reading)()


class _Near(asyncio.Protocol):
    """The socket's half."""

    def __init__(self, far: Carried, ours: socket.socket) -> None:
        self._far = far
        self._socket = ours
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._far.send(data)

    def eof_received(self) -> bool:
        self._far.send_end()
        self._look()
        return True

    def _look(self) -> None:
        """Give up when nobody is at the other end any more: a socket that was closed looks like one that only sends
        no more, and a server that has nothing to say would keep the channel for ever."""
        if self._transport.is_closing():
            return
        if _is_hung_up(self._socket):
            self._transport.abort()
        else:
            asyncio.get_running_loop().call_later(LOOK, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is at the other end. What was sent from there before is still for the server."""
        with contextlib.suppress(OSError):
            while data := self._socket.recv(65536):
                self._far.send(data)
        self._far.finish()

    def pause_writing(self) -> None:
        self._far.flow(False)

    def resume_writing(self) -> None:
        self._far.flow(True)


def _is_hung_up(ours: socket.socket) -> bool:
    poll = select.poll()
    poll.register(ours, 0)
    return any(events & select.POLLHUP for _, events in poll.poll(0))


async def bind(far: Carried) -> socket.socket:
    """Give a channel a socket: return the end that is not ours, non-blocking."""
    theirs, ours = socket.socketpair()
    theirs.setblocking(False)
    try:
        near, _ = await asyncio.get_running_loop().create_connection(lambda: _Near(far, ours), sock=ours)
    except BaseException:
        theirs.close()
        raise
    far.attach(near)
    return theirs


async def carry(open_channel: Callable[[Carried], Awaitable[Any]]) -> socket.socket:
    """Open a channel, and return a non-blocking socket that leads to it. Raises what `open_channel` raises."""
    far = Carried()
    theirs = await bind(far)
    try:
        await open_channel(far)
    except BaseException:
        far.drop()
        theirs.close()
        raise
    return theirs
