"""What a doctor asks the machine: which processes there are, and which of them holds a lock (proc(5), Linux)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

MOST_PROCESSES = 100_000
_LONGEST_COMMAND = 4096


class Process(NamedTuple):
    """A process that runs."""

    pid: int
    command: tuple[str, ...]


class Machine:
    """This machine. `proc` is where the kernel tells of it."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc

    def holder(self, path: str) -> Process | None:
        """Return the process that holds the advisory lock of a file (flock(2)); None when nobody does. The lock is not
        touched: who takes it to see whether it is free, keeps others from it."""
        with suppress(OSError):
            facts = os.stat(path)
            file = f"{os.major(facts.st_dev):02x}:{os.minor(facts.st_dev):02x}:{facts.st_ino}"
            for words in self._locks():
                if words[1] == "FLOCK" and words[5] == file:
                    return self.process(int(words[4]))
        return None

    def process(self, pid: int) -> Process:
        """Return a process; without a command line where that is not to be had."""
        try:
            data = (self._proc / str(pid) / "cmdline").read_bytes()[:_LONGEST_COMMAND]
        except OSError:
            data = b""
        words = [word.decode(errors="replace") for word in data.split(b"\0") if word]
        return Process(pid, tuple(words))

    def mounts(self) -> str:
        """Return the table of mounts."""
        try:
            return (self._proc / "self" / "mountinfo").read_text(errors="replace")
        except OSError:
            return ""

    def _locks(self) -> Iterator[list[str]]:
        for line in (self._proc / "locks").read_text().splitlines()[:MOST_PROCESSES]:
            words = line.split()
            if len(words) >= 8 and words[1] != "->":
                yield words
