"""The viewer's terminal during a playback: raw, and put right again on every way out."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from teleport.client.recordings import paint


class Tty:
    """Standard input and output, or only the output when input is no terminal."""

    def __init__(self, source: int | None, target: int) -> None:
        """Descriptors; without a `source` there are no keys."""
        self._source, self._target = source, target

    def wait(self, seconds: float | None) -> bytes | None:
        """As `theatre.Terminal` says."""
        if self._source is None:
            select.select([], [], [], 0 if seconds is None else seconds)
            return None
        ready, _, _ = select.select([self._source], [], [], seconds)
        if not ready:
            return b""
        data = os.read(self._source, 1024)
        if not data:
            self._source = None
        return data or None

    def write(self, data: bytes) -> None:
        """Write all of it."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._target, view) :]


@contextmanager
def raw(source: int | None, target: int) -> Iterator[Tty]:
    """Give a terminal over to a playback. Afterwards it is as it was, also after SIGTERM and SIGHUP."""
    mode = termios.tcgetattr(source) if source is not None else None
    caught = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, _leave) for number in caught}
    try:
        if source is not None:
            tty.setraw(source, termios.TCSADRAIN)
        yield Tty(source, target)
    finally:
        if os.isatty(target):
            os.write(target, paint.LEAVE + paint.END + b"\r\n")
        if source is not None and mode is not None:
            termios.tcsetattr(source, termios.TCSADRAIN, mode)
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
