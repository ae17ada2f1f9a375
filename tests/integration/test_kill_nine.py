"""kill -9 in the middle of 200 concurrent writers: what was acknowledged is there, and the chain holds.

The normal run does a few rounds; TELEPORT_SOAK=1 (`make soak`) does a hundred. Rounds share a store, so
that recovery is also tried on what an earlier recovery left.
"""

from __future__ import annotations

import asyncio
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from teleport.base.clock import SystemClock
from teleport.base.errors import Unavailable
from teleport.store.audit.verify import verify_log
from teleport.store.sqlite import SqliteBackend

PROGRAM = Path(__file__).parents[1] / "support" / "store_writer.py"
LOG = "audit/kill-nine"
ROUNDS_PER_STORE = 10
SEED = int(os.environ.get("TELEPORT_TEST_SEED", "0")) or random.SystemRandom().randrange(1 << 32)


def start(directory: Path, name: str) -> subprocess.Popen[bytes]:
    """Start the writing child."""
    return subprocess.Popen([sys.executable, str(PROGRAM), str(directory), name], stdout=subprocess.PIPE)


def kill_at_random(child: subprocess.Popen[bytes], chance: random.Random) -> list[str]:
    """Kill the child some time after its first acknowledgement; return every key it acknowledged."""
    assert child.stdout is not None
    pipe, said = child.stdout.fileno(), b""
    try:
        while not said:
            first = os.read(pipe, 65536)
            assert first, f"the child ended by itself with {child.wait()}"
            said += first
        deadline = time.monotonic() + chance.uniform(0, 0.25)
        while (left := deadline - time.monotonic()) > 0:
            if select.select([pipe], [], [], left)[0]:
                said += os.read(pipe, 65536)
    finally:
        child.kill()
    while more := os.read(pipe, 65536):
        said += more
    assert child.wait() == -signal.SIGKILL
    child.stdout.close()
    return said.decode().splitlines()


async def examine(directory: Path, acknowledged: list[str]) -> int:
    """Check the store after a crash; return the number of records in its log."""
    backend = await SqliteBackend.open(directory, SystemClock())
    try:
        items = {item.key: item async for item in backend.scan("/kill/")}
        assert [key for key in acknowledged if key not in items] == []
        assert all(item.value == key.encode() * 8 for key, item in items.items())
        (head,) = await backend.logs()
        report = await verify_log(backend, head)
        assert report.intact, report
        records = [r for at in range(0, head.sequence, 1000) for r in await backend.read_log(LOG, after=at)]
        assert [record.sequence for record in records] == list(range(1, head.sequence + 1))
        # A change and its record are one: neither is there without the other, and none is there twice.
        assert sorted(record.data.decode() for record in records) == sorted(items)
        return head.sequence
    finally:
        await backend.close()


def soak(rounds: int, folder: Path) -> None:
    """Kill and examine `rounds` times. The seed is printed and can be set with TELEPORT_TEST_SEED."""
    print(f"kill -9: seed {SEED}")  # noqa: T201 - to replay a failure
    chance = random.Random(SEED)
    for number in range(rounds):
        directory = folder / f"store-{number // ROUNDS_PER_STORE}"
        acknowledged = kill_at_random(start(directory, str(number)), chance)
        records = asyncio.run(examine(directory, acknowledged))
        print(f"kill -9: round {number}: {len(acknowledged)} acknowledged, {records} records in all")  # noqa: T201


@pytest.mark.timeout(900)
def test_what_was_acknowledged_survives_kill_nine(tmp_path: Path) -> None:
    soak(100 if os.environ.get("TELEPORT_SOAK") else 3, tmp_path)


def test_a_second_process_is_refused_by_name_of_the_first(tmp_path: Path) -> None:
    child = start(tmp_path / "store", "lock")
    try:
        assert child.stdout is not None
        assert child.stdout.readline()
        with pytest.raises(Unavailable) as caught:
            asyncio.run(SqliteBackend.open(tmp_path / "store", SystemClock()))
        assert caught.value.code == "STORE-LOCKED"
        assert caught.value.fields["pid"] == str(child.pid)
    finally:
        child.kill()
        child.communicate()
    asyncio.run(examine(tmp_path / "store", []))  # the kernel gave the lock back


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        soak(int(sys.argv[1]) if len(sys.argv) > 1 else 100, Path(temporary))
