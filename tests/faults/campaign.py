"""Many trials of one subject, and the table of what came of them."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.faults import trial
from tests.faults.points import FAULTS, Fault, Point, choose
from tests.faults.trial import Outcome, Subject

_ROW = "{:<10} {:<12} {:>7} {:>7} {:>13} {:>7} {:>7} {:>8}"


class Campaign:
    """Trials of one subject, in a folder of its own below `folder`."""

    def __init__(self, subject: Subject, folder: Path, sound: Subject | None = None) -> None:
        """`sound` is the subject of which the calls are counted, when `subject` was spoiled on purpose."""
        self._subject, self._sound = subject, sound or subject
        self._template = folder / f"{subject.name}-template"
        self._place = folder / f"{subject.name}-trial"
        self._template.mkdir(mode=0o700)
        self._place.mkdir(mode=0o700)
        self._counted: dict[int, dict[str, int]] = {}
        trial.prepare(subject, self._template)

    def strike(self, point: Point) -> Outcome:
        """Do one trial."""
        return trial.attempt(self._subject, point, self._template, self._place)

    def points(self, number: int, chance: random.Random, faults: Sequence[Fault]) -> list[Point]:
        """Count the calls of runs without faults, and choose among them."""
        return choose(self._subject.name, self._calls, number, chance, faults)

    def _calls(self, variant: int) -> dict[str, int]:
        if variant not in self._counted:
            self._counted[variant] = trial.count(self._sound, self._template, self._place, variant)
        return self._counted[variant]

    def run(self, number: int, chance: random.Random) -> list[Outcome]:
        """Do `number` trials at chosen points, and tell of those that fail on standard error."""
        outcomes = []
        for point in self.points(number, chance, list(FAULTS.values())):
            outcome = self.strike(point)
            outcomes.append(outcome)
            if outcome.problems:
                problems = "\n  ".join(outcome.problems[:5])
                sys.stderr.write(f"faults: FAILED: python -m tests.faults run {point}\n  {problems[:3000]}\n")
        return outcomes

    def caught(self, fault: Fault, most: int, chance: random.Random) -> Point | None:
        """Strike with this class until something is found; return where, or None when nothing was in `most` trials."""
        return next((point for point in self.points(most, chance, [fault]) if self.strike(point).problems), None)


def table(subject: Subject, outcomes: Sequence[Outcome]) -> str:
    """Return rows by class: trials, faults that struck, what was acknowledged, and what was wrong."""
    rows = [_ROW.format("subject", "class", "trials", "struck", subject.acknowledges, "lost", "refused", "other")]
    for name in FAULTS:
        mine = [outcome for outcome in outcomes if outcome.point.fault.name == name]
        if not mine:
            continue
        problems = [problem for outcome in mine for problem in outcome.problems]
        lost = sum(problem.startswith("lost") for problem in problems)
        refused = sum(problem.startswith("refused") for problem in problems)
        acknowledged = sum(outcome.acknowledged for outcome in mine)
        other = len(problems) - lost - refused
        fired = sum(outcome.fired for outcome in mine)
        rows.append(_ROW.format(subject.name, name, len(mine), fired, acknowledged, lost, refused, other))
    took = sum(outcome.milliseconds for outcome in outcomes) / max(1, len(outcomes))
    return "\n".join([*rows, f"{subject.name}: {took:.0f} ms a trial"])
