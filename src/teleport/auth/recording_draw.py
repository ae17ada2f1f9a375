"""Drawer: has recordings drawn in processes of their own (`auth.recording_draw_process`), one for each recording.

Starting an interpreter costs many times what drawing a short recording does. So one process is started when there is
work, and forks for each recording; it is ended when there was no work for a while. It never sees a recording itself:
each fork gets a socket of its own, and knows nothing of what others drew.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import suppress

from teleport.base.errors import Unavailable
from teleport.store.recordings.index_contents import Contents, unpack

PATIENCE = 1800.0
"""Seconds for one recording. The process runs at a low priority: on a busy machine it gets little."""
LARGEST_ANSWER = 64 * 1024 * 1024
_PROGRAM = "from teleport.auth.recording_draw_process import main; main()"
_STATUS = struct.Struct(">i")


class Drawer:
    """Draws one recording after the other. Whoever uses it calls `rest` when there is nothing to do."""

    def __init__(self, *, patience: float = PATIENCE, program: str = _PROGRAM) -> None:
        self._patience = patience
        self._program = program
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._control: socket.socket | None = None

    async def draw(self, frames: AsyncIterator[bytes]) -> Contents:
        """Return the index of a recording. `frames`: whole frames as `wire.recording` writes them.

        Raises Unavailable (INDEX-NOT-DRAWN) when the process fails, answers too much or takes too long; BadParameter
        (INDEX-DAMAGED) when it answers nonsense; and what `frames` raises.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(self._patience):
                    answer, status = await self._drawn(await self._ready(), frames)
            except TimeoutError:
                await self._end()
                problem = f"it took longer than {self._patience:.0f} s"
                raise Unavailable("INDEX-NOT-DRAWN", problem=problem) from None
            except BaseException:
                await self._end()
                raise
            if status:
                await self._end()  # it may be what fails
                ended = f"ended by signal {-status}" if status < 0 else f"ended with status {status}"
                raise Unavailable("INDEX-NOT-DRAWN", problem=f"the program that draws it {ended}")
        return unpack(answer)

    async def rest(self) -> None:
        """End the process, if there is one and it draws nothing; the next recording starts another."""
        async with self._turn:
            await self._end()

    async def _ready(self) -> socket.socket:
        if self._control is None:
            self._control, theirs = socket.socketpair()
            self._control.setblocking(False)
            with theirs:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable, "-I", "-c", self._program,
                    stdin=theirs.fileno(), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
                    env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"}, cwd="/", start_new_session=True,
                )  # fmt: skip
        return self._control

    async def _drawn(self, control: socket.socket, frames: AsyncIterator[bytes]) -> tuple[bytes, int]:
        """Hand over one end of a connection, talk at the other, and hear what became of the fork."""
        ours, theirs = socket.socketpair()
        with theirs, suppress(BrokenPipeError):  # it has ended: nothing comes then, and its status says why
            socket.send_fds(control, [b"."], [theirs.fileno()])
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        try:
            answer = await _talk(reader, writer, frames)
        finally:
            writer.close()
        with suppress(ConnectionResetError):
            if said := await asyncio.get_running_loop().sock_recv(control, _STATUS.size):
                return answer, _STATUS.unpack(said)[0]
        assert self._process is not None  # noqa: S101 - it was started
        return answer, await self._process.wait() or 1

    async def _end(self) -> None:
        process, self._process = self._process, None
        control, self._control = self._control, None
        if control is not None:
            control.close()
        if process is not None:
            with suppress(ProcessLookupError):
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)  # it leads a session of its own, its fork is in it
            await process.wait()


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, frames: AsyncIterator[bytes]) -> bytes:
    """Send all frames, then take the answer."""
    answer = bytearray()
    with suppress(BrokenPipeError, ConnectionResetError):  # it has ended: its status says why
        async for part in frames:
            writer.write(part)
            await writer.drain()
        writer.write_eof()
        while len(answer) <= LARGEST_ANSWER and (part := await reader.read(1 << 20)):
            answer += part
    if len(answer) > LARGEST_ANSWER:
        raise Unavailable("INDEX-NOT-DRAWN", problem=f"its index has more than {LARGEST_ANSWER} bytes")
    return bytes(answer)
