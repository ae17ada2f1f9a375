"""Whether the storage is a good place: there, private, writable, and of this machine alone."""

from __future__ import annotations

import os
import shutil
import stat
from functools import partial

from teleport.bot.doctor.case import Case, Repair
from teleport.bot.storage import FILES, NEXT
from teleport.client.doctor.report import Finding

LEAST = 1 << 20
"""Bytes that should be free."""


async def run(case: Case) -> str | Finding:
    """Looks at the folder, and at each file in it, without opening them."""
    folder = case.storage.folder
    if not folder:
        return Finding.told("storage", "BOT-STORAGE-MEMORY", f"the storage is {case.storage}", "warn")
    if not os.path.isdir(folder):
        return f"{folder} is not there yet: tbot makes it when it joins"
    return _open(case, folder) or _cramped(case, folder) or f"{folder} is private and can be written to"


def _open(case: Case, folder: str) -> Finding | None:
    """Return what is readable or writable by more people than the bot."""
    for path, wanted in ((folder, 0o700), *((os.path.join(folder, name), 0o600) for name in FILES)):
        try:
            mode = stat.S_IMODE(os.lstat(path).st_mode)
        except FileNotFoundError:
            continue
        if mode & 0o077:
            case.repairs["storage"] = Repair(f"chmod {wanted:04o} {path}", partial(os.chmod, path, wanted))
            return Finding.told(
                "storage", "BOT-STORAGE-OPEN", f"{path} has mode {mode:04o}", path=path, mode=f"{wanted:04o}"
            )
    return None


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
