"""Folders to prepare something in: private, beside the place where it will be, and gone afterwards.

A folder whose process was killed stays behind; the next one for the same purpose removes it. The lock on
the folder tells such a one from one that is in use.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from teleport.base.disk import map_errors
from teleport.base.entropy import Entropy


@contextmanager
def folder(parent: Path, prefix: str, entropy: Entropy) -> Iterator[Path]:
    """Make a folder `<prefix>-<random>` in `parent` for the time of a block. Raises DISK-* errors.

    If something else stands at its path afterwards (it was moved and exchanged), that is left alone.
    """
    with map_errors(str(parent)):
        _sweep(parent, prefix)
        path = parent / f"{prefix}-{entropy.token(8).hex()}"
        os.mkdir(path, 0o700)
        held = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    mine = os.fstat(held)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield path
    finally:
        with suppress(OSError):
            now = os.lstat(path)
            if (now.st_dev, now.st_ino) == (mine.st_dev, mine.st_ino):
                shutil.rmtree(path)
        os.close(held)


def _sweep(parent: Path, prefix: str) -> None:
    """Remove what processes left behind that are gone."""
    for name in os.listdir(parent):
        random = name.removeprefix(f"{prefix}-")
        if random == name or len(random) != 16 or not set(random) <= set("0123456789abcdef"):
            continue
        with suppress(OSError):
            held = os.open(parent / name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(parent / name)
            finally:
                os.close(held)


def sync(path: Path) -> None:
    """Make what happened in a folder durable. Raises DISK-* errors."""
    with map_errors(str(path)):
        held = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(held)
        finally:
            os.close(held)
