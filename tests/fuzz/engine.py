"""The fuzzing engine: targets, the loop that feeds them, and what counts as a failure.

A target is a parser with the inputs it is known to accept. Whatever the input, it may return or raise one of the
errors that it documents; anything else, more than a second of processor time, or a broken law (an AssertionError
of the target's own) is a failure. An input that is answered in a new way is kept and mutated further: a cheap
kind of feedback that needs no instrumentation.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import re
import resource
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType

from teleport.base.errors import BadParameter, TeleportError
from tests.fuzz.mutate import Mutator

HANG = 1.0
"""Seconds of processor time that one input may cost."""
CORPUS = Path(__file__).parent / "corpus"
"""Inputs that once broke a target, in a folder of its name. They are replayed before anything else."""
_MOST_KEPT, _MOST_ANSWERS = 400, 20_000
_DIGITS = re.compile(r"[0-9]+")

Run = Callable[[bytes], object]
"""Feeds one input. What it returns tells answers apart; an assertion in it states a law."""


class Hang(BaseException):
    """An input costs too much. No parser can catch it by accident."""


@dataclass(frozen=True)
class Target:
    """A parser of bytes or text from outside."""

    name: str
    open: Callable[[], AbstractContextManager[Run]]
    seeds: Callable[[], Sequence[bytes]]
    refuses: tuple[type[BaseException], ...] = (BadParameter,)
    """The errors that its documentation names."""
    dictionary: Sequence[bytes] = ()
    widths: Sequence[int] = ()
    """Sizes of the length prefixes of the format, in bytes."""
    is_json: bool = False
    """Whether documents of this format are, or may be, JSON."""
    limit: int = 4096
    """Most bytes of an input."""

    @property
    def corpus(self) -> Path:
        """Folder of the inputs that once broke it."""
        return CORPUS / self.name


@dataclass(frozen=True)
class Failure:
    """An input that broke a target."""

    data: bytes
    problem: str

    @property
    def name(self) -> str:
        """A name for the file of the input."""
        return hashlib.sha256(self.data).hexdigest()[:16]


@dataclass
class Report:
    """What a run of a target gave."""

    target: str
    executions: int = 0
    seconds: float = 0.0
    answers: int = 0
    """Different answers seen."""
    grown: int = 0
    """Kilobytes by which the process's peak of memory grew."""
    slowest: float = 0.0
    """Processor time of the most expensive input."""
    failures: list[Failure] = field(default_factory=list)


_targets: dict[str, Target] = {}


def register(target: Target) -> Target:
    """Add a target to the table."""
    assert target.name not in _targets, target.name
    _targets[target.name] = target
    return target


def targets() -> dict[str, Target]:
    """Return every registered target by name."""
    return dict(sorted(_targets.items()))


def plain(run: Run) -> Callable[[], AbstractContextManager[Run]]:
    """Return `open` for a target that needs nothing opened."""
    return lambda: contextlib.nullcontext(run)


def text(data: bytes) -> str:
    """Read an input as text; what is not UTF-8 becomes lone surrogates, as it does in Python's own interfaces."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape")


def seed() -> int:
    """Return the seed of this run: of TELEPORT_TEST_SEED, or a new one."""
    given = os.environ.get("TELEPORT_TEST_SEED", "")
    return int(given) if given else int.from_bytes(os.urandom(4), "big")


class Fuzzer:
    """Runs one target. Used as a context."""

    def __init__(self, target: Target, number: int, note: Callable[[bytes], object] = len) -> None:
        """`note` is told every input before it is fed, in case that this process does not outlive it."""
        self.target = target
        self._note = note
        self.report = Report(target.name)
        self._random = Random(f"{number} {target.name}")
        self._pool = [data[: target.limit] for data in target.seeds()]
        self._kept = len(self._pool)
        self._answers: set[object] = set()
        self._problems: set[str] = set()
        self._mutator = Mutator(
            self._random, dictionary=target.dictionary, widths=target.widths, is_json=target.is_json,
            limit=target.limit,
        )  # fmt: skip
        self._opened = target.open()

    def __enter__(self) -> Fuzzer:
        self._run = self._opened.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._opened.__exit__(*error)  # type: ignore[arg-type]

    def replay(self) -> None:
        """Feed every kept crasher and every seed."""
        kept = sorted(self.target.corpus.glob("*")) if self.target.corpus.is_dir() else []
        for data in [*(path.read_bytes() for path in kept), *self._pool]:
            self.feed(data)

    def fuzz(self, seconds: float) -> Report:
        """Replay, then feed mutations for `seconds`, and return what happened."""
        began, before = time.monotonic(), _peak()
        with _guarded():
            self.replay()
            if seconds > 1.0:
                before = _peak()  # what the first use of a parser loads is no growth
            while time.monotonic() - began < seconds:
                data = self._mutator.make(self._random.choice(self._pool), self._random.choice(self._pool))
                if self.feed(data):
                    self._keep(data)
        gc.collect()
        self.report.seconds = time.monotonic() - began
        self.report.grown = _peak() - before
        self.report.answers = len(self._answers)
        return self.report

    def feed(self, data: bytes) -> bool:
        """Feed one input; tell whether it was answered in a new way."""
        answer, problem = self._try(data)
        if problem:
            kind = _kind(problem)
            if kind not in self._problems:
                self._problems.add(kind)
                self.report.failures.append(Failure(self._shortened(data, kind), problem))
            return False
        if answer in self._answers or len(self._answers) >= _MOST_ANSWERS:
            return False
        self._answers.add(answer)
        return True

    def _keep(self, data: bytes) -> None:
        """Add an input to those that are mutated; old finds make room, the samples stay."""
        if len(self._pool) < self._kept + _MOST_KEPT:
            self._pool.append(data)
        else:
            self._pool[self._kept + self._random.randrange(_MOST_KEPT)] = data

    def _try(self, data: bytes) -> tuple[object, str]:
        """Return the answer to an input, and the problem that it makes, if any."""
        answer: object = None
        problem = ""
        began = time.process_time()
        self.report.executions += 1
        self._note(data)
        try:
            _arm()
            answer = ("returned", self._run(data))
        except self.target.refuses as error:
            answer = _answer(error)
        except Hang:
            problem = f"Hang: more than {2 * HANG} s of processor time"
        except Exception as error:
            problem = _told(error)
        finally:
            _disarm()
        took = time.process_time() - began
        self.report.slowest = max(self.report.slowest, took)
        if took > HANG and not problem:
            problem = f"Hang: {took:.1f} s of processor time"
        return answer, problem

    def _shortened(self, data: bytes, kind: str) -> bytes:
        """Leave out of a crasher what is not needed for its problem. Of a hang nothing is tried twice."""
        step, budget = len(data) // 2, 400
        while step >= 1 and budget > 0 and not kind.startswith("Hang"):
            at = 0
            while at < len(data) and budget > 0:
                shorter = data[:at] + data[at + step :]
                budget -= 1
                if _kind(self._try(shorter)[1]) == kind:
                    data = shorter
                else:
                    at += step
            step //= 2
        return data


def _told(error: BaseException) -> str:
    """Write an unexpected error: where it came from in our code in the first line, for people the rest."""
    steps = traceback.extract_tb(error.__traceback__)
    ours = [step for step in steps if "/teleport/" in step.filename] or steps
    place = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
    message = str(error).encode("ascii", "backslashreplace").decode()[:300]
    trail = " > ".join(f"{Path(step.filename).name}:{step.lineno}" for step in steps[1:][-8:])
    return f"{type(error).__name__} at {place}\n  {message}\n  {trail}"


def _kind(problem: str) -> str:
    """Return what makes two problems the same: the class of the error and its place; all hangs are one."""
    return problem.partition("\n")[0].partition(":")[0] if problem.startswith("Hang") else problem.partition("\n")[0]


def _answer(error: BaseException) -> object:
    """Return what tells one refusal from another: class, code and problem, without the values in it."""
    if not isinstance(error, TeleportError):
        return type(error).__name__
    said = error.fields.get("problem", "")
    return type(error).__name__, error.code, re.sub(r"'[^']*'|\"[^\"]*\"", "''", _DIGITS.sub("0", said))[:80]


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@contextlib.contextmanager
def _guarded() -> Iterator[None]:
    """Make an endless loop end: the timer counts processor time, so a busy machine raises no false alarm."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGVTALRM, _ring)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _ring(number: int, frame: FrameType | None) -> None:
    raise Hang


def _arm() -> None:
    if signal.getsignal(signal.SIGVTALRM) is _ring:
        signal.setitimer(signal.ITIMER_VIRTUAL, 2 * HANG)


def _disarm() -> None:
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
