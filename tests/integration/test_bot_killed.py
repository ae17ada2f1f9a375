"""kill -9 of a real tbot at random moments: no lock, no second instance, and the next start goes on by itself.

Ten kills here; TELEPORT_SOAK=1 (`make soak`) makes a thousand. The seed is printed, and TELEPORT_TEST_SEED sets it.
`python -m tests.integration.test_bot_killed 100 --renewal=legacy` shows what the same kills do to renewals as the
original has them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.killed_bot import Life, Spans, Victim
from tests.support.tbot import Machine, instances, make_bot

SOAK = bool(os.environ.get("TELEPORT_SOAK"))
SEED = int(os.environ.get("TELEPORT_TEST_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
KILLS = 1000 if SOAK else 10
EACH = 5
"""Kills of one bot: one at its first start, the others at later ones and in renewals."""
JOBS = 2
DYING = """\
import os, signal
from teleport.bot.destinations.folder import Folder
from teleport.bot.storage import Storage
from teleport.cli.entry import tbot
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
{moment}
tbot()
"""
"""A tbot that is killed at a certain moment, with an answer in its hands."""
ANSWERED = "Storage.save = Storage.overwrite = die"
"""Nothing of the answer is stored."""
BETWEEN = "go_on = Folder.replace; Folder.replace = lambda *it: die() if it[2] == 'tlscert' else go_on(*it)"
"""The key is replaced, and the certificate is not."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")).running() as running:
        running.role("access", logins=["alice"])
        yield running


@pytest.mark.timeout(7200 if SOAK else 600)
def test_nothing_that_is_killed_locks_itself_out(cluster: Cluster) -> None:
    kill(cluster, KILLS)
    assert locks(cluster) == []


def kill(cluster: Cluster, count: int, *, jobs: int = JOBS, options: Sequence[str] = ()) -> None:
    """Kill bots so often in all, some of them side by side, and say where they were."""
    print(f"kill -9 of tbot: {count} times, seed {SEED}")  # noqa: T201 - to replay a failure
    spans, tally = Spans(), Counter[str]()
    Life(cluster, "killed-never", random.Random(SEED), spans, options=options).play([])

    def live(number: int) -> None:
        chance = random.Random(f"{SEED}/{number}")
        kinds = ["first", *chance.choices(("start", "renewal"), k=EACH - 1)]
        life = Life(cluster, f"killed-{number}", chance, spans, options=options, direct=bool(number % 2))
        life.play(kinds)
        tally.update(life.tally)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(live, range(count // EACH)))
    for where, times in sorted(tally.items()):
        print(f"kill -9 of tbot: {times:5} {where}")  # noqa: T201
    assert tally.total() == count


def locks(cluster: Cluster) -> list[str]:
    """Return the names of all locks."""
    return [lock["metadata"]["name"] for lock in json.loads(cluster.tctl("get", "locks", "--format=json").out)]


class Doomed:
    """A bot on a machine, and how it dies at a certain moment."""

    def __init__(self, cluster: Cluster, name: str, *options: str) -> None:
        self.cluster = cluster
        self.name = name
        self.machine = Machine(cluster, name, make_bot(cluster, name, "access"))
        self._options = options

    def dies(self, moment: str) -> None:
        """Start it; it is killed at a moment."""
        with Victim(self.machine, *self._options, program=(sys.executable, "-c", DYING.format(moment=moment))) as tbot:
            assert tbot.ended() == -signal.SIGKILL, tbot.log

    def once(self, status: int = 0) -> str:
        """Start it for one round; return what it says."""
        return self.machine.once(*self._options, status=status).err

    @property
    def generations(self) -> list[int]:
        """The generation of each of its instances."""
        return [*instances(self.cluster, self.name).values()]


def test_with_an_answer_in_its_hands_a_bot_that_is_killed_goes_on(cluster: Cluster) -> None:
    """S1-10, by default: a one-time token joins once more with the same key, and a generation is given again."""
    bot = Doomed(cluster, "doomed")
    bot.machine.write()
    bot.dies(ANSWERED)
    assert bot.generations == [1]
    bot.once()
    assert bot.generations == [1]
    bot.dies(ANSWERED)
    assert bot.generations == [2]
    bot.once()
    assert bot.generations == [2]
    bot.dies(BETWEEN)
    assert bot.generations == [3]
    bot.once()  # from what was noted: key and certificate do not fit
    assert bot.generations == [4]
    assert locks(cluster) == []


def test_with_legacy_renewal_the_same_kill_locks_the_bot(cluster: Cluster) -> None:
    """S1-01, S1-07, S1-10: kill between issue and save, restart."""
    bot = Doomed(cluster, "legacy", "--renewal=legacy")
    bot.once()
    bot.dies(ANSWERED)
    assert bot.generations == [2]
    said = bot.once(status=1)
    assert "renewable cert generation mismatch: stored=2, presented=1" in said
    (lock,) = locks(cluster)
    bot.once(status=1)
    cluster.tctl("rm", f"lock/{lock}")


def main() -> None:
    """Kill bots of a cluster of their own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=KILLS)
    parser.add_argument("--renewal", default="safe")
    parser.add_argument("--jobs", type=int, default=JOBS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Cluster(Path(folder)).running() as cluster:
        cluster.role("access", logins=["alice"])
        kill(cluster, given.count, jobs=given.jobs, options=[f"--renewal={given.renewal}"])
        assert locks(cluster) == []


if __name__ == "__main__":
    main()
