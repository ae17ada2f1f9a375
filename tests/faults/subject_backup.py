"""Backups under faults: what has the name of one can be restored, and a data directory is old or new, never mixed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from teleport.base.clock import SystemClock
from teleport.base.entropy import SystemEntropy
from teleport.base.errors import TeleportError
from teleport.pki import key_check
from teleport.process import backup, restore
from teleport.store.sqlite import SqliteBackend
from tests.faults.trial import Work
from tests.support import data_dir

_OLD, _SAVED = 11, 10
"""Values in the data directory, and in the backup that was made of it before the last one was written."""

# The check of the keys is a process of its own otherwise, which would be most of a trial.
for module in (backup, restore):
    vars(module)["survey"] = key_check.survey


class Backups:
    """Backups are made, one is restored beside the data directory, and in its place."""

    name, acknowledges = "backups", "backups"

    def prepare(self, root: Path) -> None:
        """Make a data directory and a backup of it, to which one value was added since."""
        data_dir.make(root / "data", items=_SAVED)
        backup.make(root / "data", root / "saved.tar", clock=SystemClock(), entropy=SystemEntropy())

        async def add() -> None:
            store = await SqliteBackend.open(root / "data" / "backend", SystemClock())
            await data_dir.put(store, 500)
            await store.close()

        asyncio.run(add())

    def work(self, work: Work) -> None:
        """Make and restore; what fails is left out."""
        data, new = work.root / "data", work.root / f"new-{work.round}"
        for place, of in (
            (f"first-{work.round}.tar", None),
            (new, new),
            (data, data),
            (f"last-{work.round}.tar", None),
        ):
            try:
                if of is None:
                    backup.make(data, work.root / place, clock=SystemClock(), entropy=SystemEntropy())
                    work.acknowledge(f"{place} {_numbers(data)}")
                else:
                    _restored(work.root / "saved.tar", of)
                    work.acknowledge(f"{of.name} {_SAVED}")
            except TeleportError:
                continue

    def examine(self, root: Path, acknowledged: list[str]) -> list[str]:
        """Restore every backup; open every data directory."""
        promised = dict(line.split(" ") for line in acknowledged)
        problems, contents = [], []
        for archive in [path for path in root.glob("*.tar") if not path.name.startswith(".")]:
            _restored(archive, root / "look" / archive.stem)
            found = _numbers(root / "look" / archive.stem)
            if str(found) != promised.get(archive.name, str(found)):
                problems.append(f"lost: {archive.name} holds {found}")
        for name in ("data", *(path.name for path in root.iterdir() if path.name.startswith(("new-", "data.")))):
            contents.append(_numbers(root / name))
            if str(contents[-1]) != promised.get(name, str(contents[-1])) or contents[-1] not in (_OLD, _SAVED):
                problems.append(f"lost: {name} holds {contents[-1]}")
        problems += [f"lost: {name}" for name in promised if not (root / name).exists()]
        return problems if _OLD in contents else [*problems, "lost: the former data directory"]


def _restored(archive: Path, target: Path) -> None:
    asyncio.run(restore.restore(archive, target, force=True, clock=SystemClock(), entropy=SystemEntropy()))


def _numbers(path: Path) -> int:
    """Open the store as the Auth Service would and return how many test values it has."""

    async def body() -> int:
        store = await SqliteBackend.open(path / "backend", SystemClock())
        try:
            return len([item async for item in store.scan("/test/")])
        finally:
            await store.close()

    return asyncio.run(body())
