"""One trial: a child works until the fault strikes, and another one looks at what is left.

Children are forked from a process that has everything imported and no threads. What a child acknowledges it writes
to a pipe before it goes on, so that the acknowledgement outlives it.
"""

from __future__ import annotations

import gc
import json
import os
import random
import select
import shutil
import signal
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from teleport.base.errors import TeleportError
from tests.faults import library
from tests.faults.points import VARIANTS, Point
from tests.faults.power import Platter, cut_power

PATIENCE = 60.0
"""Seconds after which a child counts as hanging."""
_AGAIN = 0.4
"""Share of the trials in which what was left meets a second fault, so that recovery is interrupted, too."""

Acknowledge = Callable[[str], None]


@dataclass(frozen=True)
class Work:
    """The work of one child."""

    root: Path
    seed: int
    """Which variant of the work: 0 to VARIANTS - 1."""
    round: int
    """0, then 1 for a second child that works on what the first one left."""
    acknowledge: Acknowledge
    """Called with one line when the subject has promised that this is kept."""


class Subject(Protocol):
    """Something that keeps what it has acknowledged."""

    @property
    def name(self) -> str:
        """The word for it."""
        ...

    @property
    def acknowledges(self) -> str:
        """What one acknowledgement is, for the table."""
        ...

    def prepare(self, root: Path) -> None:
        """Make what exists before every trial; done once."""
        ...

    def work(self, work: Work) -> None:
        """Change things below `work.root` and acknowledge. A TeleportError may end it."""
        ...

    def examine(self, root: Path, acknowledged: list[str]) -> list[str]:
        """Open what is left; return a line for everything that is lost or half there, best `lost: ...`."""
        ...


@dataclass
class Outcome:
    """What came of a trial."""

    point: Point
    fired: bool = False
    acknowledged: int = 0
    problems: list[str] = field(default_factory=list)
    milliseconds: float = 0.0


@dataclass
class _Report:
    lines: list[str]
    end: dict[str, Any]
    """What the child said in the end; empty when it was killed."""
    status: int


def attempt(subject: Subject, point: Point, template: Path, folder: Path) -> Outcome:
    """Do one trial in `folder`, which is emptied afterwards."""
    began = time.monotonic()
    shutil.copytree(template, folder / "root")
    try:
        outcome = _Trial(subject, point, folder).outcome()
    finally:
        shutil.rmtree(folder)
        folder.mkdir()
    outcome.milliseconds = 1000 * (time.monotonic() - began)
    return outcome


class _Trial:
    def __init__(self, subject: Subject, point: Point, folder: Path) -> None:
        self._subject = subject
        self._point = point
        self._root, self._trace = folder / "root", folder / "trace"
        self._chance = random.Random(point.seed)
        self._outcome = Outcome(point)
        self._before: Platter | None = None

    def outcome(self) -> Outcome:
        rounds = 2 if self._chance.random() < _AGAIN else 1
        lines = self._strike(self._point.at, 0)
        if rounds == 2:
            # The second child may find what was never synced: only the process has ended, and the power stays on.
            if self._chance.random() < 0.5:
                self._cut()
            lines += self._strike(self._chance.randint(1, max(1, min(self._point.at, 40))), 1)
        self._cut()
        self._outcome.acknowledged = len(lines)
        self._outcome.problems += _examined(self._subject, self._root, lines)
        return self._outcome

    def _strike(self, at: int, number: int) -> list[str]:
        fault, seed = self._point.fault, self._point.seed + number
        action = self._chance.choice(fault.actions)
        if fault.power and self._before is None:
            self._before = Platter(self._root)

        def child(say: Acknowledge) -> dict[str, Any]:
            noted = os.open(self._trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if self._before else -1
            library.arm(self._root, fault.kinds, at, action, fault.number, fault.stays, seed, noted)
            problem = _worked(self._subject, Work(self._root, self._point.seed % VARIANTS, number, say))
            return {"fired": library.fired(), "problem": problem}

        report = _forked(child)
        if report.end:
            self._outcome.fired |= bool(report.end["fired"])
            self._outcome.problems += [report.end["problem"]] if report.end["problem"] else []
        elif report.status == -signal.SIGKILL and action.startswith(("kill", "torn")):
            self._outcome.fired = True
        else:
            self._outcome.problems.append(f"the child ended with {report.status}")
        return report.lines

    def _cut(self) -> None:
        if self._before:
            cut_power(self._root, self._before, self._trace.read_bytes(), self._chance.getrandbits(31))
            self._trace.unlink()
            self._before = None


def _worked(subject: Subject, work: Work) -> str:
    try:
        subject.work(work)
    except TeleportError:
        return ""
    except BaseException:
        return f"another error than ours: {traceback.format_exc()}"
    return ""


def _examined(subject: Subject, root: Path, lines: list[str]) -> list[str]:
    def child(_: Acknowledge) -> dict[str, Any]:
        try:
            return {"problems": subject.examine(root, lines)}
        except BaseException:
            return {"problems": [f"refused to open: {traceback.format_exc()}"]}

    report = _forked(child)
    return report.end["problems"] if report.end else [f"refused to open: the child ended with {report.status}"]


def count(subject: Subject, template: Path, folder: Path, variant: int) -> dict[str, int]:
    """Return how many calls of each kind a variant of the work makes without a fault. Raises SystemExit when it
    fails."""
    root = folder / "root"
    shutil.copytree(template, root)

    def child(say: Acknowledge) -> dict[str, Any]:
        library.arm(root, 0, 0, "nothing", 0, False, variant, -1)
        problem = _worked(subject, Work(root, variant, 0, say))
        return {"counted": library.counted(), "problem": problem}

    report = _forked(child)
    problems = [
        report.end.get("problem", f"the child ended with {report.status}"),
        *_examined(subject, root, report.lines),
    ]
    shutil.rmtree(root)
    if any(problems) or not report.lines:
        raise SystemExit(f"{subject.name} fails without a fault: {problems}, {len(report.lines)} acknowledged")
    return dict(report.end["counted"])


def _forked(body: Callable[[Acknowledge], dict[str, Any]]) -> _Report:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reading)
            warnings.simplefilter("ignore", ResourceWarning)
            end = body(lambda line: _say(writing, f" {line}"))
            _say(writing, json.dumps(end))
        finally:
            os._exit(0)
    os.close(writing)
    said, hangs = _all_of(reading, pid)
    os.close(reading)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    whole = said.decode().split("\n")[:-1]
    lines = [line[1:] for line in whole if line.startswith(" ")]
    ends = [json.loads(line) for line in whole if not line.startswith(" ")]
    return _Report(lines, {} if hangs else ends[-1] if ends else {}, -signal.SIGALRM if hangs else status)


def _say(pipe: int, line: str) -> None:
    data = f"{line}\n".encode()
    while data:
        data = data[os.write(pipe, data) :]


def _all_of(pipe: int, pid: int) -> tuple[bytes, bool]:
    said, deadline = bytearray(), time.monotonic() + PATIENCE
    while True:
        if not select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
            os.kill(pid, signal.SIGKILL)
            return bytes(said), True
        if not (more := os.read(pipe, 65536)):
            return bytes(said), False
        said += more


def prepare(subject: Subject, template: Path) -> None:
    """Let the subject make what exists before its trials. Raises SystemExit when it cannot."""

    def child(_: Acknowledge) -> dict[str, Any]:
        subject.prepare(template)
        return {"made": True}

    report = _forked(child)  # it may leave threads behind
    if not report.end:
        raise SystemExit(f"{subject.name}: what exists before the trials could not be made")
    gc.collect()
    gc.freeze()  # makes forks cheap: the collector of a child does not touch what is loaded now
