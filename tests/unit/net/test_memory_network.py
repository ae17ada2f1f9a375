"""The network in memory, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from teleport.base.errors import TimedOut, Unavailable
from teleport.net.listen import Limits
from teleport.net.memory_network import MemoryNetwork
from teleport.net.stream import Stream
from tests.support.check_stream import read_exactly
from tests.support.virtual_loop import current, run


async def echo(stream: Stream) -> None:
    while data := await stream.read():
        await stream.write(data)


def test_dial_and_listen() -> None:
    async def main() -> None:
        network = MemoryNetwork()
        listener = await network.listen("auth:0", echo)
        stream = await network.dial(listener.address)
        assert stream.peer.address == listener.address
        await stream.write(b"hello")
        assert await stream.read() == b"hello"
        await stream.close()
        with pytest.raises(Unavailable) as used:
            await network.listen(listener.address, echo)
        assert used.value.code == "NET-IN-USE"
        await listener.close()
        await listener.serve_forever()
        with pytest.raises(Unavailable) as gone:
            await network.dial(listener.address)
        assert gone.value.code == "NET-REFUSED"
        await (await network.listen(listener.address, echo)).close()

    run(main())


def test_delay_is_in_loop_time() -> None:
    async def main() -> None:
        network = MemoryNetwork()
        await network.listen("far:1", echo)
        network.delay("far:1", 30)
        stream = await network.dial("far:1")
        assert current().time() == 30
        await stream.write(b"a")
        await stream.write(b"b")
        assert await read_exactly(stream, 2) == b"ab"
        assert current().time() == pytest.approx(90)
        await stream.close()
        await asyncio.sleep(100)

    run(main())


def test_cut_resets_both_ends() -> None:
    async def main() -> None:
        network = MemoryNetwork()
        listener = await network.listen("node:1", echo)
        streams = [await network.dial("node:1") for _ in range(3)]
        await streams[2].close()
        assert network.cut("node:1") == 2
        for stream in streams[:2]:
            with pytest.raises(Unavailable) as lost:
                await stream.read()
            assert lost.value.code == "NET-RESET"
            with pytest.raises(Unavailable):
                await stream.write(b"x")
            await stream.close()
        await asyncio.sleep(1)
        assert [getattr(error, "code", "") for error in network.errors] == ["NET-RESET"] * 2
        await listener.close()

    run(main())


def test_refusal_silence_and_limit() -> None:
    async def main() -> None:
        network = MemoryNetwork(timeout=7)
        listener = await network.listen("proxy:1", echo, limits=Limits(connections=1, grace=1))
        network.refuse("proxy:1")
        with pytest.raises(Unavailable):
            await network.dial("proxy:1")
        network.refuse("proxy:1", False)
        network.silence("proxy:1")
        with pytest.raises(TimedOut):
            await network.dial("proxy:1")
        assert current().time() == 7
        network.silence("proxy:1", False)
        await network.dial("proxy:1")
        with pytest.raises(Unavailable):
            await network.dial("proxy:1")
        await listener.close()
        assert current().time() == 8

    run(main())


def test_unix_addresses_name_their_user() -> None:
    async def main() -> None:
        network = MemoryNetwork(uid=1000)
        seen: list[int] = []

        async def note(stream: Stream) -> None:
            seen.append(stream.peer.uid)

        listener = await network.listen("unix:/admin.sock", note)
        stream = await network.dial("unix:/admin.sock")
        assert await stream.read() == b""
        assert seen == [1000]
        await stream.close()
        await listener.close()

    run(main())
