"""Labels of commands: outputs, failures, limits, periods, and that nothing is left running."""

import asyncio
import os
import sys
import time

import pytest

from teleport.agents.ssh import labels
from teleport.agents.ssh.labels import CommandLabels, run, value_of
from teleport.base import tasks
from teleport.base.struct import Duration
from teleport.model.command_labels import CommandLabel
from teleport.model.kinds.node import Node, NodeSpec
from tests.support import virtual_loop


def sh(script):
    return ("/bin/sh", "-c", script)


def output(*command):
    return asyncio.run(run(command))


def test_output_is_what_the_command_prints():
    assert output("/bin/echo", "a", "b c") == "a b c\n"


def test_output_in_pieces_is_whole():
    script = "import sys,time; print('a', end='', flush=True); time.sleep(0.05); print('b', end='')"
    assert output(sys.executable, "-c", script) == "ab"


def test_words_are_not_read_by_a_shell():
    assert output("/bin/echo", "$HOME; $(id)") == "$HOME; $(id)\n"


def test_stderr_and_stdin_are_not_ours():
    assert output(*sh("cat; echo nothing >&2; echo out")) == "out\n"


@pytest.mark.parametrize(
    ("command", "value"),
    [
        ((), "error: no command"),
        (("/no/such/command",), "error: No such file or directory"),
        (("/etc",), "error: Permission denied"),
        (("a\0b",), "error: embedded null byte"),
        (sh("exit 3"), "error: exit status 3"),
        (sh("kill -9 $$"), "error: exit status -9"),
    ],
)
def test_failure_becomes_the_value(command, value):
    assert output(*command) == value


def test_endless_output_is_cut():
    began = time.monotonic()
    assert output("/usr/bin/yes")[:4] == "y\ny\n"
    assert time.monotonic() - began < labels.LONGEST


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"


def wait_until_gone(pid):
    end = time.monotonic() + 10
    while not is_gone(pid):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_command_that_takes_too_long_is_ended_with_its_children(monkeypatch, tmp_path):
    monkeypatch.setattr(labels, "LONGEST", 0.2)
    pids = tmp_path / "pids"
    assert output(*sh(f"sleep 1000 & echo $! $$ > {pids}; wait")) == "error: took longer than 0.2 s"
    for pid in pids.read_text().split():
        wait_until_gone(int(pid))


def test_child_that_keeps_the_pipe_does_not_keep_us(monkeypatch, tmp_path):
    monkeypatch.setattr(labels, "LONGEST", 0.2)
    pid = tmp_path / "pid"
    assert output(*sh(f"sleep 3 & echo $! > {pid}; echo done")) == "error: took longer than 0.2 s"
    os.kill(int(pid.read_text()), 9)


def test_cancelled_command_is_ended(tmp_path):
    pid = tmp_path / "pid"

    async def story():
        task = tasks.spawn(
            run(sh(f"echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 1000")), name="run", on_error=print
        )
        while not pid.exists():  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.01)
        await tasks.cancel(task)

    asyncio.run(story())
    wait_until_gone(int(pid.read_text()))


def test_value_is_one_that_a_node_may_have():
    for text in ("up 3 days\nload 1", "\x1b[31mred", "a\0b", "x" * 5000, "", "  blank  ", "\u2028"):
        value = value_of(text)
        assert len(value) <= labels.LARGEST
        made = Node(version="v2", spec=NodeSpec(cmd_labels={"a": CommandLabel(command=("x",), result=value)}))
        made.check()
    assert value_of("up\nload") == "up\\nload"
    assert value_of("  blank  ") == "blank"


class Fake:
    """Stands in for running commands where their timing is what is tested."""

    def __init__(self, monkeypatch):
        self.runs = []
        self.answer = lambda command, count: command[0]
        monkeypatch.setattr(labels, "run", self)

    async def __call__(self, command):
        self.runs.append((asyncio.get_running_loop().time(), command[0]))
        await asyncio.sleep(0.01)
        return self.answer(command, sum(name == command[0] for _, name in self.runs))


def made(**periods):
    return CommandLabels(
        {name: CommandLabel(command=(name,), period=Duration(period)) for name, period in periods.items()}
    )


def test_first_values_are_there_after_the_start(monkeypatch):
    async def story():
        commands = made(a=60, b=60)
        assert {name: label.result for name, label in commands.current().items()} == {"a": "", "b": ""}
        await commands.start()
        assert {name: label.result for name, label in commands.current().items()} == {"a": "a", "b": "b"}
        await commands.stop()

    Fake(monkeypatch)
    virtual_loop.run(story())


def test_each_has_its_period(monkeypatch):
    async def story():
        commands = made(slow=100, quick=10, tiny=0.001)
        await commands.start()
        await asyncio.sleep(100)
        await commands.stop()
        await asyncio.sleep(1000)

    fake = Fake(monkeypatch)
    virtual_loop.run(story())
    counts = {name: sum(run == name for _, run in fake.runs) for name in ("slow", "quick", "tiny")}
    assert counts["slow"] == 1 or counts["slow"] == 2
    assert counts["quick"] == 10
    assert 95 <= counts["tiny"] <= 100
    assert fake.runs[-1][0] < 102


def test_change_is_told_at_once_and_sameness_is_not(monkeypatch):
    async def story():
        loop = asyncio.get_running_loop()
        commands = made(a=10)
        await commands.start()
        began = loop.time()
        await commands.changed(within=60)
        first = loop.time() - began
        await commands.changed(within=60)
        await commands.stop()
        return first, loop.time() - began - first

    fake = Fake(monkeypatch)
    fake.answer = lambda command, count: "same" if count < 4 else "other"
    first, second = virtual_loop.run(story())
    assert 30 <= first < 31
    assert second == 60


def test_defect_of_one_command_is_logged(monkeypatch, caplog):
    async def story():
        commands = made(a=10)
        await commands.start()
        await asyncio.sleep(30)
        await commands.stop()

    def answer(command, count):
        if count > 1:
            raise KeyError("x")
        return "x"

    Fake(monkeypatch).answer = answer
    virtual_loop.run(story())
    assert "no longer run" in caplog.text
