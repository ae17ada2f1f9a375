"""The kill tests as a program.

    python -m tests.faults list
    python -m tests.faults soak --points 10000 [--seed N] [--subject store ...]
    python -m tests.faults run --subject store --class kill --at 17 --seed 5
    python -m tests.faults mutants [--mutant commits-unsynced ...]

`soak` strikes chosen points and prints a table; a failure is printed with the command that repeats it.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.faults import library
from tests.faults.campaign import Campaign, table
from tests.faults.mutants import MUTANTS
from tests.faults.points import FAULTS, Point
from tests.faults.subjects import SUBJECTS
from tests.faults.trial import Outcome


def main(words: list[str]) -> int:
    """Do what the words say; return the status."""
    if not library.is_loaded():
        environment = library.environment(library.compiled())
        os.execve(sys.executable, [sys.executable, "-m", "tests.faults", *words], environment)  # noqa: S606
    asked = _parser().parse_args(words)
    logging.disable(logging.CRITICAL)  # what is logged of faults is not what is looked at
    with _folder() as folder:
        return int({"list": _list, "run": _run, "soak": _soak, "mutants": _mutants}[asked.verb](asked, folder))


def _list(asked: argparse.Namespace, folder: Path) -> int:
    _say(*(f"{name:<12} acknowledges {subject.acknowledges}" for name, subject in SUBJECTS.items()))
    _say(*(f"{fault.name:<12} {fault.about}" for fault in FAULTS.values()))
    return 0


def _run(asked: argparse.Namespace, folder: Path) -> int:
    campaign = Campaign({**SUBJECTS, **MUTANTS}[asked.subject], folder)
    outcome = campaign.strike(Point(asked.subject, FAULTS[asked.fault], asked.at, asked.seed))
    _say(f"struck: {outcome.fired}, acknowledged: {outcome.acknowledged}", *outcome.problems)
    return bool(outcome.problems)


def _soak(asked: argparse.Namespace, folder: Path) -> int:
    chosen = asked.subject or list(SUBJECTS)
    shares = [asked.points * (n + 1) // len(chosen) - asked.points * n // len(chosen) for n in range(len(chosen))]
    if len(chosen) == 1:
        outcomes = Campaign(SUBJECTS[chosen[0]], folder).run(shares[0], random.Random(f"{asked.seed} {chosen[0]}"))
        _say(table(SUBJECTS[chosen[0]], outcomes), _sum(_totals(outcomes)))
        return any(outcome.problems for outcome in outcomes)
    _say(f"faults: seed {asked.seed}")
    with ThreadPoolExecutor(asked.jobs) as pool:  # each subject in a process of its own
        counts = list(pool.map(lambda name, share: _apart(name, share, asked.seed), chosen, shares))
    totals = [sum(column) for column in zip(*counts, strict=True)]
    _say(_sum(totals))
    return bool(totals[3]) or totals[0] != asked.points


def _apart(name: str, points: int, seed: int) -> list[int]:
    words = ["soak", "--subject", name, "--points", str(points), "--seed", str(seed)]
    done = subprocess.run([sys.executable, "-m", "tests.faults", *words], capture_output=True, text=True)
    head, _, last = done.stdout.rstrip("\n").rpartition("\n")
    _say(head, *filter(None, [done.stderr.rstrip("\n")]))
    counts = [int(number) for number in re.findall(r"\d+", last.removeprefix("faults: "))]
    return counts if len(counts) == len(_WORDS) else [0, 0, 0, 1]


_WORDS = ("points", "struck", "acknowledged", "failed")


def _totals(outcomes: Sequence[Outcome]) -> list[int]:
    acknowledged = sum(outcome.acknowledged for outcome in outcomes)
    failed = sum(bool(outcome.problems) for outcome in outcomes)
    return [len(outcomes), sum(outcome.fired for outcome in outcomes), acknowledged, failed]


def _sum(totals: Sequence[int]) -> str:
    return "faults: " + ", ".join(f"{number} {word}" for number, word in zip(totals, _WORDS, strict=True))


def _mutants(asked: argparse.Namespace, folder: Path) -> int:
    escaped = 0
    for name in asked.mutant or MUTANTS:
        campaign = Campaign(MUTANTS[name], folder, SUBJECTS[MUTANTS[name].of])
        chance = random.Random(f"{asked.seed} {name}")
        for fault in MUTANTS[name].caught_by:
            point = campaign.caught(FAULTS[fault], asked.points, chance)
            _say(f"caught: {point}" if point else f"NOT CAUGHT: {name} by {fault}")
            escaped += point is None
    return bool(escaped)


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list")
    for name, points, many in (("soak", 10_000, "subject"), ("mutants", 100, "mutant")):
        verb = verbs.add_parser(name)
        verb.add_argument("--points", type=int, default=points)
        verb.add_argument(f"--{many}", action="append")
        verb.add_argument("--seed", type=int, default=int(os.environ.get("TELEPORT_TEST_SEED", 0)) or _any_seed())
        verb.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    run = verbs.add_parser("run")
    run.add_argument("--subject", required=True)
    run.add_argument("--class", dest="fault", required=True)
    run.add_argument("--at", type=int, required=True)
    run.add_argument("--seed", type=int, required=True)
    return parser


def _any_seed() -> int:
    return random.SystemRandom().randrange(1 << 31)


@contextmanager
def _folder() -> Iterator[Path]:
    """In memory where there is such a place: power cuts are made by us, and disks of machines are slow."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="faults-", dir=memory) as name:
        yield Path(os.path.realpath(name))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
