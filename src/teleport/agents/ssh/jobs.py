"""Work of the spawner that takes long: one child process at a time, in the order in which it was asked for.

The spawner must not stand still while a tool of the system waits for a lock. A job is a function; its child runs
it, writes what it returns as JSON into a pipe, and ends. A job that takes too long, or dies, has failed.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from teleport.base.errors import TeleportError, Unavailable

LONGEST = 120
"""Seconds after which a job is ended by the kernel (alarm(2)); its tools have shorter limits of their own."""
ANSWER_BYTES = 64 * 1024

Answer = Mapping[str, Any]
Work = Callable[[], Answer]
Then = Callable[[Answer], None]


class Job:
    """One piece of work, and what is done with its answer."""

    def __init__(self, jobs: Jobs, work: Work, then: Then, wanted: Callable[[], bool]) -> None:
        self._jobs = jobs
        self._work = work
        self._then = then
        self.wanted = wanted
        """Asked when its turn comes: whether there is still a reason to do it."""
        self._pid = 0
        self._pipe = -1
        self._said = b""

    def start(self, selector: selectors.BaseSelector) -> None:
        """Fork."""
        self._pipe, theirs = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _run(self._work, theirs)
        os.close(theirs)
        selector.register(self._pipe, selectors.EVENT_READ, self)

    def read(self) -> None:
        """Take what the child has written; at its end, its answer."""
        data = os.read(self._pipe, ANSWER_BYTES)
        if data and len(self._said) <= ANSWER_BYTES:
            self._said += data
            return
        os.waitpid(self._pid, 0)
        self._jobs.ended(self._pipe, lambda: self._then(_answer(self._said)))


class Jobs:
    """The queue."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._waiting: deque[Job] = deque()
        self._running = False

    @property
    def busy(self) -> bool:
        """Whether something is being done or waits."""
        return self._running or bool(self._waiting)

    def add(self, work: Work, then: Then, wanted: Callable[[], bool] = lambda: True) -> None:
        """Do `work` in a child when its turn comes, if it is `wanted` then, and call `then` with its answer: what it
        returned, or an error as `failure` writes it."""
        self._waiting.append(Job(self, work, then, wanted))
        self._next()

    def ended(self, pipe: int, then: Callable[[], None]) -> None:
        """The running job is over: first comes what follows from it, then the next."""
        self._selector.unregister(pipe)
        os.close(pipe)
        then()
        self._running = False
        self._next()

    def _next(self) -> None:
        while self._waiting and not self._running:
            job = self._waiting.popleft()
            if job.wanted():
                self._running = True
                job.start(self._selector)


def failure(error: TeleportError) -> Answer:
    """Write an error as an answer."""
    return {"status": error.kind.grpc, "code": error.code, "fields": {k: str(v) for k, v in error.fields.items()}}


def _answer(said: bytes) -> Answer:
    try:
        found = json.loads(said)
    except ValueError:
        found = None
    if isinstance(found, dict):
        return found
    return failure(Unavailable("SSH-HOST-USER-TOOL", tool="the job", problem="it ended without an answer"))


def _run(work: Work, pipe: int) -> None:
    """Do the work in the child. Never returns."""
    try:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_DFL)
        signal.alarm(LONGEST)
        try:
            said = dict(work())
        except TeleportError as error:
            said = dict(failure(error))
        except OSError as error:
            problem = f"{error.filename or 'a file'}: {error.strerror}"
            said = dict(failure(Unavailable("SSH-HOST-USER-TOOL", tool="the job", problem=problem)))
        os.write(pipe, json.dumps(said).encode()[:ANSWER_BYTES])
    finally:
        os._exit(0)
