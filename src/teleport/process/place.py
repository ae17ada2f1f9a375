"""Place: what stands on the disk for one process, where two share a data directory while one hands over to the other.

Spools belong to one process alone: who reads an unfinished one would send half of it and remove the rest. So each
process takes the first free place, by a lock that ends with it; the usual place has the documented names, others add
their number to them. What a process has left in its place is sent by one that comes later or still runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from teleport.base.disk import Disk, Lock
from teleport.base.errors import TeleportError, Unavailable
from teleport.base.log import logger

log = logger("PROC:1")

MOST = 16
"""Processes that share a data directory at most."""
LOOK_EVERY = 30.0
"""Seconds between two looks for what others have left."""
FOLDER = ("log", "spool")


class Place:
    """The place of this process. `release` ends it; so does the end of the process."""

    def __init__(self, disk: Disk, data_dir: Path) -> None:
        """Take the first one that is free. Raises Unavailable (DISK-LOCKED) when there is none, and what the disk
        raises."""
        self._disk = disk
        self._folder = data_dir.joinpath(*FOLDER)
        disk.make_dir(str(self._folder))
        self.number, self._lock = self._take()

    def _take(self) -> tuple[int, Lock]:
        for number in range(1, MOST):
            if (lock := self._try(number)) is not None:
                return number, lock
        return MOST, self._disk.lock(self._file(MOST))

    def _file(self, number: int) -> str:
        return str(self._folder / f"place-{number}.lock")

    def _try(self, number: int) -> Lock | None:
        try:
            return self._disk.lock(self._file(number))
        except Unavailable as error:
            if error.code != "DISK-LOCKED":
                raise
            return None

    def name(self, usual: str) -> str:
        """Return the name that something has in this place."""
        return name(usual, self.number)

    def release(self) -> None:
        """Give the place back."""
        self._lock.release()

    @property
    def alone(self) -> bool:
        """Whether no other process has a place."""
        for number in range(1, MOST + 1):
            if number != self.number and self._disk.exists(self._file(number)):
                lock = self._try(number)
                if lock is None:
                    return False
                lock.release()
        return True

    async def inherit(self, found: Callable[[int], bool], work: Callable[[int], Awaitable[None]]) -> None:
        """Do `work` with each place of a process that has ended in which something is `found`, now and then, until
        cancelled."""
        while True:
            for number in range(1, MOST + 1):
                if number == self.number or not found(number):
                    continue
                try:
                    if (lock := self._try(number)) is not None:
                        try:
                            await work(number)
                        finally:
                            lock.release()
                except TeleportError as error:
                    log.warn("What another process has left is not sent yet", place=number, error=error)
            await asyncio.sleep(LOOK_EVERY)


def placed(usual: str, place: Place | None) -> str:
    """Return the name that something has in a place, the usual one without."""
    return usual if place is None else place.name(usual)


def name(usual: str, number: int) -> str:
    """Return the name that something has in a place."""
    return usual if number == 1 else f"{usual}-{number}"
