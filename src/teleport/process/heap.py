"""Heap: the memory that C code of this process takes, SQLite and OpenSSL above all, and what of it goes back.

glibc gives each thread a heap of its own, and gives memory back only from a heap's end. Work that takes megabytes for a
moment, such as the index of the audit log, therefore leaves them with the process for good: holes, between which
something small always stands. Python's own objects have arenas of their own, which are not the matter here.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from teleport.base import tasks
from teleport.base.entropy import Entropy

M_ARENA_MAX = -8
"""Of mallopt(3)."""
GIVE_BACK_EVERY = 60.0
"""Seconds between two times that free memory is given back: a millisecond of computing, which the loop waits for."""


class Heap:
    """The heap of this process. C libraries other than glibc have nothing to set, and see to the rest themselves."""

    def __init__(self, library: Any = None) -> None:
        """`library`: the C library; None: that of this process."""
        found = ctypes.CDLL(None) if library is None else library
        self._mallopt: Callable[[int, int], int] | None = getattr(found, "mallopt", None)
        self._trim: Callable[[int], int] | None = getattr(found, "malloc_trim", None)

    def share(self) -> None:
        """Have all threads take memory from one heap. Before the first thread."""
        if self._mallopt is not None:
            self._mallopt(M_ARENA_MAX, 1)

    def give_back(self) -> bool:
        """Give whole pages that nothing uses back to the system, wherever they are; say whether there were some."""
        return self._trim is not None and bool(self._trim(0))

    async def run(self, entropy: Entropy) -> None:
        """Give back now and then, until cancelled."""
        await tasks.every(GIVE_BACK_EVERY, self._tidy, entropy=entropy, first=GIVE_BACK_EVERY)

    async def _tidy(self) -> None:
        self.give_back()
