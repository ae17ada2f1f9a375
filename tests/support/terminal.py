"""A person at a terminal: a command with a terminal of its own, whose questions are waited for and answered."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

LIMIT = 30.0
"""Seconds that the whole conversation may take."""


class Terminal:
    """A running command. Leaving the context checks that it has ended with status 0."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str]) -> None:
        self._master, slave = os.openpty()
        try:
            self._process = subprocess.Popen(
                argv, env=dict(environment), preexec_fn=lambda: os.login_tty(slave)
            )  # fmt: skip
        finally:
            os.close(slave)
        self._deadline = time.monotonic() + LIMIT
        self._shown = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                assert self._process.wait(max(0.1, self._deadline - time.monotonic())) == 0, self._shown
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._master)

    def answer(self, question: str, line: str) -> None:
        """Wait until the question is asked, and type a line."""
        while not self._shown.endswith(question):
            assert self._more(), f"{question!r} was not asked, but: {self._shown}"
        os.write(self._master, f"{line}\n".encode())

    def rest(self) -> str:
        """Return everything that was shown, when the command has closed its terminal."""
        while self._more():
            pass
        return self._shown

    def _more(self) -> bool:
        left = self._deadline - time.monotonic()
        assert select.select([self._master], [], [], max(0.0, left))[0], f"silent, after: {self._shown}"
        try:
            data = os.read(self._master, 4096)
        except OSError:  # the other side is closed
            return False
        self._shown += data.decode(errors="replace")
        return bool(data)
