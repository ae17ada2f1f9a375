"""Work in child processes: one at a time, in order, with an answer whatever happens."""

from __future__ import annotations

import os
import selectors
import signal
from typing import Any

import pytest

from teleport.agents.ssh.jobs import Answer, Jobs
from teleport.base.errors import Unavailable


class Stage:
    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.jobs = Jobs(self.selector)
        self.answers: list[Answer] = []

    def run(self) -> list[Answer]:
        while self.jobs.busy:
            for key, _ in self.selector.select(30):
                key.data.read()
        self.selector.close()
        return self.answers


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_one_after_the_other_in_a_process_of_its_own(stage: Stage) -> None:
    for number in range(3):
        stage.jobs.add(lambda number=number: {"number": number, "pid": os.getpid()}, stage.answers.append)
    answers = stage.run()
    assert [answer["number"] for answer in answers] == [0, 1, 2]
    assert len({answer["pid"] for answer in answers} | {os.getpid()}) == 4


def test_what_is_not_wanted_any_more_when_its_turn_comes_is_left_out(stage: Stage) -> None:
    held = [True]

    def first(answer: Answer) -> None:
        held.clear()
        stage.answers.append(answer)

    stage.jobs.add(lambda: {"number": 1}, first)
    stage.jobs.add(lambda: {"number": 2}, stage.answers.append, lambda: bool(held))
    stage.jobs.add(lambda: {"number": 3}, stage.answers.append, lambda: not held)
    assert [answer["number"] for answer in stage.run()] == [1, 3]


def test_an_error_is_an_answer(stage: Stage) -> None:
    def fail() -> Answer:
        raise Unavailable("SSH-HOST-USER-TOOL", tool="useradd", problem="no")

    def missing() -> Answer:
        with open("/no/such"):
            return {}

    stage.jobs.add(fail, stage.answers.append)
    stage.jobs.add(missing, stage.answers.append)
    one, two = stage.run()
    assert one["code"] == "SSH-HOST-USER-TOOL"
    assert one["fields"] == {"tool": "useradd", "problem": "no"}
    assert two["fields"]["problem"] == "/no/such: No such file or directory"


@pytest.mark.parametrize("end", [lambda: os._exit(0), lambda: os.kill(os.getpid(), signal.SIGKILL)])
def test_a_child_that_says_nothing_has_failed(stage: Stage, end: Any) -> None:
    stage.jobs.add(end, stage.answers.append)
    stage.jobs.add(lambda: {"next": True}, stage.answers.append)
    one, two = stage.run()
    assert one["fields"]["problem"] == "it ended without an answer"
    assert two == {"next": True}
