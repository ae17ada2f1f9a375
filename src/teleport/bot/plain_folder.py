"""A folder as a destination, in its simplest form."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from teleport.base.disk import Disk
from teleport.base.errors import NotFound


class PlainFolder:
    def __init__(self, path: str, disk: Disk) -> None:
        self._disk = disk
        self._said = path
        self.folder = os.path.realpath(path)

    async def prepare(self, names: Sequence[str]) -> None:
        self._disk.make_dir(self.folder)

    async def check(self) -> None:
        self._disk.write(os.path.join(self.folder, ".write-test"), b"")

    async def read(self, name: str) -> bytes | None:
        try:
            return self._disk.read(os.path.join(self.folder, name))
        except NotFound:
            return None

    async def write(self, files: Mapping[str, bytes]) -> None:
        for name, data in files.items():
            self._disk.write(os.path.join(self.folder, name), data)

    def __str__(self) -> str:
        return f"directory: {self._said}"
