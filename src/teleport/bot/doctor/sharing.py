"""Whether the storage is this bot's alone. Two programs with the same certificates lock the bot out."""

from __future__ import annotations

import os
from itertools import pairwise

from teleport.bot.destinations import mounts
from teleport.bot.destinations.writer import LOCK
from teleport.bot.doctor.case import Case
from teleport.client.doctor.report import Finding


async def run(case: Case) -> str | Finding:
    """Looks at the file system, and at who holds the lock of the storage."""
    folder = case.storage.folder
    if not folder:
        return "nothing of it leaves the process"
    if not os.path.isdir(folder):
        return f"{folder} is not there yet"
    kind = mounts.shared_type(folder, os.stat(folder).st_dev, case.machine.mounts)
    if kind:
        evidence = f"{folder} is on {kind}, which other machines can use at the same time"
        return Finding.told("sharing", "BOT-DIR-NFS", evidence, path=folder, kind=kind)
    holder = case.machine.holder(os.path.join(folder, LOCK))
    last = (await case.storage.read(LOCK) or b"").decode(errors="replace").split()
    if holder is None and len(last) == 2 and last[1] != case.host:
        evidence = f"{folder} was last used on {last[1]}, this is {case.host}"
        return Finding.told("sharing", "BOT-DIR-COPIED", evidence, path=folder, host=last[1])
    if holder is None:
        return f"no tbot works with {folder} now"
    if case.source and holder.command and not _same(case.source, holder.command):
        evidence = f"process {holder.pid} ({' '.join(holder.command)[:200]}) works with {folder}"
        return Finding.told("sharing", "BOT-DIR-SHARED", evidence, path=folder, holder=holder.pid)
    return f"process {holder.pid} works with {folder}"


def _same(source: str, command: tuple[str, ...]) -> bool:
    """Whether a command line may be that of the configuration under examination."""
    named = [word for before, word in pairwise(command) if before in ("-c", "--config")]
    named += [word.partition("=")[2] for word in command if word.startswith("--config=")]
    return not named or any(os.path.basename(word) == os.path.basename(source) for word in named)
