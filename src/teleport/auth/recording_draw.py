"""Draws a recording in a process of its own (`auth.recording_draw_process`), which is started for it and ended."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import suppress

from teleport.base.errors import Unavailable
from teleport.store.recordings.index_contents import Contents, unpack

PATIENCE = 1800.0
"""Seconds for one recording. The process runs at a low priority: on a busy machine it gets little."""
LARGEST_ANSWER = 64 * 1024 * 1024
_PROGRAM = "from teleport.auth.recording_draw_process import main; main()"


async def draw(frames: AsyncIterator[bytes], *, patience: float = PATIENCE, program: str = _PROGRAM) -> Contents:
    """Return the index of a recording. `frames`: whole frames as `wire.recording` writes them.

    Raises Unavailable (INDEX-NOT-DRAWN) when the process fails, answers too much or takes too long; BadParameter
    (INDEX-DAMAGED) when it answers nonsense; and what `frames` raises.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-c", program,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"}, cwd="/", start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(patience):
            answer = await _talk(process, frames)
            status = await process.wait()
    except TimeoutError:
        raise Unavailable("INDEX-NOT-DRAWN", problem=f"it took longer than {patience:.0f} s") from None
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if status:
        ended = f"ended by signal {-status}" if status < 0 else f"ended with status {status}"
        raise Unavailable("INDEX-NOT-DRAWN", problem=f"the program that draws it {ended}")
    if len(answer) > LARGEST_ANSWER:
        raise Unavailable("INDEX-NOT-DRAWN", problem=f"its index has more than {LARGEST_ANSWER} bytes")
    return unpack(answer)


async def _talk(process: asyncio.subprocess.Process, frames: AsyncIterator[bytes]) -> bytes:
    """Send all frames, then take the answer."""
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    with suppress(BrokenPipeError, ConnectionResetError):  # it has ended: its status says why
        async for part in frames:
            process.stdin.write(part)
            await process.stdin.drain()
    process.stdin.close()
    answer = bytearray()
    while len(answer) <= LARGEST_ANSWER and (part := await process.stdout.read(1 << 20)):
        answer += part
    if len(answer) > LARGEST_ANSWER:
        process.kill()
    return bytes(answer)
