"""The user's own terminal while a shell on another machine has it: raw, and as it was afterwards.

Every way out gives it back: the end of the session, an error, and the signals that end a program.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import termios
import tty
from collections.abc import Callable, Iterator, Mapping

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
        self._real = os.isatty(descriptor)

    def wanted(self) -> Wanted:
        """Return what to ask a server for."""
        modes = device.modes_of(termios.tcgetattr(self._descriptor)) if self._real else {}
        return Wanted(self._name, device.size(self._descriptor), modes)

    @contextlib.contextmanager
    def watched(self, resized: Callable[[Size], None], ended: Callable[[int], None]) -> Iterator[None]:
        """Hear of signals inside the block. Called in the event loop.

        `resized` is called with each new size, `ended` with the number of a signal that ends the program.
        """
        loop = asyncio.get_running_loop()
        handlers: dict[int, Callable[[], object]] = {
            number: (lambda number=number: ended(number)) for number in ENDING  # type: ignore[misc]
        }  # fmt: skip
        if self._real:
            handlers[signal.SIGWINCH] = lambda: resized(device.size(self._descriptor))
        with contextlib.ExitStack() as undo:
            for number, handler in handlers.items():
                loop.add_signal_handler(number, handler)
                undo.callback(loop.remove_signal_handler, number)
            yield

    @contextlib.contextmanager
    def raw(self, resized: Callable[[Size], None]) -> Iterator[None]:
        """Have the terminal raw inside the block: every key goes to the other side.

        `resized` is called with its size at once: it may have changed since it was asked for.
        """
        if not self._real:
            yield
            return
        before = termios.tcgetattr(self._descriptor)
        try:
            tty.setraw(self._descriptor, termios.TCSADRAIN)
            resized(device.size(self._descriptor))
            yield
        finally:
            termios.tcsetattr(self._descriptor, termios.TCSADRAIN, before)
