"""The fuzzer as a program: every target, or those named, for so many seconds each, and a table of what happened.

    python -m tests.fuzz.fuzz --seconds 20 [target ...]

A name stands for all targets that begin with it. Each target runs in a process of its own, several side by side.
What breaks a target is written to `tests/fuzz/corpus/<target>/`, where every later run begins. The seed is
printed; TELEPORT_TEST_SEED repeats it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import traceback
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor

from tests.fuzz import targets as every
from tests.fuzz.engine import Failure, Fuzzer, Report, targets

_COLUMNS = "{:<28} {:>10} {:>9} {:>8} {:>9} {:>9} {:>8}"


def chosen(names: Sequence[str]) -> list[str]:
    """Return the targets that the names stand for. Raises SystemExit for a name that stands for none."""
    known = list(targets())
    for name in names:
        if not any(target.startswith(name) for target in known):
            raise SystemExit(f"no target is called {name}; there are: {', '.join(known)}")
    return [target for target in known if not names or target.startswith(tuple(names))]


def run(name: str, number: int, seconds: float) -> Report:
    """Fuzz one target in this process."""
    warnings.simplefilter("error")
    try:
        with Fuzzer(targets()[name], number) as fuzzer:
            return fuzzer.fuzz(seconds)
    except Exception:
        return Report(name, failures=[Failure(b"", "the target itself is broken:\n" + traceback.format_exc(limit=-4))])


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
    parser.add_argument("target", nargs="*", help="beginning of a target's name; none: every target")
    options = parser.parse_args(arguments)
    number, names = every.seed(), chosen(options.target)
    print(f"fuzz: seed {number}, {len(names)} targets, {options.seconds:g} s each, {options.jobs} at a time")  # noqa: T201
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, mp_context=context, max_tasks_per_child=1) as pool:
        waiting = [pool.submit(run, name, number, options.seconds) for name in names]
        return 1 if show(future.result() for future in waiting) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
