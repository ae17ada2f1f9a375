"""Verdict: what a locked bot is told, and that it is what administrators are shown."""

from __future__ import annotations

import pytest

from teleport.base.errors import TeleportError
from teleport.client.doctor.bot import evidence
from teleport.model.kinds.lock import Lock, LockTarget
from tests.support.auth_cluster import Cluster, run
from tests.support.bots import ELSEWHERE, HOME, NAME, USER, Robot, make_bot


async def standing_of(robot: Robot) -> TeleportError:
    with pytest.raises(TeleportError) as caught:
        await robot.calls.standing()
    return caught.value


@pytest.mark.parametrize(
    ("address", "hosts", "verdict"),
    [
        (ELSEWHERE, ("", ""), "BOT-STOLEN"),
        (HOME, ("build-7", "laptop"), "BOT-STOLEN"),
        (HOME, ("build-7", "build-7"), "BOT-GEN-MISMATCH"),
    ],
)
def test_a_locked_bot_is_told_the_verdict_that_administrators_see(
    address: str, hosts: tuple[str, str], verdict: str
) -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        robot = await Robot.joined(cluster)
        thief = robot.copy(address)
        await robot.renew(hostname=hosts[0])
        with pytest.raises(TeleportError):
            await thief.renew(hostname=hosts[1])
        error = await standing_of(robot)
        instances = [each async for each in cluster.admin.list("bot_instance")]
        locks = [each async for each in cluster.admin.list("lock")]
        events = await cluster.events("cert.generation_mismatch")
        (shown,) = evidence.read(NAME, events, instances, locks)
        assert (error.code, error.fields["verdict"], shown.verdict) == ("POL-LOCKED", verdict, verdict)
        assert error.fields["meaning"] == dict(shown.told())["Verdict"]

    run(story)


def test_a_bot_that_somebody_has_locked_is_told_so() -> None:
    async def story(cluster: Cluster) -> None:
        await make_bot(cluster, "access")
        robot = await Robot.joined(cluster)
        lock = Lock.against(LockTarget(user=USER), "holiday", name="mine", at=cluster.clock.now(), by="alice")
        await cluster.admin.create(lock)
        assert (await standing_of(robot)).fields["verdict"] == "BOT-LOCKED"

    run(story)
