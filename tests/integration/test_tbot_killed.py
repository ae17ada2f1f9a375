"""kill -9 of a real tbot at random moments: while it starts, joins, renews and writes. None is ever locked.

Ten times here, a thousand times with TELEPORT_SOAK=1 (`make soak`). The seed is printed; TELEPORT_TEST_SEED sets it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.support.cluster import Cluster
from tests.support.tbot import Machine, Running, identity_in, instances, make_bot

SOAK = bool(os.environ.get("TELEPORT_SOAK"))
KILLS = 1000 if SOAK else 10
JOINS = 5
"""Of so many kills one comes during a first join, where there is only the token to lose."""
SEED = int(os.environ.get("TELEPORT_TEST_SEED", "0")) or random.SystemRandom().randrange(1 << 32)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")).running() as running:
        running.role("access", logins=["alice"])
        yield running


def killed(machine: Machine, chance: random.Random, longest: float) -> None:
    """Start the bot, let it renew again and again, and kill it some time after its start."""
    machine.write()
    with machine.running() as bot:
        end = time.monotonic() + chance.uniform(0, longest)
        while time.monotonic() < end:
            if "Task succeeded. Waiting interval service:identity" in bot.log:
                bot.signal(signal.SIGUSR1)
            try:
                bot.process.wait(chance.uniform(0.001, 0.2))
            except subprocess.TimeoutExpired:
                continue
            break
        finish(bot)


def finish(bot: Running) -> None:
    """Kill the bot, which has not ended by itself."""
    assert bot.process.poll() is None, bot.log
    bot.process.kill()
    assert bot.process.wait(60) == -signal.SIGKILL


def standing(cluster: Cluster) -> list[object]:
    """Return the locks that there are."""
    return list(json.loads(cluster.tctl("get", "locks", "--format=json").out))


@pytest.mark.timeout(14400 if SOAK else 900)
def test_no_kill_locks_a_bot(cluster: Cluster) -> None:
    """S1-10: by default what the seed prints does not come: the bot goes on where it was."""
    print(f"kill -9: seed {SEED}")  # noqa: T201 - shown where it fails
    chance = random.Random(SEED)
    machine = Machine(cluster, "killed", make_bot(cluster, "killed", "access"))
    began = time.monotonic()
    machine.once()
    longest = 1.2 * (time.monotonic() - began)
    for number in range(KILLS):
        if number % JOINS:
            killed(machine, chance, longest)
            continue
        name = f"joining-{number}"
        other = Machine(cluster, name, make_bot(cluster, name, "access"))
        killed(other, chance, longest)
        other.once()
        assert [*instances(cluster, name).values()] == [identity_in(other.storage).generation]
    machine.once()
    assert [*instances(cluster, "killed").values()] == [identity_in(machine.storage).generation]
    assert standing(cluster) == []
