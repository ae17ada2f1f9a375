"""The user's own terminal while a shell on another machine has it: raw, and as it was afterwards.

Every way out gives it back: the end of the session, an error, and the signals that end a program.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import termios
import tty
from collections.abc import Callable, Iterable, Iterator, Mapping

from teleport.net import terminal as device
from teleport.wire.terminal import NAME, Size
from teleport.wire.terminal import Terminal as Wanted

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
"""Signals that end the program; the keys for two of them go to the other side while the terminal is raw."""


class Terminal:
    """A descriptor and what it is; one that is no terminal has no modes and the default size."""

    def __init__(self, descriptor: int, environment: Mapping[str, str]) -> None:
        self._descriptor = descriptor
        self._name = environment.get("TERM") or NAME
        self.is_real = os.isatty(descriptor)
        """Whether it is a terminal."""

    def wanted(self) -> Wanted:
        """Return what to ask a server for."""
        modes = device.modes_of(termios.tcgetattr(self._descriptor)) if self.is_real else {}
        return Wanted(self._name, device.size(self._descriptor), modes)

    @contextlib.contextmanager
    def watched(self) -> Iterator[Signals]:
        """Catch signals inside the block. Called in the main thread."""
        numbers = (*ENDING, signal.SIGWINCH) if self.is_real else ENDING
        with contextlib.ExitStack() as undo:
            reading, writing = os.pipe()
            for descriptor in (reading, writing):
                undo.callback(os.close, descriptor)
                os.set_blocking(descriptor, False)
            undo.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(writing, warn_on_full_buffer=False))
            for number in numbers:
                undo.callback(signal.signal, number, signal.signal(number, _nothing))
            yield Signals(reading, self._descriptor)

    @contextlib.contextmanager
    def raw(self, resized: Callable[[Size], None]) -> Iterator[None]:
        """Have the terminal raw inside the block: every key goes to the other side.

        `resized` is called with its size at once: it may have changed since it was asked for.
        """
        if not self.is_real:
            yield
            return
        before = termios.tcgetattr(self._descriptor)
        try:
            tty.setraw(self._descriptor, termios.TCSADRAIN)
            resized(device.size(self._descriptor))
            yield
        finally:
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, before)


class Signals:
    """Signals that came, to be told from within a loop of poll(2): a handler runs in the middle of anything."""

    def __init__(self, reading: int, terminal: int) -> None:
        self._reading, self._terminal = reading, terminal
        self._resized: Callable[[Size], None] = _nothing
        self._ended: Callable[[int], None] = _nothing

    def tell(self, resized: Callable[[Size], None], ended: Callable[[int], None]) -> None:
        """Call `resized` with each new size, `ended` with the number of a signal that ends the program."""
        self._resized, self._ended = resized, ended

    def wants(self) -> Iterable[tuple[int, int]]:
        return [(self._reading, select.POLLIN)]

    def ready(self, descriptor: int, events: int) -> None:
        for number in os.read(descriptor, 100):
            if number == signal.SIGWINCH:
                self._resized(device.size(self._terminal))
            elif number in ENDING:
                self._ended(number)


def _nothing(*_: object) -> None:
    """What a signal does by itself: the pipe tells of it."""
