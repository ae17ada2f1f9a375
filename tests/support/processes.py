"""Processes as the kernel shows them: the tree below one, what each is called, and whether it is still there.

Only reads `/proc`; ends nothing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

T = TypeVar("T")

STEP = 0.02
"""Seconds between two looks at a condition."""


class Process(NamedTuple):
    """One process. A pid is used again; together with the time of its start it is not."""

    pid: int
    parent: int
    started: str
    state: str

    @property
    def arguments(self) -> str:
        """The command line, or nothing when the process is gone."""
        try:
            return Path(f"/proc/{self.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            return ""

    @property
    def alive(self) -> bool:
        """Whether it still runs; one that only waits for its parent to hear of its end does not."""
        now = look(self.pid)
        return now is not None and now.started == self.started and now.state != "Z"


def look(pid: int) -> Process | None:
    """Return a process, or None if there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return Process(pid, int(fields[1]), fields[19], fields[0])


def tree(root: int) -> list[Process]:
    """Return a process and all its descendants, parents first."""
    every = [found for entry in Path("/proc").iterdir() if entry.name.isdigit() and (found := look(int(entry.name)))]
    members = [process for process in every if process.pid == root]
    for member in members:  # grows while it is walked
        members += [process for process in every if process.parent == member.pid]
    return members


def listening(root: int) -> set[int]:
    """Return the TCP ports on which a process and its descendants listen, as the kernel says."""
    sockets = set()
    for process in tree(root):
        for entry in Path(f"/proc/{process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                sockets.add(str(entry.readlink()))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{root}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                found.add(int(fields[1].rpartition(":")[2], 16))
    return found


def wait_for(what: str, condition: Callable[[], T], *, seconds: float = 60.0) -> T:
    """Look again and again until the condition holds, and return what it gave. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not after {seconds} s: {what}"
        time.sleep(STEP)
    return found
