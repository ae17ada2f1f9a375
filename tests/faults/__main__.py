"""The kill tests as a program.

    python -m tests.faults list
    python -m tests.faults soak --points 10000 [--seed N] [--subject store ...]
    python -m tests.faults run --subject store --class kill --at 17 --seed 5

`soak` strikes chosen points and prints a table; a failure is printed with the command that repeats it.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults import library
from tests.faults.campaign import Campaign, table


def main(words: list[str]) -> int:
    """Do what the words say; return the status."""
    if not library.is_loaded():
        environment = library.environment(library.compiled())
        os.execve(sys.executable, [sys.executable, "-m", "tests.faults", *words], environment)
    asked = _parser().parse_args(words)
    from tests.faults.points import FAULTS, Point  # after the library is in: imports take their time
    from tests.faults.subjects import SUBJECTS

    if asked.verb == "list":
        sys.stdout.writelines(f"{name:<12} acknowledges {subject.acknowledges}\n" for name, subject in SUBJECTS.items())
        sys.stdout.writelines(f"{fault.name:<12} {fault.about}\n" for fault in FAULTS.values())
        return 0
    with _folder() as folder:
        if asked.verb == "run":
            campaign = Campaign(SUBJECTS[asked.subject], folder)
            outcome = campaign.strike(Point(asked.subject, FAULTS[asked.fault], asked.at, asked.seed))
            print(f"fired: {outcome.fired}, acknowledged: {outcome.acknowledged}")  # noqa: T201
            print("\n".join(outcome.problems))  # noqa: T201
            return bool(outcome.problems)
        print(f"faults: seed {asked.seed}", flush=True)  # noqa: T201
        chance, failures = random.Random(asked.seed), 0
        chosen = asked.subject or list(SUBJECTS)
        for number, name in enumerate(chosen):
            campaign = Campaign(SUBJECTS[name], folder)
            share = asked.points * (number + 1) // len(chosen) - asked.points * number // len(chosen)
            outcomes = campaign.run(share, chance)
            print(table(SUBJECTS[name], outcomes), flush=True)  # noqa: T201
            failures += sum(bool(outcome.problems) for outcome in outcomes)
    return min(failures, 100)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list")
    soak = verbs.add_parser("soak")
    soak.add_argument("--points", type=int, default=10_000)
    soak.add_argument("--subject", action="append")
    soak.add_argument("--seed", type=int, default=int(os.environ.get("TELEPORT_TEST_SEED", 0)) or random.randrange(1 << 31))
    run = verbs.add_parser("run")
    for name, kind in (("subject", str), ("at", int), ("seed", int)):
        run.add_argument(f"--{name}", type=kind, required=True)
    run.add_argument("--class", dest="fault", required=True)
    return parser


@contextmanager
def _folder() -> Iterator[Path]:
    """In memory where there is such a place: power cuts are made by us, and disks of machines are slow."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="faults-", dir=memory) as name:
        yield Path(os.path.realpath(name))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
