"""A child process that commits as fast as it can, and says on its standard output what is acknowledged.

Arguments: directory of the store, name of the round. 200 tasks write; each commit is a put and an audit
record that names the same key. A line is written only after the commit returned. It runs until it is killed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from teleport.base.clock import SystemClock
from teleport.store.backend import Append, Put
from teleport.store.sqlite import SqliteBackend

WRITERS = 200
LOG = "audit/kill-nine"


async def write(backend: SqliteBackend, name: str) -> None:
    """Commit forever; acknowledge every key."""
    number = 0
    while True:
        key = f"/kill/{name}/{number}"
        await backend.commit(Put(key, key.encode() * 8), Append(LOG, key.encode()))
        os.write(1, f"{key}\n".encode())
        number += 1


async def main(directory: Path, round_name: str) -> None:
    """Start the writers."""
    backend = await SqliteBackend.open(directory, SystemClock())
    async with asyncio.TaskGroup() as group:
        for writer in range(WRITERS):
            group.create_task(write(backend, f"{round_name}-{writer}"))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
