"""Labels whose values are the outputs of commands (`ssh_service.commands`).

The commands are the administrator's, run without a shell as the user of this process. A command that
fails, says nothing or takes too long leaves an error text as its value, so that it is seen in lists and
matches no selector that names a real value.
"""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping, Sequence
from contextlib import suppress

import msgspec

from teleport.base.log import logger
from teleport.base.tasks import cancel, spawn
from teleport.model.kinds.node import CommandLabel

log = logger("NODE")

LONGEST = 10.0
"""Seconds that a command may take."""
LARGEST = 1024
"""Characters of a value."""


class CommandLabels:
    """Runs the commands at their periods and keeps the last outputs."""

    def __init__(self, commands: Mapping[str, CommandLabel]) -> None:
        self._labels = dict(commands)
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Run every command once, then go on in the background."""
        await asyncio.gather(*(self._refresh(name) for name in self._labels))
        self._changed.clear()
        for name in self._labels:
            self._tasks.append(spawn(self._repeat(name), name=f"label {name}", on_error=self._failed))

    async def stop(self) -> None:
        """End the background work."""
        for task in self._tasks:
            await cancel(task)

    def current(self) -> dict[str, CommandLabel]:
        """Return the labels with their last values."""
        return dict(self._labels)

    async def changed(self, *, within: float) -> None:
        """Return when a value has changed, or after `within` seconds."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), within)
        self._changed.clear()

    async def _repeat(self, name: str) -> None:
        while True:
            await asyncio.sleep(max(1.0, self._labels[name].period))
            await self._refresh(name)

    async def _refresh(self, name: str) -> None:
        label = self._labels[name]
        result = (await run(label.command)).strip()[:LARGEST]
        if result != label.result:
            self._labels[name] = msgspec.structs.replace(label, result=result)
            self._changed.set()

    def _failed(self, error: BaseException) -> None:
        log.error("A label's command is no longer run", error=error)


async def run(command: Sequence[str]) -> str:
    """Return what a command prints, or a sentence that says what went wrong."""
    if not command:
        return "error: no command"
    try:
        process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL)
    except OSError as problem:
        return f"error: {problem.strerror}"
    try:
        async with asyncio.timeout(LONGEST):
            assert process.stdout is not None  # noqa: S101 - PIPE above
            output = await process.stdout.read(4 * LARGEST)
            status = await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        return f"error: took longer than {LONGEST:g} s"
    return output.decode(errors="replace") if status == 0 else f"error: exit status {status}"
