"""A person at a terminal: a command with a terminal of its own, which is read, typed at and resized."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

LIMIT = 60.0
"""Seconds that the whole conversation may take."""
_TOLD = 4000
"""Characters of what was shown that a failure prints."""


def shown(master: int, end: bytes) -> bytes:
    """Return what a terminal shows up to `end`. It hands over what it has by then, not all that was written."""
    seen = b""
    while end not in seen:
        assert select.select([master], [], [], LIMIT)[0], f"silent, after: {seen[-_TOLD:]!r}"
        seen += os.read(master, 65536)
    return seen


class Terminal:
    """A running command. Leaving the context checks that it has ended with the expected status."""

    def __init__(
        self, argv: Sequence[str], environment: Mapping[str, str], *, status: int = 0,
        size: tuple[int, int] = (80, 24),
    ) -> None:  # fmt: skip
        self._status = status
        self._seen = 0
        self._master, slave = os.openpty()
        self.resize(*size)
        self.modes = termios.tcgetattr(self._master)
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
                while self._more():  # whoever cannot write does not end
                    pass
                assert self._process.wait(max(0.1, self._deadline - time.monotonic())) == self._status, self._shown[
                    -_TOLD:
                ]
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._master)

    def answer(self, question: str, line: str) -> None:
        """Wait until the question is asked, and type a line."""
        while not self._shown.endswith(question):
            assert self._more(), f"{question!r} was not asked, but: {self._shown[-_TOLD:]}"
        os.write(self._master, f"{line}\n".encode())

    def see(self, text: str) -> None:
        """Wait until the text is shown, behind what was seen before."""
        while (at := self._shown.find(text, self._seen)) < 0:
            assert self._more(), f"{text!r} was not shown, but: {self._shown[-_TOLD:]}"
        self._seen = at + len(text)

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._master, text.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the window."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def modes_now(self) -> list[object]:
        """Return the modes of the terminal; `modes` are those before the command began."""
        return termios.tcgetattr(self._master)

    def send(self, number: signal.Signals) -> None:
        """Send the command a signal from outside."""
        self._process.send_signal(number)

    def rest(self) -> str:
        """Return everything that was shown, when the command has closed its terminal."""
        while self._more():
            pass
        return self._shown

    def _more(self) -> bool:
        left = self._deadline - time.monotonic()
        assert select.select([self._master], [], [], max(0.0, left))[0], f"silent, after: {self._shown[-_TOLD:]}"
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the other side is closed
            return False
        self._shown += data.decode(errors="replace")
        return bool(data)
