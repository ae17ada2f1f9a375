"""System calls of another process that name files or addresses, as strace(1) sees them."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support import programs

CALLS = "%file,connect,bind"
_LINE = re.compile(r"^(\d+) +(\w+)\((.*)$")
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')


class Call(NamedTuple):
    """One call: its name, the texts in it (paths, addresses), and the rest of the line."""

    name: str
    texts: tuple[str, ...]
    line: str


@contextlib.contextmanager
def traced(pid: int, file: Path) -> Iterator[list[Call]]:
    """Watch a process and its threads for the time of a block; the list is filled at its end.

    Of programs that it executes only the start is told."""
    argv = [programs.need("strace"), "-f", "-p", str(pid), "-s", "4096", "-e", f"trace={CALLS}", "-o", str(file)]
    calls: list[Call] = []
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as watcher:
        try:
            assert watcher.stderr is not None
            said = watcher.stderr.readline()
            assert "attached" in said, said
            yield calls
        finally:
            watcher.send_signal(signal.SIGINT)
            watcher.wait(30)
    others: set[str] = set()
    for match in map(_LINE.match, file.read_text(errors="replace").splitlines()):
        if match is not None and match[1] not in others:
            calls.append(Call(match[2], tuple(_TEXT.findall(match[3])), match[0]))
            others |= {match[1]} if match[2] == "execve" else set()
