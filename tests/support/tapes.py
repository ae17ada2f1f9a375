"""A recorder that keeps in memory what it was told, and does what a test says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from teleport.agents.ssh.recorder import Facts, Tape, Watcher
from teleport.base.errors import TeleportError


@dataclass
class FakeTape:
    """One recording."""

    facts: Facts
    watcher: Watcher
    notice: str = ""
    mode: str = "node"
    out: list[bytes] = field(default_factory=list)
    errors: list[bytes] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    outcome: dict[str, str | int | bool] | None = None
    closable: asyncio.Event = field(default_factory=asyncio.Event)

    def output(self, data: bytes, *, error: bool = False) -> None:
        assert self.outcome is None, "output behind the end"
        (self.errors if error else self.out).append(data)

    def resize(self, columns: int, rows: int) -> None:
        self.sizes.append((columns, rows))

    def mark(self, text: str) -> None:
        self.marks.append(text)

    async def close(self, outcome: dict[str, str | int | bool]) -> None:
        await self.closable.wait()
        self.outcome = outcome


@dataclass
class FakeRecorder:
    """Makes tapes; `refuse` is raised instead, `notice` is what each has to say."""

    refuse: TeleportError | None = None
    notice: str = ""
    durable: bool = True
    """Whether tapes close by themselves."""
    hold: bool = False
    """Whether sessions have to wait from their beginning."""
    tapes: list[FakeTape] = field(default_factory=list)

    async def begin(self, facts: Facts, watcher: Watcher) -> Tape:
        if self.refuse is not None:
            raise self.refuse
        tape = FakeTape(facts, watcher, self.notice)
        if self.durable:
            tape.closable.set()
        watcher.hold(self.hold)
        self.tapes.append(tape)
        return tape
