"""One session's share of enhanced recording: from what was seen to events in the audit log, in order and bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from teleport.agents.ssh.enhanced import lines
from teleport.agents.ssh.enhanced.observer import Observer, Ran, Seen, Watched
from teleport.base import tasks
from teleport.base.errors import TeleportError
from teleport.base.log import logger
from teleport.model.events.base import Event
from teleport.model.events.enhanced import SessionCommand, SessionDisk, SessionNetwork

log = logger("NODE")

WAITING = 4096
"""Events that wait to be written; what comes while they do is counted and dropped."""


class Enhanced:
    """Watches one session."""

    def __init__(
        self, observer: Observer, session_id: str, fields: dict[str, Any], emit: Callable[[Event], Awaitable[None]]
    ) -> None:  # fmt: skip
        """`fields` are those of every event of the session."""
        self._observer = observer
        self._id = session_id
        self._fields = fields
        self._emit = emit
        self._waiting: asyncio.Queue[Seen | None] = asyncio.Queue()
        self._watched: Watched | None = None
        self._writing: asyncio.Task[None] | None = None
        self._dropped = 0

    async def begin(self, kinds: tuple[str, ...], failed: Callable[[TeleportError], None]) -> None:
        """Watch from now on. Raises Unavailable (SSH-BPF-*)."""
        self._watched = await self._observer.watch(self._id, kinds, self._tell, failed)
        self._writing = tasks.spawn(self._write(), name="ssh-enhanced", on_error=self._failed)

    async def end(self) -> None:
        """Write what was seen, and watch no more."""
        if self._watched is None or self._writing is None:
            return
        await self._observer.forget(self._watched)
        self._waiting.put_nowait(None)
        await asyncio.wait([self._writing])
        if self._dropped:
            log.warn("Events of enhanced recording were dropped", sid=self._id, count=self._dropped)

    def _tell(self, seen: Seen) -> None:
        if self._waiting.qsize() < WAITING:
            self._waiting.put_nowait(seen)
        else:
            self._dropped += 1

    async def _write(self) -> None:
        while (seen := await self._waiting.get()) is not None:
            await self._emit(event_of(seen, self._fields))

    def _failed(self, error: BaseException) -> None:
        log.error("Enhanced recording of a session is no longer written", error=error, sid=self._id)


def event_of(seen: Seen, fields: dict[str, Any]) -> Event:
    """Return the event of something seen."""
    if isinstance(seen, Ran):
        done = seen.exec
        return SessionCommand(
            pid=done.pid, ppid=done.parent, cgroup_id=done.group, program=done.program, path=done.path,
            argv=seen.arguments, return_code=seen.result, **fields,
        )  # fmt: skip
    if isinstance(seen, lines.Opened):
        return SessionDisk(
            pid=seen.pid, ppid=seen.parent, cgroup_id=seen.group, program=seen.program, path=seen.path,
            flags=seen.flags, return_code=min(seen.result, 0), **fields,
        )  # fmt: skip
    return SessionNetwork(
        pid=seen.pid, cgroup_id=seen.group, program=seen.program, src_addr=seen.source, dst_addr=seen.destination,
        dst_port=seen.port, version=seen.version, **fields,
    )  # fmt: skip
