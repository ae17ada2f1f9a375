"""Labels whose values are the outputs of commands (`ssh_service.commands`).

The commands are the administrator's, run without a shell as the user of this process. A command that
fails, says nothing or takes too long leaves an error text as its value, so that it is seen in lists and
matches no selector that names a real value.
"""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping, Sequence
from contextlib import suppress

import msgspec

from teleport.base.escape import escape
from teleport.base.log import logger
from teleport.base.tasks import cancel, spawn
from teleport.model.command_labels import CommandLabel

log = logger("NODE")

LONGEST = 10.0
"""Seconds that a command may take."""
LARGEST = 1024
"""Characters of a value."""
MOST = 65536
"""Bytes that are read of an output; who writes more is not waited for."""


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
        result = value_of(await run(label.command))
        if result != label.result:
            self._labels[name] = msgspec.structs.replace(label, result=result)
            self._changed.set()

    def _failed(self, error: BaseException) -> None:
        log.error("A label's command is no longer run", error=error)


def value_of(output: str) -> str:
    """Return the value that an output stands for: without blanks around it, what does not print escaped."""
    return escape(output.strip())[:LARGEST]


async def run(command: Sequence[str]) -> str:
    """Return what a command prints, or a sentence that says what went wrong. It does not run on afterwards."""
    if not command:
        return "error: no command"
    start = asyncio.get_running_loop().subprocess_exec
    try:
        transport, output = await start(
            _Output, *command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, start_new_session=True
        )
    except (OSError, ValueError) as problem:
        return f"error: {getattr(problem, 'strerror', '') or problem}"
    try:
        async with asyncio.timeout(LONGEST):
            await output.complete.wait()
        status = transport.get_returncode()
        return output.data.decode(errors="replace") if not status else f"error: exit status {status}"
    except TimeoutError:
        return f"error: took longer than {LONGEST:g} s"
    finally:
        if transport.get_returncode() is None:
            with suppress(ProcessLookupError):
                os.killpg(transport.get_pid(), signal.SIGKILL)
        transport.close()  # whoever still holds the other end of the pipe does not hold us
        await output.ended.wait()


class _Output(asyncio.SubprocessProtocol):
    """What a command writes, up to the most that is wanted of it."""

    def __init__(self) -> None:
        self.data = b""
        self.complete = asyncio.Event()
        """Set at the end of the command and of its output, or when more is not wanted."""
        self.ended = asyncio.Event()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.data += data
        if len(self.data) >= MOST:
            self.complete.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.complete.set()
        self.ended.set()
