"""The destination that nothing survives."""

from __future__ import annotations

import asyncio

import pytest

from teleport.base.errors import BadParameter
from teleport.bot.destinations import hold, make, shared_storage
from teleport.model.config.tbot_destinations import MemoryDestination


def test_files_are_there_until_the_process_ends() -> None:
    async def story() -> None:
        memory = make(MemoryDestination())
        assert (str(memory), memory.folder) == ("memory", "")
        await memory.prepare(["key", "cockroach/node.key"])
        await memory.check()
        await memory.write({"key": b"1", "cockroach/node.key": b"2"})
        await memory.write({"key": b"3"})
        assert await memory.read("key") == b"3"
        assert await memory.read("cockroach/node.key") == b"2"
        assert await memory.read("other") is None
        with pytest.raises(BadParameter, match="cannot be used"):
            await memory.write({"../key": b""})
        assert await make(MemoryDestination()).read("key") is None

    asyncio.run(story())


def test_memory_is_nobody_elses() -> None:
    memory = make(MemoryDestination())
    hold(memory, host="h").release()
    assert shared_storage(memory) is None
