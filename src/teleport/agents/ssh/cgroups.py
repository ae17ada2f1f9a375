"""Control groups (version 2) of sessions: one for each, so that the kernel can tell their processes apart.

Done by the spawner, as root. The process that becomes a shell enters its group before it gives its rights up, and
whatever it starts stays in there. A group goes when the session is over and empty; one in which something was left
running goes later.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from teleport.base.errors import BadParameter, Unavailable

NAME = re.compile(r"[0-9a-f-]{1,40}")
"""Names of groups: ids of sessions, and `c` and a number for the check at the start."""
SECONDS = 10
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class Groups:
    """The control groups below one folder."""

    def __init__(self, mount: str, root: str) -> None:
        """`mount` is where the hierarchy is, or is mounted; `root` the folder of our groups in it."""
        self._mount = Path(mount)
        self._root = self._mount / root.lstrip("/")
        self._leaving: set[str] = set()

    def prepare(self) -> None:
        """Mount the hierarchy where it is not, make our folder, and remove empty groups of an earlier run.

        Raises Unavailable (SSH-BPF-CGROUP)."""
        try:
            if not (self._mount / "cgroup.controllers").exists():
                self._mount.mkdir(mode=0o755, parents=True, exist_ok=True)
                self._mount_here()
            self._root.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as error:
            raise self._failed(error.strerror or str(error)) from None
        self._sweep()

    def _sweep(self) -> None:
        for entry in self._root.iterdir() if self._root.is_dir() else ():
            if entry.is_dir() and NAME.fullmatch(entry.name):
                self.remove(entry.name)

    def _mount_here(self) -> None:
        command = ["mount", "-t", "cgroup2", "none", str(self._mount)]
        try:
            done = subprocess.run(
                command, capture_output=True, timeout=SECONDS, env={"PATH": _PATH}, stdin=subprocess.DEVNULL
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise self._failed("mount does not end") from None
        if done.returncode != 0:
            raise self._failed(" ".join(done.stderr.decode(errors="replace").split())[:300])

    def make(self, name: str) -> int:
        """Make a group; return its number, as the kernel tells it. Raises BadParameter (SSH-SPAWN-MESSAGE),
        Unavailable (SSH-BPF-CGROUP)."""
        for left in list(self._leaving):
            self.remove(left)
        path = self._path(name)
        try:
            path.mkdir(mode=0o755)
            return path.stat().st_ino
        except OSError as error:
            raise self._failed(error.strerror or str(error)) from None

    def entrance(self, name: str) -> str:
        """Return the file in which a process writes its number to enter. Raises BadParameter (SSH-SPAWN-MESSAGE)."""
        return str(self._path(name) / "cgroup.procs")

    def remove(self, name: str) -> None:
        """Remove a group, now or when it is empty."""
        try:
            self._path(name).rmdir()
        except FileNotFoundError:
            pass
        except OSError:
            self._leaving.add(name)
            return
        self._leaving.discard(name)

    def close(self) -> None:
        """Remove what is empty, our folder too: whoever was to say so is gone, and the sessions are."""
        self._sweep()
        try:
            self._root.rmdir()
        except OSError:
            pass  # somebody still runs in there, or another service uses it

    def _path(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise BadParameter("SSH-SPAWN-MESSAGE", problem="no name of a control group")
        return self._root / name

    def _failed(self, problem: str) -> Unavailable:
        return Unavailable("SSH-BPF-CGROUP", path=str(self._root), problem=problem)


def enter(entrance: str) -> None:
    """Put this process into a group. Raises OSError."""
    descriptor = os.open(entrance, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, b"0")
    finally:
        os.close(descriptor)
