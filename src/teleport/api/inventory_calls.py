"""InventoryCalls: what is asked of the inventory, and a process's side of its control stream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from teleport.api.client import AuthClient
from teleport.api.inventory_messages import Clone, Connected, Hello, Ping, Word
from teleport.api.pb import inventory_pb2 as pb
from teleport.api.rpc import Talk
from teleport.api.services import inventory
from teleport.api.times import time_of
from teleport.base.errors import BadParameter


class InventoryCalls:
    """Calls over the connection of a client."""

    def __init__(self, client: AuthClient) -> None:
        self._channel = client.channel

    async def connected(self) -> list[Connected]:
        """Return the processes that are connected to the Auth Service asked."""
        reply = await self._channel.unary(inventory.LIST_CONNECTED, pb.ListConnectedRequest())
        return [_connected(entry) for entry in reply.instances]

    async def ping(self, server_id: str) -> float:
        """Return the seconds of a round trip to a process. Raises NotFound (INV-NOT-CONNECTED), TimedOut
        (INV-NO-ANSWER)."""
        reply = await self._channel.unary(inventory.PING, pb.PingInstanceRequest(server_id=server_id))
        return reply.seconds

    @asynccontextmanager
    async def attend(self, hello: Hello) -> AsyncIterator[ControlStream]:
        """Open a control stream. In the block is raised what the server raised."""
        async with self._channel.talk(inventory.ATTEND, forever=True) as wire:
            await wire.send(pb.AgentWord(hello=inventory.hello_message(hello)))
            if not (await wire.receive()).HasField("hello"):
                raise BadParameter("API-MESSAGE", problem="the answer to a hello is a hello")
            yield ControlStream(wire)


class ControlStream:
    """A process's side."""

    def __init__(self, wire: Talk[pb.AgentWord, pb.AuthWord]) -> None:
        self._wire = wire

    async def next(self) -> Word:
        """Return the next word of the Auth Service."""
        while True:
            said = await self._wire.receive()
            if said.HasField("ping"):
                return Ping(said.ping)
            if said.HasField("clone"):
                return Clone(said.clone.address, said.clone.hostname)

    async def heartbeat(self) -> None:
        """Say that the process is there."""
        await self._wire.send(pb.AgentWord(heartbeat=pb.AgentHeartbeat()))

    async def pong(self, number: int) -> None:
        """Answer a ping."""
        await self._wire.send(pb.AgentWord(pong=number))

    async def goodbye(self) -> None:
        """Say that the process stops."""
        await self._wire.send(pb.AgentWord(goodbye=pb.AgentGoodbye()))


def _connected(said: pb.ConnectedInstance) -> Connected:
    hello = Hello(
        version=said.version, hostname=said.hostname, services=tuple(said.services),
        external_upgrader=said.external_upgrader, external_upgrader_version=said.external_upgrader_version,
    )  # fmt: skip
    return Connected(said.server_id, hello, said.address, time_of(said.since))
