"""Every fuzz target for a moment: first what once broke it, then its samples, then new inputs.

`python -m tests.fuzz.fuzz --seconds 20` does the same for longer, and keeps what it finds.
"""

from __future__ import annotations

import base64
import logging

import pytest

from tests.fuzz import engine
from tests.fuzz import targets as every
from tests.fuzz.engine import CORPUS, Fuzzer, Target, targets

SECONDS = 0.3
"""Time for each target; the seed is one for the whole run, and printed by `scripts/test.sh`."""
MEMORY = 256 * 1024
"""Kilobytes by which the process may grow over one target. One input is at most 70 KB."""


@pytest.mark.parametrize("name", targets())
def test_a_hostile_input_is_refused_as_documented(name: str) -> None:
    number = every.seed()
    with Fuzzer(targets()[name], number) as fuzzer:
        report = fuzzer.fuzz(SECONDS)
    told = [f"{failure.problem}\n  input {shown(failure.data)}" for failure in report.failures]
    assert not told, f"TELEPORT_TEST_SEED={number} repeats it\n" + "\n".join(told)
    assert report.grown < MEMORY
    assert report.answers > 1, "every input is answered alike: the target does not reach its parser"


def shown(data: bytes) -> str:
    """Return an input so that it can be pasted into a file of the corpus."""
    return f"{data!r}" if len(data) < 200 else f"base64 {base64.b64encode(data).decode()}"


def test_every_folder_of_the_corpus_belongs_to_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} <= set(targets())


def broken(data: bytes) -> object:
    """A parser with an error that it does not name, a law that it breaks, and a loop that does not end."""
    if data[:1] == b"a":
        return 1 // 0
    if data[:1] == b"b":
        assert data[1:] != b"", "a law"
    while data[:1] == b"c":
        pass
    if data[:1] == b"d":
        raise LookupError
    return data[:2]


def test_the_engine_sees_what_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "HANG", 0.05)
    target = Target(
        "nothing", lambda: every.plain(broken)(), lambda: [b"axxxxxxxx", b"ax", b"b", b"c", b"d", b"e"], (LookupError,)
    )
    with Fuzzer(target, 1) as fuzzer:
        assert fuzzer.fuzz(0.0).executions >= 6
        assert fuzzer.report.answers == 2
        (error, law, hang) = fuzzer.report.failures
    assert error.data == b"a"
    assert error.problem.startswith("ZeroDivisionError at test_fuzz.py:")
    assert law.data == b"b"
    assert law.problem.startswith("AssertionError at test_fuzz.py:")
    assert (hang.data, hang.problem[:5]) == (b"c", "Hang:")


def test_a_seed_repeats_a_run() -> None:
    inputs: list[list[bytes]] = []
    for _ in range(2):
        fed: list[bytes] = []
        run = every.plain(fed.append)
        target = Target("nothing", run, lambda: [b'{"a": [1]}', b"\0\2ab"], is_json=True,
                        widths=(1, 2), dictionary=(b"x",))  # fmt: skip
        with Fuzzer(target, 7) as fuzzer:
            fuzzer.fuzz(0.02)
        inputs.append(fed)
    count = min(map(len, inputs))
    assert count > 10
    assert inputs[0][:count] == inputs[1][:count]


def test_nothing_stays_switched_off() -> None:
    assert logging.root.manager.disable < logging.CRITICAL
