"""The store under faults: what a commit has acknowledged is there whole, and no commit is there in part."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from teleport.base.clock import SystemClock
from teleport.base.errors import TeleportError
from teleport.store.audit.verify import verify_log
from teleport.store.backend import Append, Delete, Item, Put
from teleport.store.sqlite import SqliteBackend
from tests.faults.trial import Work

_TASKS, _EACH = 6, 5
_LOGS = ("audit/one", "audit/two")


class Store:
    """Tasks commit side by side. Each commit puts two keys, removes one of the commit before, and appends a record."""

    name, acknowledges = "store", "commits"

    def prepare(self, root: Path) -> None:
        """Make a store that has been used and closed."""

        async def used() -> None:
            backend = await SqliteBackend.open(root / "store", SystemClock())
            await backend.commit(Put("/before", b"before"))
            await backend.close()

        asyncio.run(used())

    def work(self, work: Work) -> None:
        """Commit, and acknowledge with the revision."""
        asyncio.run(self._work(work))

    async def _work(self, work: Work) -> None:
        chance = random.Random(work.seed)
        # Large values, so that the log of the database is folded in while commits go on.
        size = 400_000 if chance.random() < 0.1 else chance.choice((10, 3000))
        place = "fresh" if chance.random() < 0.2 else "store"
        backend = await SqliteBackend.open(work.root / place, SystemClock())
        try:
            jobs = [_commit(backend, work, place, f"{work.round}.{task}", size) for task in range(_TASKS)]
            await asyncio.gather(*jobs)
        finally:
            await backend.close()

    def examine(self, root: Path, acknowledged: list[str]) -> list[str]:
        """See what is left."""
        problems = []
        for place in ("store", "fresh"):
            said = [line.split(" ")[1:] for line in acknowledged if line.startswith(f"{place} ")]
            if place == "store" or said or (root / place).exists():
                promised = {token: int(revision) for token, revision in said}
                problems += asyncio.run(_examine(root / place, promised, used=place == "store"))
        return problems


async def _commit(backend: SqliteBackend, work: Work, place: str, task: str, size: int) -> None:
    for number in range(_EACH):
        token = f"{task}.{number}"
        value = (f"{token}|" * (size // len(token) + 1)).encode()
        try:
            revision = await backend.commit(
                Put(f"/a/{token}", value),
                Put(f"/b/{token}", value),
                Delete(f"/b/{task}.{number - 1}"),
                Append(_LOGS[number % 2], token.encode()),
            )
        except TeleportError:
            continue
        work.acknowledge(f"{place} {token} {revision}")


async def _examine(directory: Path, promised: dict[str, int], *, used: bool) -> list[str]:
    backend = await SqliteBackend.open(directory, SystemClock())
    try:
        items = {item.key: item async for item in backend.scan("/")}
        records = [record async for record in _records(backend)]
        problems = _judged(items, records, promised)
        if used and "/before" not in items:
            problems.append("lost: what was there before")
        for head in await backend.logs():
            report = await verify_log(backend, head)
            problems += [] if report.intact else [f"half: {report}"]
        newest = max([*promised.values(), *(item.revision for item in items.values()), 0])
        if (revision := await backend.commit(Put("/after", b""))) <= newest:
            problems.append(f"the revision went back from {newest} to {revision}")
        return problems
    finally:
        await backend.close()


async def _records(backend: SqliteBackend):  # type: ignore[no-untyped-def]
    for log in _LOGS:
        for record in await backend.read_log(log):
            yield record.data.decode()


def _judged(items: dict[str, Item], records: list[str], promised: dict[str, int]) -> list[str]:
    problems = []
    there = {key.removeprefix("/a/") for key in items if key.startswith("/a/")}
    for token, revision in promised.items():
        if token not in there or items[f"/a/{token}"].revision != revision:
            problems.append(f"lost: commit {token} of revision {revision}")
    if sorted(records) != sorted(there):
        problems.append(f"half: items {sorted(there)} and records {sorted(records)}")
    for token in there:
        task, _, number = token.rpartition(".")
        followed = f"{task}.{int(number) + 1}" in there
        whole = items[f"/a/{token}"].value.replace(f"{token}|".encode(), b"") == b""
        second = items.get(f"/b/{token}")
        if not whole or (second is None) != followed or (second and second.value != items[f"/a/{token}"].value):
            problems.append(f"half: commit {token}")
    return problems
