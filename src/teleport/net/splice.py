"""Moving bytes from socket to socket inside the kernel (splice(2)).

What is here: one direction, and the pipes that it needs while it holds bytes. What is not: both directions
together and their limits (`net.relay`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass

from teleport.base.errors import Unavailable
from teleport.net.socket_stream import SocketStream, reset_error
from teleport.net.stream import Stream

_PIPE_SIZE = 1 << 20
_FLAGS = os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE


@dataclass(slots=True)
class Count:
    """Bytes of one direction so far."""

    bytes: int = 0


class PipePool:
    """Empty pipes. A direction has one only while it holds bytes, so idle connections cost no descriptors."""

    def __init__(self, keep: int = 16) -> None:
        """Keep at most `keep` pipes that nobody uses."""
        self._keep = keep
        self._free: list[tuple[int, int]] = []
        self._closed = False

    def take(self) -> tuple[int, int]:
        """Return the reading and the writing end of an empty pipe. Raises OSError without descriptors."""
        if self._free:
            return self._free.pop()
        ends = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # over the user's budget for pipes: the default size works too
            fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
        return ends

    def give(self, ends: tuple[int, int], *, empty: bool) -> None:
        """Take a pipe back; one that still holds bytes is closed."""
        if empty and not self._closed and len(self._free) < self._keep:
            self._free.append(ends)
        else:
            os.close(ends[0])
            os.close(ends[1])

    def close(self) -> None:
        """Close the pipes that nobody uses, and from now on those that come back."""
        self._closed = True
        while self._free:
            self.give(self._free.pop(), empty=False)


async def splice(source: SocketStream, target: SocketStream, count: Count, pipes: PipePool) -> None:
    """Move bytes from `source` to `target` until `source` ends, then end `target`; add them to `count`.

    Returns early if `target` can not be written to any more. Raises Unavailable (NET-RESET) if `source` was
    reset or no pipe can be had.
    """
    while True:
        await source.ready.turn()
        ends = _pipe(source, pipes)
        held = 0
        try:
            held = _take(source, ends[1])
            while held > 0:
                held -= await _put(ends[0], target, held, count)
        except _TargetGone:
            return
        finally:
            pipes.give(ends, empty=held <= 0)
        if held == _ENDED:
            await end(target)
            return
        if held == _NOTHING:
            await source.ready.readable()


_NOTHING, _ENDED = -1, -2


class _TargetGone(Exception):
    """The target takes no more bytes."""


def _pipe(source: SocketStream, pipes: PipePool) -> tuple[int, int]:
    try:
        return pipes.take()
    except OSError as error:
        raise reset_error(source.peer.address, error) from error


def _take(source: SocketStream, pipe: int) -> int:
    """Move what `source` has into an empty pipe: the number of bytes, _NOTHING yet, or _ENDED."""
    try:
        return os.splice(source.sock.fileno(), pipe, _PIPE_SIZE, flags=_FLAGS) or _ENDED
    except BlockingIOError:
        return _NOTHING
    except OSError as error:
        raise reset_error(source.peer.address, error) from error


async def _put(pipe: int, target: SocketStream, held: int, count: Count) -> int:
    """Move up to `held` bytes out of the pipe. Raises _TargetGone."""
    try:
        target.ready.check()
        moved = os.splice(pipe, target.sock.fileno(), held, flags=_FLAGS)
    except BlockingIOError:
        await target.ready.writable()
        return 0
    except OSError:
        raise _TargetGone from None
    count.bytes += moved
    return moved


async def end(target: Stream) -> None:
    """Say that no more follows; a target that has gone needs not be told."""
    with contextlib.suppress(Unavailable):
        await target.write_eof()
