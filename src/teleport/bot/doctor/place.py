"""Whether the storage is a good place: there, private, writable, and of this machine alone."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import NamedTuple

from teleport.bot.doctor.case import Case, Repair
from teleport.bot.storage import FILES, NEXT
from teleport.client.doctor.report import Finding

LEAST = 1 << 20
"""Bytes that should be free."""


class _Open(NamedTuple):
    path: str
    mode: int
    wanted: int


async def run(case: Case) -> str | Finding:
    """Looks at the folder, and at each file in it, without opening them."""
    folder = case.storage.folder
    if not folder:
        return Finding.told("storage", "BOT-STORAGE-MEMORY", f"the storage is {case.storage}", "warn")
    if not os.path.isdir(folder):
        return f"{folder} is not there yet: tbot makes it when it joins"
    return _open(case, folder) or _cramped(case, folder) or f"{folder} is private and can be written to"


def _open(case: Case, folder: str) -> Finding | None:
    """Return what is readable or writable by more people than the bot: all of it, which one repair closes."""
    found = []
    for path, wanted in ((folder, 0o700), *((os.path.join(folder, name), 0o600) for name in FILES)):
        with suppress(FileNotFoundError):
            mode = stat.S_IMODE(os.lstat(path).st_mode)
            if mode & 0o077:
                found.append(_Open(path, mode, wanted))
    if not found:
        return None
    repair = "; ".join(f"chmod {each.wanted:04o} {shlex.quote(each.path)}" for each in found)
    case.repairs["storage"] = Repair(repair, partial(_close, found))
    evidence = ", ".join(f"{each.path} has mode {each.mode:04o}" for each in found)
    return Finding.told("storage", "BOT-STORAGE-OPEN", evidence, folder=folder, repair=repair)


def _close(found: Sequence[_Open]) -> None:
    for each in found:
        os.chmod(each.path, each.wanted)


def _cramped(case: Case, folder: str) -> Finding | None:
    underway = os.path.join(folder, NEXT)
    pending = os.path.exists(underway) and os.path.getsize(underway) > 0
    if not os.access(folder, os.W_OK | os.X_OK):
        code = "BOT-SAVE-CRASH" if pending else "BOT-STORAGE-READ-ONLY"
        return Finding.told("storage", code, f"{folder} cannot be written to by user {os.geteuid()}", folder=folder)
    free = shutil.disk_usage(folder).free
    if free < LEAST:
        return Finding.told("storage", "BOT-SAVE-CRASH", f"{free} bytes are free at {folder}", folder=folder)
    if pending and case.machine.holder(os.path.join(folder, "lock")) is None:
        case.interrupted = f"{underway} holds a renewal whose end was not seen"
    return None
