"""What a bot says of its services is what the Auth Service takes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from teleport.api.caller import Caller
from teleport.api.client import AuthClient
from teleport.bot.health import Health
from teleport.bot.heartbeat import Heartbeats
from teleport.model.kinds.bot_instance import BotInstance
from tests.support.auth_cluster import Cluster, run
from tests.support.bots import HOME, NAME, Robot, make_bot


class Its:
    """As much of a bot as heartbeats need."""

    def __init__(self, robot: Robot) -> None:
        self._robot = robot

    @asynccontextmanager
    async def client(self) -> AsyncIterator[AuthClient]:
        yield self._robot.cluster.client(Caller(self._robot.identity, HOME))


def test_a_long_reason_in_any_writing_arrives_shortened() -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        robot = await Robot.joined(cluster)
        health = Health()
        health.report("identity", "unhealthy", "ä" * 256)
        its: Any = Its(robot)
        beats = Heartbeats(
            its, health, host_name="h", method="token", one_shot=False, clock=cluster.clock, started=cluster.clock.now()
        )  # fmt: skip
        await beats.beat()
        found = await cluster.service.store.get(BotInstance, robot.identity.bot_instance_id)
        assert (found.spec.bot_name, found.status.service_health[0].reason) == (NAME, "ä" * 128)

    run(story)
