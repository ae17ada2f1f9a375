"""Whose line it is, what belongs together, and what happens when bpftrace ends."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from teleport.agents.ssh.enhanced import observer as under_test
from teleport.agents.ssh.enhanced import story
from teleport.agents.ssh.enhanced.lines import Argument, Exec, Lost, Opened, Returned, Said
from teleport.agents.ssh.enhanced.observer import Observer, Ran, Seen, Settings
from teleport.agents.ssh.enhanced.story import Enhanced
from teleport.base.counters import Counter
from teleport.base.errors import TeleportError, Unavailable
from teleport.base.tasks import cancel, spawn
from teleport.model.events.base import Event
from tests.support.until import until


class Kernel:
    """A spawner and its bpftrace."""

    def __init__(self) -> None:
        self.output = -1
        self.groups: dict[str, int] = {}
        self.failure: TeleportError | None = None
        self.started = 0
        self.silent = False

    async def observe(self, mount: str, root: str, pages: int, output: int) -> None:
        self.started += 1
        if self.failure is not None:
            raise self.failure
        self.output = os.dup(output)
        self.say({"type": "attached_probes", "data": {"probes": 6}})

    def say(self, *documents: Any) -> None:
        os.write(self.output, b"".join(json.dumps(each).encode() + b"\n" for each in documents))

    def print(self, *texts: str) -> None:
        self.say(*({"type": "printf", "data": text} for text in texts))

    def end(self) -> None:
        os.close(self.output)
        self.output = -1

    async def group(self, name: str) -> int:
        number = self.groups[name] = 100 + len(self.groups) + self.started * 1000
        if self.output >= 0 and not self.silent:
            self.print(f"M {number}")
        return number

    async def ungroup(self, name: str) -> None:
        self.groups.pop(name)


class Stage:
    def __init__(self) -> None:
        self.kernel = Kernel()
        self.lost = Counter("lost_total", "")
        self.observer = Observer(self.kernel, Settings(), self.lost)
        self.seen: dict[str, list[Seen]] = {}
        self.failed: list[TeleportError] = []

    async def watch(self, name: str = "s-1", *kinds: str) -> under_test.Watched:
        told = self.seen.setdefault(name, [])
        return await self.observer.watch(name, kinds or ("command", "disk", "network"), told.append, self.failed.append)


def play(scene: Callable[[Stage], Awaitable[None]]) -> None:
    async def main() -> None:
        stage, failures = Stage(), list[BaseException]()
        running = spawn(stage.observer.run(), name="observer", on_error=failures.append)
        try:
            await scene(stage)
        finally:
            await cancel(running)
            if stage.kernel.output >= 0:
                stage.kernel.end()
        assert failures == []

    asyncio.run(main())


def test_each_session_is_told_what_is_its_own() -> None:
    async def scene(stage: Stage) -> None:
        one, two = await stage.watch("s-1"), await stage.watch("s-2", "disk")
        for group in (one.group, two.group, 1):
            stage.kernel.print(
                f"E 5 5 1 {group} {'sh':16}/bin/ls", "A 5 0 ls", "A 5 1 -l", "R 5 0", f"D 5 1 {group} 41 3 {'ls':16}f",
                f"N 5 {group} {'ls':16}4 127.0.0.1 127.0.0.2 22",
            )  # fmt: skip
        await stage.observer.forget(one)
        await stage.observer.forget(two)
        assert [type(each).__name__ for each in stage.seen["s-1"]] == ["Ran", "Opened", "Connected"]
        assert [type(each).__name__ for each in stage.seen["s-2"]] == ["Opened"]
        ran = stage.seen["s-1"][0]
        assert isinstance(ran, Ran)
        assert (ran.exec.path, ran.arguments, ran.result) == ("/bin/ls", ("-l",), 0)
        assert stage.kernel.groups == {}

    play(scene)


def test_a_command_without_an_outcome_is_told_at_the_end() -> None:
    async def scene(stage: Stage) -> None:
        watched = await stage.watch()
        stage.observer.take(Argument(9, 1, "nobody's"))
        stage.observer.take(Returned(9, 0))
        stage.observer.take(Exec(5, 5, 1, watched.group, "sh", "/bin/a"))
        for thread in range(10, 10 + under_test.PENDING):
            stage.observer.take(Exec(thread, 5, 1, watched.group, "sh", f"/bin/{thread}"))
        assert [seen.exec.path for seen in stage.seen["s-1"] if isinstance(seen, Ran)] == ["/bin/a"]
        await stage.observer.forget(watched)
        assert len(stage.seen["s-1"]) == 1 + under_test.PENDING

    play(scene)


def test_what_was_lost_is_counted() -> None:
    async def scene(stage: Stage) -> None:
        await stage.watch()
        stage.observer.take(Lost(3))
        stage.kernel.say({"type": "lost_events", "data": {"events": 4}})
        await until(lambda: stage.lost.value == 7)

    play(scene)


def test_the_end_of_bpftrace_is_told_with_its_last_words_and_it_is_started_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(under_test, "AGAIN", 0.2)

    async def scene(stage: Stage) -> None:
        watched = await stage.watch()
        os.write(stage.kernel.output, b"x" * 30_000 + b"\nERROR: no more")
        os.write(stage.kernel.output, b"\n")
        stage.kernel.end()
        await until(lambda: bool(stage.failed))
        assert stage.failed[0].what == "enhanced recording does not run: ERROR: no more"
        await until(lambda: stage.kernel.started == 2)
        await stage.watch("s-2")
        await stage.observer.forget(watched)

    play(scene)


def test_why_it_cannot_start_is_the_answer_to_every_session() -> None:
    async def scene(stage: Stage) -> None:
        stage.kernel.failure = Unavailable("SSH-BPF-TOOL", tool="bpftrace")
        with pytest.raises(Unavailable) as caught:
            await stage.watch()
        assert caught.value.code == "SSH-BPF-TOOL"

    play(scene)


def test_a_kernel_that_tells_of_nothing_does_not_count_as_working(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "START", 0.1)
    monkeypatch.setattr(under_test, "TRY", 0.05)

    async def scene(stage: Stage) -> None:
        stage.kernel.silent = True
        with pytest.raises(Unavailable) as caught:
            await stage.watch()
        assert caught.value.code == "SSH-BPF-CHECK"

    play(scene)


def test_events_are_written_in_order_and_those_that_are_too_many_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "WAITING", 3)

    async def scene(stage: Stage) -> None:
        written: list[Event] = []

        async def emit(event: Event) -> None:
            written.append(event)

        enhanced = Enhanced(stage.observer, "s-1", {"user": "alice", "sid": "s-1"}, emit)
        await enhanced.begin(("disk",), stage.failed.append)
        group = stage.kernel.groups["s-1"]
        for number in range(5):
            stage.observer.take(Opened(number, 1, group, 0x41, 3, "sh", "f"))
        stage.observer.take(Said("hello"))
        await enhanced.end()
        assert [event.pid for event in written] == [0, 1, 2]  # type: ignore[attr-defined]
        assert {event.code for event in written} == {"T4001I"}

    play(scene)
