"""Much data both ways at once, with new keys again and again, as stock OpenSSH sees it.

A hundredth of what is promised, with keys for each megabyte; with TELEPORT_SOAK=1 ten gigabytes, and keys for each.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable

import pytest

from teleport.agents.ssh.service import SSHService
from tests.support.ssh_node import LOGIN, Client

SOAK = bool(os.environ.get("TELEPORT_SOAK"))
SIZE, KEYS = (10_000_000_000, "1G") if SOAK else (100_000_000, "1M")
LIMIT = 3600.0 if SOAK else 300.0
SOURCE = f"seq 1 2000000000 | head -c {SIZE}"
"""Bytes of which no block comes twice."""


@pytest.mark.timeout(int(LIMIT) + 60)
@pytest.mark.parametrize("cipher", ["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com"])
def test_every_byte_comes_back_through_all_changes_of_keys(
    play: Callable[[Callable[[SSHService], Awaitable[None]]], None], client: Client, cipher: str
) -> None:
    async def digest(stream: asyncio.StreamReader) -> tuple[int, str]:
        found, size = hashlib.sha256(), 0
        while data := await stream.read(1 << 18):
            found.update(data)
            size += len(data)
        return size, found.hexdigest()

    async def scene(node: SSHService) -> None:
        pipe = asyncio.subprocess.PIPE
        ssh = ["ssh", "-c", cipher, "-o", f"RekeyLimit={KEYS}", *client.options(node.address), f"{LOGIN}@node-1", "cat"]
        wanted = await asyncio.create_subprocess_shell(SOURCE, stdout=pipe, limit=1 << 20)
        piped = ["sh", "-c", f'{SOURCE} | "$@"', "sh", *ssh]
        there = await asyncio.create_subprocess_exec(*piped, stdout=pipe, limit=1 << 20)
        assert wanted.stdout is not None
        assert there.stdout is not None
        async with asyncio.timeout(LIMIT):
            sent, came = await asyncio.gather(digest(wanted.stdout), digest(there.stdout))
            assert await there.wait() == 0
            await wanted.wait()
        assert came == sent
        assert sent[0] == SIZE

    play(scene)
