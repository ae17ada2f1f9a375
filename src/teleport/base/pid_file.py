"""The file that has the id of a process, for whoever sends it signals."""

from __future__ import annotations

import os

from teleport.base.disk import Disk


class PidFile:
    """The file that has the id of the process; nothing happens without a path."""

    def __init__(self, disk: Disk, path: str) -> None:
        self._disk = disk
        self._path = path

    def write(self) -> None:
        """Write this process's id."""
        if self._path:
            self._disk.write(self._path, _own_id() + b"\n", mode=0o644)

    def remove(self) -> None:
        """Remove the file, unless another process has taken over and written its own id."""
        if self._path and self._disk.exists(self._path) and self._disk.read(self._path).strip() == _own_id():
            self._disk.remove(self._path)


def _own_id() -> bytes:
    return str(os.getpid()).encode()
