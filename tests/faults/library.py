"""The library of faults (`fault.c`): compiled when it is first needed, preloaded, and armed in a child.

Not here: which faults there are (`points`), and what a trial does with them (`trial`).
"""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

SOURCE = Path(__file__).with_name("fault.c")
_FLAGS = ("-O2", "-Wall", "-Werror", "-shared", "-fPIC")

KINDS: Final = ("write", "sync", "truncate", "rename", "unlink", "create", "link")
"""Kinds of calls, in the order of the enum in fault.c."""
ACTIONS: Final = ("nothing", "kill-before", "kill-after", "fail", "torn", "short")


def mask(*kinds: str) -> int:
    """Return the bits of these kinds of calls."""
    return sum(1 << KINDS.index(kind) for kind in kinds)


EVERY = mask(*KINDS)


def compiled() -> Path:
    """Return the compiled library: kept in the virtual environment, or in the folder of temporary files."""
    source = SOURCE.read_bytes()
    name = f"fault-{hashlib.sha256(source + repr(_FLAGS).encode()).hexdigest()[:16]}.so"
    for folder in (Path(sys.prefix) / "faults", Path(tempfile.gettempdir()) / f"faults-{os.geteuid()}"):
        if (folder / name).exists() and folder.stat().st_uid in (0, os.geteuid()):
            return folder / name
        try:
            folder.mkdir(mode=0o755, exist_ok=True)
            draft = folder / f"{name}.{os.getpid()}"
            subprocess.run(["cc", *_FLAGS, "-o", str(draft), str(SOURCE), "-ldl", "-lpthread"], check=True)
            draft.rename(folder / name)
        except OSError:
            continue
        return folder / name
    raise SystemExit("no folder for the compiled library of faults, or no C compiler (cc)")


def environment(library: Path) -> dict[str, str]:
    """Return the environment in which programs have the library in them."""
    return {**os.environ, "LD_PRELOAD": str(library)}


def is_loaded() -> bool:
    """Say whether this process was started with the library in it."""
    return hasattr(ctypes.CDLL(None), "fault_arm")


def arm(root: Path, kinds: int, at: int, action: str, number: int, stays: bool, seed: int, trace: int) -> None:
    """Let `action` happen at the call number `at` of `kinds` below `root` in this process; 0: only count.

    `number`: the errno of "fail"; `stays`: whether all later calls fail too; `trace`: descriptor for the trace, or -1.
    """
    function = ctypes.CDLL(None).fault_arm
    function.argtypes = [
        ctypes.c_char_p, ctypes.c_uint, ctypes.c_long, ctypes.c_int,
        ctypes.c_int, ctypes.c_int, ctypes.c_uint64, ctypes.c_int,
    ]  # fmt: skip
    function(os.fsencode(root), kinds, at, ACTIONS.index(action), number, stays, seed, trace)


def fired() -> int:
    """Return how often the fault has happened in this process."""
    return int(ctypes.CDLL(None).fault_fired())


def counted() -> dict[str, int]:
    """Return how many calls of each kind were seen since `arm`."""
    function = ctypes.CDLL(None).fault_counted
    function.restype = ctypes.c_long
    return {kind: int(function(number)) for number, kind in enumerate(KINDS)}


class DiskSwitch:
    """Makes a disk fail for whole programs that are started with `environment`, for as long as is wanted.

    Below `root` all is well until `fail`, and again after `heal`.
    """

    def __init__(self, root: Path, file: Path) -> None:
        file.write_bytes(bytes(8))
        self._file = file
        self.environment = {
            "LD_PRELOAD": str(compiled()),
            "FAULT_ROOT": os.path.realpath(root),
            "FAULT_CONTROL": str(file),
        }

    def fail(self, number: int, *kinds: str) -> None:
        """Let calls of these kinds fail with this `errno` from now on."""
        self._set(number, mask(*kinds))

    def heal(self) -> None:
        """Let everything work again."""
        self._set(0, 0)

    def _set(self, number: int, kinds: int) -> None:
        with self._file.open("r+b") as file, mmap.mmap(file.fileno(), 8) as shared:
            shared[:] = struct.pack("ii", number, kinds)
