"""The fuzzer as a program: every target, or those named, for so many seconds each, and a table of what happened.

    python -m tests.fuzz.fuzz --seconds 20 [target ...]

A name stands for all targets that begin with it. Each target runs in a process of its own, several side by side.
What breaks a target is written to `tests/fuzz/corpus/<target>/`, where every later run begins. The seed is
printed; TELEPORT_TEST_SEED repeats it.
"""

from __future__ import annotations

import argparse
import mmap
import os
import pickle
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.fuzz import targets as every
from tests.fuzz.engine import Failure, Fuzzer, Report, targets

_COLUMNS = "{:<28} {:>10} {:>9} {:>8} {:>9} {:>9} {:>8}"
_LARGEST = 1 << 20
_GRACE = 120.0
"""Seconds that a target's process may take beside its fuzzing: imports, samples, one input that hangs in C code."""


def chosen(names: Sequence[str]) -> list[str]:
    """Return the targets that the names stand for. Raises SystemExit for a name that stands for none."""
    known = list(targets())
    for name in names:
        if not any(target.startswith(name) for target in known):
            raise SystemExit(f"no target is called {name}; there are: {', '.join(known)}")
    return [target for target in known if not names or target.startswith(tuple(names))]


def run(name: str, number: int, seconds: float) -> Report:
    """Fuzz one target in a process of its own, so that even what kills the process is a failure like others."""
    with tempfile.TemporaryDirectory() as folder:
        last, result = Path(folder, "last"), Path(folder, "result")
        last.write_bytes(bytes(_LARGEST))
        argv = [sys.executable, "-m", "tests.fuzz.fuzz", "--inside", folder, f"--seconds={seconds}", name]
        environment = {**os.environ, "TELEPORT_TEST_SEED": str(number)}
        try:
            done = subprocess.run(argv, env=environment, capture_output=True, timeout=seconds + _GRACE)
        except subprocess.TimeoutExpired:
            return Report(name, failures=[Failure(_noted(last), "Hang: the process did not end")])
        if not result.exists():
            said = done.stderr.decode(errors="replace")[-1500:]
            return Report(name, failures=[Failure(_noted(last), f"the process ended with {done.returncode}\n{said}")])
        report: Report = pickle.loads(result.read_bytes())  # noqa: S301 - written by the process that was just started
        return report


def _noted(path: Path) -> bytes:
    data = path.read_bytes()
    return data[4 : 4 + int.from_bytes(data[:4], "big")]


def run_here(name: str, number: int, seconds: float, folder: Path) -> None:
    """Fuzz one target in this process. Before it is fed, each input is put where the parent finds it."""
    warnings.simplefilter("error")
    with open(folder / "last", "r+b") as file, mmap.mmap(file.fileno(), _LARGEST) as last:

        def note(data: bytes) -> None:
            last[: 4 + len(data)] = len(data).to_bytes(4, "big") + data

        try:
            with Fuzzer(targets()[name], number, note) as fuzzer:
                report = fuzzer.fuzz(seconds)
        except Exception:
            broken = "the target itself is broken:\n" + traceback.format_exc(limit=-4)
            report = Report(name, failures=[Failure(b"", broken)])
    (folder / "result").write_bytes(pickle.dumps(report))


def keep(report: Report) -> list[str]:
    """Write what broke a target into its corpus; return the paths."""
    folder = targets()[report.target].corpus
    paths = []
    for failure in report.failures:
        if not failure.data:
            paths.append("not kept")
            continue
        folder.mkdir(parents=True, exist_ok=True)
        (folder / failure.name).write_bytes(failure.data)
        paths.append(str(folder / failure.name))
    return paths


def show(reports: Iterable[Report]) -> int:
    """Print a line for each target as it ends, then what broke; return the number of failures."""
    print(_COLUMNS.format("target", "executions", "exec/s", "answers", "slowest", "memory", "failures"))  # noqa: T201
    broken: list[Report] = []
    total = 0
    for report in reports:
        total += report.executions
        cells = (
            report.target, report.executions, f"{report.executions / max(report.seconds, 1e-9):.0f}", report.answers,
            f"{report.slowest * 1000:.0f} ms", f"{report.grown / 1024:.0f} MiB", len(report.failures),
        )  # fmt: skip
        print(_COLUMNS.format(*cells), flush=True)  # noqa: T201
        broken += [report] if report.failures else []
    failures = sum(len(report.failures) for report in broken)
    print(f"fuzz: {total} executions, {failures} failures")  # noqa: T201
    for report in broken:
        for path, failure in zip(keep(report), report.failures, strict=True):
            print(f"\n{report.target}: {path}\n{failure.data[:200]!r}\n{failure.problem}")  # noqa: T201
    return failures


def main(arguments: Sequence[str]) -> int:
    """Run the program; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.fuzz", description=every.__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="time for each target (default: 20)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="targets at a time")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("target", nargs="*", help="beginning of a target's name; none: every target")
    options = parser.parse_args(arguments)
    number = every.seed()
    if options.inside:
        run_here(options.target[0], number, options.seconds, options.inside)
        return 0
    names = chosen(options.target)
    print(f"fuzz: seed {number}, {len(names)} targets, {options.seconds:g} s each, {options.jobs} at a time")  # noqa: T201
    with ThreadPoolExecutor(options.jobs) as pool:
        return 1 if show(pool.map(lambda name: run(name, number, options.seconds), names)) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
