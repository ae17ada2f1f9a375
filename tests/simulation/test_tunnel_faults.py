"""Agents and a proxy over a network that delays and cuts: every byte arrives in order, or somebody is told by name."""

from __future__ import annotations

import asyncio
import contextlib
import os

import pytest

from teleport.base.entropy import fraction
from teleport.base.errors import TeleportError
from teleport.net.memory import memory_pair
from teleport.net.memory_network import MemoryNetwork
from teleport.net.stream import Stream
from teleport.net.tunnel import Call, Tunnel
from tests.support.check_stream import start
from tests.support.virtual_loop import current, run

SEEDS = [int(os.environ.get("TELEPORT_TEST_SEED", "0")) or int.from_bytes(os.urandom(4), "big"), *range(8)]
NAMED = {
    "NET-TUNNEL-CLOSED",
    "NET-TUNNEL-REFUSED",
    "NET-TUNNEL-TIMEOUT",
    "NET-TUNNEL-DRAINING",
    "NET-RESET",
    "NET-CLOSED",
}
LONGEST = 60.0
"""Virtual seconds that one session may take: it moves a megabyte each way at the worst."""


def named(error: TeleportError) -> None:
    """Check that an error is one of those that a user of a tunnel is told of."""
    assert error.code in NAMED, error


class World:
    """One proxy, an agent that comes back, and sessions through them."""

    def __init__(self) -> None:
        self.network = MemoryNetwork()
        self.tunnel: Tunnel | None = None
        self.tasks: set[asyncio.Task[None]] = set()
        self.whole = self.broken = 0

    def random(self, most: float) -> float:
        return fraction(current().entropy) * most

    async def agent(self) -> None:
        while True:
            with contextlib.suppress(TeleportError):
                tunnel = Tunnel(await self.network.dial("proxy:3080"), interval=2, patience=5)
                async for call in tunnel.accept():
                    task = asyncio.get_running_loop().create_task(self.serve(call))
                    self.tasks.add(task)
                    task.add_done_callback(self.tasks.discard)
                await tunnel.close()
            await asyncio.sleep(self.random(1))

    async def proxy(self, stream: Stream) -> None:
        tunnel = self.tunnel = Tunnel(stream, interval=2, patience=5)
        await tunnel.closed()

    async def serve(self, call: Call) -> None:
        """Answer with what came, once it has all come, or refuse."""
        try:
            if call.header.startswith(b"no"):
                await call.refuse("no such target")
                return
            stream = await call.answer()
            parts = []
            while data := await stream.read(1 + int(self.random(100_000))):
                parts.append(data)
                if self.random(20) < 1:
                    await asyncio.sleep(self.random(1))
            await stream.write(b"".join(parts))
            if self.random(10) > 1:
                await stream.write_eof()
                await asyncio.sleep(self.random(3))
            await stream.close()
        except TeleportError as error:
            named(error)

    async def session(self, number: int) -> None:
        await asyncio.sleep(self.random(60))
        if self.tunnel is None:
            return
        size = int(self.random(1_000_000)) if number % 3 else int(self.random(100))
        data = current().entropy.token(size)
        try:
            async with asyncio.timeout(LONGEST):
                stream = await self.tunnel.dial(b"no" if number % 7 == 0 else b"yes", timeout=5)
                _, answer = await asyncio.gather(self.send(stream, data), self.receive(stream))
                assert answer == data
                await stream.close()
                self.whole += 1
        except TeleportError as error:
            named(error)
            self.broken += 1

    async def send(self, stream: Stream, data: bytes) -> None:
        for at in range(0, len(data), 40_000):
            await stream.write(data[at : at + 40_000])
            if self.random(10) < 1:
                await asyncio.sleep(self.random(0.5))
        await stream.write_eof()

    async def receive(self, stream: Stream) -> bytes:
        parts = []
        while data := await stream.read():
            parts.append(data)
        return b"".join(parts)

    async def weather(self) -> None:
        for _ in range(12):
            await asyncio.sleep(self.random(8))
            self.network.delay("proxy:3080", self.random(0.2))
            if self.random(1) < 0.5:
                self.network.cut("proxy:3080")
            if self.random(1) < 0.2:
                self.network.refuse("proxy:3080")
                await asyncio.sleep(self.random(2))
                self.network.refuse("proxy:3080", refusing=False)
            if self.tunnel is not None and self.random(1) < 0.2:
                await self.tunnel.close("restart")


@pytest.mark.parametrize("seed", SEEDS)
def test_bytes_arrive_whole_or_somebody_is_told(seed: int) -> None:
    async def main() -> tuple[int, int]:
        world = World()
        listener = await world.network.listen("proxy:3080", world.proxy)
        agent = asyncio.get_running_loop().create_task(world.agent())
        await asyncio.gather(world.weather(), *(world.session(number) for number in range(60)))
        agent.cancel()
        await asyncio.wait([agent])
        world.network.cut("proxy:3080")
        while world.tasks:
            await asyncio.wait(world.tasks)
        await listener.close(grace=5)
        assert world.network.errors == []
        return world.whole, world.broken

    whole, broken = run(main(), seed=seed)
    assert whole + broken > 30
    assert whole > 5


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_half_open_carrier_is_noticed_at_both_ends(seed: int) -> None:
    """Packets vanish in both directions: within interval and patience both ends are closed and everybody told."""

    async def main() -> None:
        a, b = memory_pair(delay=0.01)
        near, far = Tunnel(a, interval=2, patience=5), Tunnel(b, interval=2, patience=5)
        await near.ping()
        await asyncio.sleep(fraction(current().entropy) * 10)
        for stream in (a, b):
            stream._outgoing.delay = 1e9
        began = current().time()
        waiting = [await start(work) for work in (near.dial(b"", timeout=100), near.ping(timeout=100))]
        reasons = await asyncio.gather(near.closed(), far.closed())
        assert [reason.code for reason in reasons] == ["NET-TUNNEL-SILENT"] * 2
        assert current().time() - began < 12
        for work in waiting:
            with pytest.raises(TeleportError, match="is closed"):
                await work

    run(main(), seed=seed)
