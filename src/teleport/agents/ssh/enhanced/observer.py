"""What a node sees of its sessions' programs: one bpftrace for all, its lines given to whose session they are.

The spawner starts it (`tracer`); its output comes here, where it is bounded and read (`lines`). Before it counts as
working, a control group made for that must have been seen: a machine whose kernel tells of other paths than we see
would otherwise record nothing and say nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from teleport.agents.ssh.enhanced import lines
from teleport.base.counters import Counter
from teleport.base.errors import TeleportError, Unavailable
from teleport.base.log import logger

log = logger("NODE")

START = 30.0
"""Seconds that bpftrace has to be ready; it compiles its program first."""
TRY = 1.0
"""Seconds between looks at whether it works."""
AGAIN = 60.0
"""Seconds until it is started again after it failed."""
FLUSH = 2.0
"""Seconds to wait at a session's end for what is still on its way."""
PENDING = 1024
"""Commands whose outcome is not known yet."""
_CHUNK = 64 * 1024


class Settings(NamedTuple):
    """`ssh_service.enhanced_recording`."""

    mount: str = "/cgroup2"
    root: str = "/teleport"
    pages: int = 144
    """Pages of all buffers together."""


class Ran(NamedTuple):
    """A command, with what belongs to it."""

    exec: lines.Exec
    arguments: tuple[str, ...]
    result: int


Seen = Ran | lines.Opened | lines.Connected
KINDS: dict[str, type[Ran] | type[lines.Opened] | type[lines.Connected]] = {
    "command": Ran, "disk": lines.Opened, "network": lines.Connected,
}  # fmt: skip
"""What each word of the role option lets through."""


class Kernel(Protocol):
    """The spawner."""

    async def observe(self, mount: str, root: str, pages: int, output: int) -> None: ...

    async def group(self, name: str) -> int: ...

    async def ungroup(self, name: str) -> None: ...


@dataclass(eq=False)
class Watched:
    """A session that is watched."""

    name: str
    group: int
    kinds: tuple[type, ...]
    tell: Callable[[Seen], None]
    failed: Callable[[TeleportError], None]
    """Called once if bpftrace ends before the session."""


@dataclass
class _Pending:
    exec: lines.Exec
    arguments: dict[int, str] = field(default_factory=dict)


class Observer:
    """Watches sessions of a node."""

    def __init__(self, kernel: Kernel, settings: Settings, lost: Counter) -> None:
        """`lost` counts what the kernel had to drop."""
        self._kernel = kernel
        self._settings = settings
        self._lost = lost
        self._watched: dict[int, Watched] = {}
        self._pending: OrderedDict[int, _Pending] = OrderedDict()
        self._made: dict[int, asyncio.Event] = {}
        self._attached = asyncio.Event()
        self._settled = asyncio.Event()
        self._problem: TeleportError | None = None
        self._said = ""
        self._checks = 0

    async def run(self) -> None:
        """Keep bpftrace running until cancelled."""
        while True:
            error = await self._once()
            self._problem = error
            self._settled.set()
            log.error("Enhanced recording does not work", error=error)
            watched, self._watched = self._watched, {}
            self._pending.clear()
            for session in watched.values():
                session.failed(error)
            await asyncio.sleep(AGAIN)
            self._settled.clear()

    async def watch(
        self, name: str, kinds: Iterable[str], tell: Callable[[Seen], None], failed: Callable[[TeleportError], None]
    ) -> Watched:  # fmt: skip
        """Make the control group of a session and watch it from now on; `tell` hears of it. Raises Unavailable
        (SSH-BPF-*)."""
        try:
            async with asyncio.timeout(START + FLUSH):
                await self._settled.wait()
        except TimeoutError:
            raise Unavailable("SSH-BPF-ENDED", problem="it is not ready yet") from None
        if self._problem is not None:
            raise self._problem
        group = await self._kernel.group(name)
        made = Watched(name, group, tuple(KINDS[kind] for kind in kinds), tell, failed)
        self._watched[group] = made
        return made

    async def forget(self, watched: Watched) -> None:
        """The session is over: take what is on its way, and let its group go. Never raises TeleportError."""
        try:
            if self._watched.get(watched.group) is watched:
                await self._mark(FLUSH)
        except TeleportError:
            pass
        for thread in [thread for thread, each in self._pending.items() if each.exec.group == watched.group]:
            self._finish(thread, 0)
        self._watched.pop(watched.group, None)
        try:
            await self._kernel.ungroup(watched.name)
        except TeleportError:
            pass  # a spawner that is gone has taken them away

    # -- bpftrace -----------------------------------------------------------------------------------------

    async def _once(self) -> TeleportError:
        """Run bpftrace to its end; return why it ended."""
        self._said = ""
        self._attached.clear()
        reading, writing = os.pipe()
        pipe = os.fdopen(reading, "rb", buffering=0)
        try:
            try:
                await self._kernel.observe(*self._settings, writing)
            finally:
                os.close(writing)
            reader = asyncio.StreamReader()
            transport, _ = await asyncio.get_running_loop().connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), pipe
            )
        except TeleportError as error:
            pipe.close()
            return error
        following = asyncio.get_running_loop().create_task(self._follow(reader))
        checking = asyncio.get_running_loop().create_task(self._check())
        try:
            await asyncio.wait([following, checking], return_when=asyncio.FIRST_COMPLETED)
            problem = checking.result() if checking.done() and not checking.cancelled() else None
            if problem is not None:
                return problem
            await following
            return Unavailable("SSH-BPF-ENDED", problem=self._said or "it ended without a word")
        finally:
            for task in (following, checking):
                task.cancel()
            await asyncio.wait([following, checking])
            transport.close()

    async def _check(self) -> TeleportError | None:
        """Wait until it works; return why it does not."""
        last = asyncio.get_running_loop().time() + START
        try:
            async with asyncio.timeout_at(last):
                await self._attached.wait()
            while not await self._mark(TRY):  # bpftrace says that it attaches its program before it has
                if asyncio.get_running_loop().time() > last:
                    return Unavailable("SSH-BPF-CHECK", root=self._settings.root)
        except TimeoutError:
            return Unavailable("SSH-BPF-ENDED", problem=self._said or "it is not ready in time")
        except TeleportError as error:
            return error
        self._problem = None
        self._settled.set()
        log.info("Enhanced recording works", root=self._settings.root)
        return None

    async def _mark(self, patience: float) -> bool:
        """Make a control group; say whether the kernel has told of it. Raises Unavailable (SSH-BPF-CGROUP)."""
        self._checks += 1
        name = f"c{self._checks}"
        group = await self._kernel.group(name)
        seen = self._made.setdefault(group, asyncio.Event())
        try:
            async with asyncio.timeout(patience):
                return await seen.wait()
        except TimeoutError:
            return False
        finally:
            self._made.pop(group, None)
            await self._kernel.ungroup(name)

    async def _follow(self, reader: asyncio.StreamReader) -> None:
        rest = b""
        while data := await reader.read(_CHUNK):
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                if line:
                    self.take(lines.read(line))
            if len(rest) > lines.LINE_BYTES:
                rest = rest[: lines.LINE_BYTES]  # what follows in it is dropped, as `read` would

    # -- lines --------------------------------------------------------------------------------------------

    def take(self, line: lines.Line) -> None:
        """Act on one line."""
        if isinstance(line, lines.Exec):
            self._pending[line.thread] = _Pending(line)
            if len(self._pending) > PENDING:
                self._finish(next(iter(self._pending)), 0)
        elif isinstance(line, lines.Argument):
            if (pending := self._pending.get(line.thread)) is not None:
                pending.arguments[line.number] = line.text
        elif isinstance(line, lines.Returned):
            self._finish(line.thread, line.result)
        elif isinstance(line, lines.Opened | lines.Connected):
            self._tell(line.group, line)
        else:
            self._note(line)

    def _note(self, line: lines.Attached | lines.Made | lines.Lost | lines.Said) -> None:
        if isinstance(line, lines.Attached):
            self._attached.set()
        elif isinstance(line, lines.Made):
            self._made.setdefault(line.group, asyncio.Event()).set()
            if len(self._made) > PENDING:  # groups of sessions, which nobody waits for
                self._made = {group: seen for group, seen in self._made.items() if not seen.is_set()}
        elif isinstance(line, lines.Lost):
            self._lost.add(line.events)
            log.warn("The kernel dropped events of enhanced recording: its buffers are too small", count=line.events)
        else:
            self._said = line.text

    def _finish(self, thread: int, result: int) -> None:
        pending = self._pending.pop(thread, None)
        if pending is not None:
            arguments = tuple(pending.arguments[number] for number in sorted(pending.arguments) if number)
            self._tell(pending.exec.group, Ran(pending.exec, arguments, result))

    def _tell(self, group: int, seen: Seen) -> None:
        watched = self._watched.get(group)
        if watched is not None and isinstance(seen, watched.kinds):
            watched.tell(seen)
