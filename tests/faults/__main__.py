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
import sys
import tempfile
from collections.abc import Iterator
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
    _say(f"faults: seed {asked.seed}")
    chosen, every = asked.subject or list(SUBJECTS), list[Outcome]()
    for number, name in enumerate(chosen):
        share = asked.points * (number + 1) // len(chosen) - asked.points * number // len(chosen)
        outcomes = Campaign(SUBJECTS[name], folder).run(share, random.Random(f"{asked.seed} {name}"))
        _say(table(SUBJECTS[name], outcomes))
        every += outcomes
    struck, failed = (sum(map(bool, column)) for column in zip(*((o.fired, o.problems) for o in every), strict=True))
    kept = sum(outcome.acknowledged for outcome in every)
    _say(f"faults: {len(every)} points, {struck} struck, {kept} acknowledged, {failed} failed")
    return bool(failed)


def _mutants(asked: argparse.Namespace, folder: Path) -> int:
    escaped = 0
    for name in asked.mutant or MUTANTS:
        campaign, chance = Campaign(MUTANTS[name], folder), random.Random(f"{asked.seed} {name}")
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
