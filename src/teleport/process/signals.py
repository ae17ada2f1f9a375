"""Signals: heard by a thread of their own, so that a stuck event loop can be looked into and ended.

The kernel's handler writes the number of the signal into a socket pair (`signal.set_wakeup_fd`); a thread
reads it. What changes nothing in the loop (the dump of SIGUSR1) is done in that thread; everything else is
handed to the loop. Not here: what stopping, draining and reloading are.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType

from teleport.base.log import logger
from teleport.process import dump
from teleport.process.pulse import Pulse

log = logger("PROC:1")

STOP_WITHIN = 60.0
"""Seconds that the process may take to end after SIGTERM before it is ended from outside of the loop."""
STUCK = 5.0
"""Seconds of silence after which the loop is not waited for at all when the process shall end."""

WORDS = {
    signal.SIGHUP: "hangup",
    signal.SIGINT: "interrupt",
    signal.SIGQUIT: "quit",
    signal.SIGTERM: "terminated",
    signal.SIGUSR1: "user defined signal 1",
    signal.SIGUSR2: "user defined signal 2",
}
"""The signals that are heard, and what each is called in the log."""
STOPPING = (signal.SIGTERM, signal.SIGINT)

Action = Callable[[], None]
"""Done in the event loop."""


class Signals:
    """Hears signals for the time of a `with` block, which is entered in the main thread."""

    def __init__(self, pulse: Pulse, *, stderr: int = 2, end: Callable[[int], None] = os._exit) -> None:
        """`stderr` is the descriptor that dumps go to; `end` ends the process at once with a status."""
        self._pulse = pulse
        self._stderr = stderr
        self._end = end
        self._loop: asyncio.AbstractEventLoop | None = None
        self._actions: Mapping[signal.Signals, Action] = {}
        self._early: list[signal.Signals] = []
        self._lock = threading.Lock()
        self._deadline = float("inf")
        self._main = threading.get_ident()
        self._ours, self._kernels = socket.socketpair()
        self._kernels.setblocking(False)
        self._thread = threading.Thread(target=self._listen, name="signals", daemon=True)
        self._former: dict[signal.Signals, object] = {}
        self._former_descriptor = -1

    def __enter__(self) -> Signals:
        self._former_descriptor = signal.set_wakeup_fd(self._kernels.fileno(), warn_on_full_buffer=False)
        for number in WORDS:
            self._former[number] = signal.signal(number, _noted)
        if not faulthandler.is_enabled() and sys.__stderr__ is not None:
            faulthandler.enable(self._stderr)  # the stacks of a crash in C code; no values either
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, former in self._former.items():
            signal.signal(number, former)  # type: ignore[arg-type]
        signal.set_wakeup_fd(self._former_descriptor)
        self._kernels.close()  # the thread reads the end
        self._thread.join(timeout=dump.PATIENCE)
        self._ours.close()

    def attach(self, actions: Mapping[signal.Signals, Action]) -> None:
        """Hand signals to the running loop from here on: what it does for SIGTERM, SIGINT, SIGQUIT, SIGHUP.

        Those that came before are done now.
        """
        with self._lock:
            self._loop, self._actions = asyncio.get_running_loop(), actions
            early, self._early = self._early, []
        for number in early:
            self._hand_over(number)

    def _listen(self) -> None:
        """The thread: one byte a signal, until the other end closes."""
        while True:
            self._ours.settimeout(max(0.0, min(self._deadline - time.monotonic(), 3600.0)) or 0.001)
            try:
                numbers = self._ours.recv(64)
            except TimeoutError:
                if time.monotonic() >= self._deadline:
                    self._overdue()
                continue
            if not numbers:
                return
            for number in numbers:
                if number in WORDS:
                    self._heard(signal.Signals(number))

    def _heard(self, number: signal.Signals) -> None:
        if number == signal.SIGUSR1:
            self._dump()
        elif number in STOPPING and self._deadline != float("inf"):
            log.warn(_line(number, "again, exiting without waiting for anything."))
            self._end(128 + number)
        else:
            self._hand_over(number)

    def _dump(self) -> None:
        log.info(_line(signal.SIGUSR1, "logging diagnostic info to stderr."))
        try:
            content = dump.text(self._loop, self._main, self._pulse)
        except Exception as error:
            log.error("The dump could not be made", error=error)
        else:
            dump.write(self._stderr, content)

    def _hand_over(self, number: signal.Signals) -> None:
        with self._lock:
            loop, action = self._loop, self._actions.get(number)
            if loop is None:
                self._early.append(number)
                return
        if number in STOPPING:
            log.info(_line(number, "exiting immediately."))
            stuck = self._pulse.silence > STUCK
            self._deadline = time.monotonic() + (STUCK if stuck else STOP_WITHIN)
        if action is not None:
            try:
                loop.call_soon_threadsafe(action)
            except RuntimeError:
                pass  # the loop has just been closed: the process is ending

    def _overdue(self) -> None:
        self._deadline = float("inf")
        log.error("The process did not stop in time and is ended; the stacks show what it was doing")
        dump.write(self._stderr, dump.text(self._loop, self._main, self._pulse))
        self._end(1)


def _line(number: signal.Signals, rest: str) -> str:
    return f'Got signal "{WORDS[number]}", {rest}'


def _noted(number: int, frame: FrameType | None) -> None:
    """The handler on Python's side. What counts is the byte that the kernel's side wrote."""
