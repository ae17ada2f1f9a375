"""The pipes or terminal of a command in the event loop: its output to a channel, a channel's input to it.

Both have back-pressure: output is not read while it is held, and input beyond a mark pauses the channel.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections import deque
from collections.abc import Callable
from itertools import islice

from teleport.net import terminal as terminal_device

CHUNK = 256 * 1024
"""Bytes read at once, and what a pipe holds that was seen full."""
PIPE = 64 * 1024
"""What pipes hold otherwise (pipe(7))."""
TERMINAL = 4096
"""What a terminal gives at once at most."""
PIECES = 64
"""Pieces of input written at once at most."""
BACKLOG = 256 * 1024
"""Input that may wait for a command that does not read before its channel is paused."""


def grow(descriptor: int) -> None:
    """Let a busy pipe hold more: whoever is at its other end is woken less often."""
    with contextlib.suppress(OSError):  # a terminal, or the user has no more room for pipes
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, CHUNK)


class OutputPipe:
    """Hands on what a command writes, until it or we close the pipe."""

    def __init__(self, descriptor: int, *, deliver: Callable[[bytes], None], ended: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._deliver = deliver
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._reading = False
        self._grown = False

    @property
    def descriptor(self) -> int:
        """The descriptor that is read; -1 when it is closed."""
        return self._descriptor

    @property
    def open(self) -> bool:
        """Whether more may come."""
        return self._descriptor >= 0

    def flow(self, on: bool) -> None:
        """Read, or leave the command waiting."""
        if self.open and on is not self._reading:
            self._reading = on
            if on:
                self._loop.add_reader(self._descriptor, self._read)
            else:
                self._loop.remove_reader(self._descriptor)

    def close(self) -> None:
        """Stop reading. A command that goes on writing gets SIGPIPE."""
        if self.open:
            self.flow(False)
            os.close(self._descriptor)
            self._descriptor = -1

    def _read(self) -> None:
        """Take what is there. A terminal gives it in pieces; what comes in one burst is handed on as one."""
        pieces, size = list[bytes](), 0
        ended, more = False, True
        while more and size < CHUNK:
            try:
                piece = os.read(self._descriptor, CHUNK - size)
            except BlockingIOError:
                break
            except OSError:
                piece = b""  # of a terminal that nobody has open any more
            pieces.append(piece)
            size += len(piece)
            ended, more = not piece, 0 < len(piece) <= TERMINAL
        if size:
            self._deliver(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if size >= PIPE and not self._grown and self.open:
            self._grown = True
            grow(self._descriptor)
        if ended and self.open:
            self.close()
            self._ended()


class InputPipe:
    """Writes what a client sends; a command that has closed its input gets nothing more, silently."""

    def __init__(self, descriptor: int, *, crowded: Callable[[bool], None]) -> None:
        """`crowded(True)` is called when more than the backlog waits, `crowded(False)` when none does."""
        self._descriptor = descriptor
        self._crowded = crowded
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._full = False
        self._writing = False
        self._ending = False
        self._grown = False

    def write(self, data: bytes) -> None:
        """Pass on `data`, now or when the command reads."""
        if self._descriptor < 0 or self._ending or not data:
            return
        self._waiting.append(data)
        self._size += len(data)
        if self._size > PIPE and not self._grown:
            self._grown = True
            grow(self._descriptor)
        if not self._writing:
            self._flush()
        if self._size > BACKLOG and not self._full:
            self._full = True
            self._crowded(True)

    def end(self) -> None:
        """The client has no more: close the pipe when everything is written."""
        self._ending = True
        if not self._waiting:
            self.close()

    def close(self) -> None:
        """Close the pipe and forget what was not written."""
        if self._descriptor < 0:
            return
        self._watch(False)
        os.close(self._descriptor)
        self._descriptor = -1
        self._waiting.clear()
        self._size = 0
        self._relieve()

    def _watch(self, on: bool) -> None:
        if on is not self._writing:
            self._writing = on
            if on:
                self._loop.add_writer(self._descriptor, self._flush)
            else:
                self._loop.remove_writer(self._descriptor)

    def _flush(self) -> None:
        try:
            while self._waiting:
                self._taken(os.writev(self._descriptor, list(islice(self._waiting, PIECES))))
        except BlockingIOError:
            self._watch(True)
            return
        except OSError:
            self.close()
            return
        self._watch(False)
        self._relieve()  # may bring new data, and the end, before it returns
        if self._ending and not self._waiting:
            self.close()

    def _taken(self, written: int) -> None:
        """Forget what the command has."""
        self._size -= written
        while written:
            data = self._waiting.popleft()
            if len(data) > written:
                self._waiting.appendleft(data[written:])
                return
            written -= len(data)

    def _relieve(self) -> None:
        if self._full:
            self._full = False
            self._crowded(False)


class TerminalInput(InputPipe):
    """Input of a terminal. Our side of it is not closed at the end of input: that would hang up the output too."""

    def __init__(self, descriptor: int, *, crowded: Callable[[bool], None]) -> None:
        super().__init__(descriptor, crowded=crowded)
        self._last = b"\n"
        self._over = False

    def write(self, data: bytes) -> None:
        if data and not self._over:
            self._last = data[-1:]
            super().write(data)

    def end(self) -> None:
        """Type the key that ends input; twice behind an unfinished line, of which the first only hands it over."""
        if self._descriptor >= 0 and not self._over:
            key = terminal_device.end_of_input(self._descriptor)
            self.write(key if self._last in (b"\n", b"\r") else key * 2)
            self._over = True
