"""The process's side of the inventory: what it says last, and that one of two processes attends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from teleport.api.inventory_messages import Ping
from teleport.base import tasks
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import Unavailable
from teleport.process import inventory
from teleport.process.duty import Duty
from teleport.process.inventory import InventoryStream
from tests.support.until import until


class Stream:
    """A control stream on which one ping comes and then nothing, and what is said on it."""

    def __init__(self, farewell: str) -> None:
        self.said: list[str] = []
        self.quiet = asyncio.Event()
        self._farewell = farewell
        self._words = [Ping(7)]

    async def next(self) -> Ping:
        if self._words:
            return self._words.pop()
        self.quiet.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets this event")

    async def heartbeat(self) -> None: ...

    async def pong(self, number: int) -> None:
        self.said.append(f"pong {number}")

    async def goodbye(self) -> None:
        self.said.append("goodbye")
        if self._farewell == "lost":
            raise Unavailable("NET-RESET", address="auth", reason="gone")
        if self._farewell == "stuck":
            await asyncio.Event().wait()


@pytest.mark.parametrize("farewell", ["heard", "lost", "stuck"])
def test_a_stop_is_a_stop_whatever_becomes_of_the_goodbye(farewell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "FAREWELL", 0.01)

    async def main() -> None:
        stream = Stream(farewell)
        service = InventoryStream(cast("Any", None), entropy=SeededEntropy(1), runs_auth=False)
        attending = tasks.spawn(service._attend(cast("Any", stream)), name="attending", on_error=lambda error: None)
        await stream.quiet.wait()
        attending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attending
        assert stream.said == ["pong 7", "goodbye"]

    asyncio.run(asyncio.wait_for(main(), 20))


def test_while_another_process_has_the_duty_that_one_attends(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        streams: list[Stream] = []

        class Calls:
            def __init__(self, client: object) -> None: ...

            @contextlib.asynccontextmanager
            async def attend(self, hello: object) -> AsyncIterator[Stream]:
                streams.append(Stream("heard"))
                yield streams[-1]

        monkeypatch.setattr(inventory, "InventoryCalls", Calls)
        duty, access = Duty(), cast("Any", SimpleNamespace(client=lambda role: None))
        service = InventoryStream(access, entropy=SeededEntropy(1), runs_auth=False, duty=duty)
        monkeypatch.setattr(service, "_hello", lambda: None)
        running = tasks.spawn(service.run(lambda: None), name="inventory", on_error=lambda error: None)
        await until(lambda: len(streams) == 1 and streams[0].quiet.is_set())
        duty.hand_over()
        await until(lambda: "goodbye" in streams[0].said)
        duty.take_back()
        await until(lambda: len(streams) == 2)
        await tasks.cancel(running)

    asyncio.run(asyncio.wait_for(main(), 20))
