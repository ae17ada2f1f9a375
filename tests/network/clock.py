"""A clock that is wrong, for one program and what it starts: `clock.c` is preloaded and adds what a file says."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.programs import need

_SOURCE = Path(__file__).with_suffix(".c")


class WrongClock:
    """The clock of a program that is started with `env`."""

    def __init__(self, folder: Path) -> None:
        library, self._file = folder / "clock.so", folder / "clock"
        argv = [need("cc"), "-O2", "-shared", "-fPIC", "-Wall", "-Werror", "-o", str(library), str(_SOURCE), "-ldl"]
        subprocess.run(argv, check=True)
        self._file.write_bytes(bytes(8))
        self.env = {"LD_PRELOAD": str(library), "CLOCK_FILE": str(self._file)}

    def set(self, seconds: int) -> None:
        """Let it go wrong by so many seconds from now on; 0: not at all."""
        with self._file.open("r+b") as file:
            file.write(seconds.to_bytes(8, "little", signed=True))
