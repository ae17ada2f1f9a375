"""Inventory: control streams of processes, which of them are open, and pings over them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from teleport.api.caller import PEOPLE, SERVICES, Caller
from teleport.api.inventory_messages import Connected, Hello, Ping, Word
from teleport.api.pb import inventory_pb2 as pb
from teleport.api.rpc import Method, call, talk_call
from teleport.base import tasks
from teleport.base.errors import BadParameter, LimitExceeded
from teleport.version import VERSION

LARGEST = 16 * 1024
"""Bytes of one message of a process."""
MOST_WAITING = 16
"""Words that may wait for a process to take them."""

ATTEND = talk_call("Inventory", "Attend", pb.AgentWord, pb.AuthWord, largest=LARGEST)
LIST_CONNECTED = call("Inventory", "ListConnected", pb.ListConnectedRequest, pb.ListConnectedReply)
PING = call("Inventory", "PingInstance", pb.PingInstanceRequest, pb.PingInstanceReply)


class Attendant(Protocol):
    """One open control stream, as who keeps the inventory sees it."""

    async def heartbeat(self) -> None:
        """The process says that it is there."""
        ...

    def pong(self, number: int) -> None:
        """It answered a ping."""
        ...

    async def leave(self, *, for_good: bool) -> None:
        """The stream is over; `for_good`: the process said goodbye."""
        ...


class Inventory(Protocol):
    """Who keeps the inventory. Methods raise `base.errors`."""

    async def arrive(self, caller: Caller, hello: Hello, say: Callable[[Word], None]) -> Attendant:
        """Take in a process; `say` sends it a word, or raises LimitExceeded when it takes none."""
        ...

    async def connected(self, caller: Caller) -> list[Connected]:
        """Return what is connected here."""
        ...

    async def ping(self, caller: Caller, server_id: str) -> float:
        """Return the seconds of a round trip to a process."""
        ...


def methods(inventory: Inventory) -> tuple[Method, ...]:
    """Return the methods of the service."""

    async def attend(caller: Caller, words: AsyncIterator[pb.AgentWord]) -> AsyncIterator[pb.AuthWord]:
        first = await anext(words, None)
        if first is None or not first.HasField("hello"):
            raise BadParameter("API-MESSAGE", problem="a control stream begins with a hello")
        waiting: asyncio.Queue[pb.AuthWord | None] = asyncio.Queue(MOST_WAITING)
        attendant = await inventory.arrive(caller, _hello(first.hello), _sayer(waiting))
        listening = tasks.spawn(_listen(words, attendant, waiting), name="control stream", on_error=_raised_below)
        yield pb.AuthWord(hello=pb.AuthHello(version=VERSION, server_id=caller.known().name.partition(".")[0]))
        try:
            while (word := await waiting.get()) is not None:
                yield word
            await listening
        finally:
            await tasks.cancel(listening)
            await attendant.leave(for_good=False)

    async def connected(caller: Caller, request: pb.ListConnectedRequest) -> pb.ListConnectedReply:
        return pb.ListConnectedReply(instances=[_message(entry) for entry in await inventory.connected(caller)])

    async def ping(caller: Caller, request: pb.PingInstanceRequest) -> pb.PingInstanceReply:
        return pb.PingInstanceReply(seconds=await inventory.ping(caller, request.server_id))

    return (
        Method(ATTEND, SERVICES, attend), Method(LIST_CONNECTED, PEOPLE, connected), Method(PING, PEOPLE, ping),
    )  # fmt: skip


async def _listen(
    words: AsyncIterator[pb.AgentWord], attendant: Attendant, waiting: asyncio.Queue[pb.AuthWord | None]
) -> None:
    """Hear a process to its end, and let the answers end then too."""
    try:
        async for word in words:
            said = word.WhichOneof("word")
            if said == "pong":
                attendant.pong(word.pong)
            elif said == "heartbeat":
                await attendant.heartbeat()
            elif said == "goodbye":
                await attendant.leave(for_good=True)
            else:
                raise BadParameter("API-MESSAGE", problem=f"{said or 'nothing'} in the middle of a control stream")
    finally:
        while waiting.full():
            waiting.get_nowait()
        waiting.put_nowait(None)


def _sayer(waiting: asyncio.Queue[pb.AuthWord | None]) -> Callable[[Word], None]:
    def say(word: Word) -> None:
        if waiting.full():
            raise LimitExceeded("API-SLOW-READER", method=ATTEND.path, seconds="several")
        if isinstance(word, Ping):
            waiting.put_nowait(pb.AuthWord(ping=word.number))
        else:
            waiting.put_nowait(pb.AuthWord(clone=pb.CloneFound(address=word.address, hostname=word.hostname)))

    return say


def _hello(said: pb.AgentHello) -> Hello:
    return Hello(
        version=said.version, hostname=said.hostname, services=tuple(said.services),
        external_upgrader=said.external_upgrader, external_upgrader_version=said.external_upgrader_version,
        process_id=said.process_id,
    )  # fmt: skip


def hello_message(hello: Hello) -> pb.AgentHello:
    """Write a hello."""
    return pb.AgentHello(
        version=hello.version, hostname=hello.hostname, services=hello.services,
        external_upgrader=hello.external_upgrader, external_upgrader_version=hello.external_upgrader_version,
        process_id=hello.process_id,
    )  # fmt: skip


def _message(entry: Connected) -> pb.ConnectedInstance:
    hello = entry.hello
    return pb.ConnectedInstance(
        server_id=entry.server_id, hostname=hello.hostname, services=hello.services, version=hello.version,
        external_upgrader=hello.external_upgrader, external_upgrader_version=hello.external_upgrader_version,
        address=entry.address, since=entry.since,
    )  # fmt: skip


def _raised_below(error: BaseException) -> None:
    """The stream's own task raises it."""
