"""Connections to the Auth Service end with the proxy, but not in the middle of something. In virtual time."""

from __future__ import annotations

import asyncio

from teleport.base import tasks
from teleport.net.memory import memory_pair
from teleport.net.relay import Relay
from teleport.net.stream import Stream
from teleport.proxy.passed_on import LONGEST, QUIET, PassedOn
from tests.support import virtual_loop


def connection(passed_on: PassedOn, ended: list[BaseException]) -> tuple[Stream, Stream]:
    """Return a client's end and the Auth Service's."""
    (client, near), (far, auth) = memory_pair(), memory_pair()
    tasks.spawn(passed_on.run(Relay(near, far)), name="relay", on_error=ended.append)
    return client, auth


def test_what_is_quiet_is_cut_and_what_is_under_way_goes_on() -> None:
    async def main() -> None:
        passed_on, ended = PassedOn(), list[BaseException]()
        connection(passed_on, ended)
        client, auth = connection(passed_on, ended)
        await asyncio.sleep(60)
        assert (len(passed_on), passed_on.waited_for) == (2, True)
        passed_on.drain(60.0, ended.append)
        passed_on.drain(60.0, ended.append)
        for _ in range(5):
            await client.write(b"ask")
            assert await auth.read() == b"ask"
            await asyncio.sleep(QUIET / 2)
        assert [getattr(error, "code", "") for error in ended] == ["NET-CUT"]
        assert len(passed_on) == 1
        await asyncio.sleep(2 * QUIET)
        assert len(passed_on) == 0

    virtual_loop.run(main())


def test_what_is_never_quiet_is_cut_in_the_end() -> None:
    async def main() -> None:
        passed_on, ended = PassedOn(), list[BaseException]()
        client, auth = connection(passed_on, ended)
        await asyncio.sleep(0.1)
        passed_on.drain(60.0, ended.append)
        began = asyncio.get_running_loop().time()
        while passed_on:
            await client.write(b"on")
            await asyncio.sleep(0.5)
            if passed_on:
                await auth.read()
        assert asyncio.get_running_loop().time() - began < LONGEST + 2 * QUIET
        assert len(ended) == 1

    virtual_loop.run(main())
