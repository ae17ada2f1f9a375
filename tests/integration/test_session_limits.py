"""Limits on connections, sessions that somebody ends, and warnings before a cut, with stock `ssh` as the client."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from teleport.agents.ssh import ends
from teleport.agents.ssh.ends import Ends
from teleport.agents.ssh.service import SSHService
from teleport.base.counters import Counters
from teleport.base.errors import Unavailable
from teleport.model.kinds.session_termination import SessionTermination, SessionTerminationSpec
from teleport.model.resource import Metadata
from tests.support import policy
from tests.support.ssh_node import LOGIN, Client, World
from tests.support.until import until

Scene = Callable[[SSHService], Awaitable[None]]
Play = Callable[..., None]
Done = tuple[int, bytes, str]
TERMINALS = pytest.mark.parametrize("option", ["-tt", "-T"])


def with_options(world: World, **options: Any) -> None:
    world.roles[:] = [policy.role("dev", allow={"logins": [LOGIN], "node_labels": {"env": "prod"}}, options=options)]


async def begin(client: Client, node: SSHService, world: World, option: str) -> asyncio.Task[Done]:
    """Start a session that would go on for long."""
    count = len(world.told("T2000I"))
    running = asyncio.get_running_loop().create_task(client.run(node, option, "--", "echo started; exec sleep 1000"))
    await until(lambda: len(world.told("T2000I")) > count and len(world.trackers) > count)
    return running


def test_connections_in_the_whole_cluster_are_limited(play: Play, client: Client, world: World) -> None:
    with_options(world, max_connections=2)
    world.leases["elsewhere/alice"] = ("on another node",)
    counters = Counters()

    async def scene(node: SSHService) -> None:
        first = await begin(client, node, world, "-T")
        assert len(world.leases["alice"]) == 1
        status, out, err = await client.run(node, "--", "echo ran")
        assert (status, out) == (255, b"")
        assert "err-max-leases: 'alice' has no place for another ssh connection" in err
        (event,) = await world.wait_for("T1006W")
        assert (event["event"], event["reason"], event["max"]) == ("session.rejected", "max_connections", 2)
        assert [counter.value for counter in counters] == [1]
        world.leases["elsewhere/alice"] = ()
        assert (await client.run(node, "--", "echo ran"))[:2] == (0, b"ran\n")
        first.cancel()
        await asyncio.wait([first])
        await until(lambda: world.leases["alice"] == ())

    play(scene, counters=counters)


def test_without_the_auth_service_a_limited_user_gets_no_session(play: Play, client: Client, world: World) -> None:
    with_options(world, max_connections=2)
    world.lease_failure = Unavailable("API-UNAVAILABLE", problem="down")

    async def scene(node: SSHService) -> None:
        status, out, err = await client.run(node, "--", "echo ran")
        assert (status, out) == (255, b"")
        assert "the node cannot find out whether 'alice' may have another connection" in err
        with_options(world)
        assert (await client.run(node, "--", "echo ran"))[:2] == (0, b"ran\n")

    play(scene)


@TERMINALS
def test_a_session_that_somebody_ends_says_who_and_why(play: Play, client: Client, world: World, option: str) -> None:
    async def scene(node: SSHService) -> None:
        ended, other = await begin(client, node, world, option), await begin(client, node, world, option)
        session = world.told("T2000I")[0]["sid"]
        spec = SessionTerminationSpec(message="maintenance", created_by="bob", host_user="alice")
        world.endings.append(SessionTermination(version="v1", metadata=Metadata(name=session), spec=spec))
        world.revision += 1
        status, out, err = await ended
        assert status == 255
        assert "session terminated by bob: maintenance; ask bob before you go on" in out.decode() + err
        (event,) = await world.wait_for("T3006I")
        assert (event["sid"], event["reason"]) == (session, "session terminated by bob: maintenance")
        await until(lambda: len(world.trackers) == 1)
        world.revision += 1
        assert not other.done()
        other.cancel()
        await asyncio.wait([other])

    play(scene)
    assert len(world.told("T3006I")) == 1


@TERMINALS
def test_idleness_is_told_of_before_at_a_terminal_only(play: Play, client: Client, world: World, option: str) -> None:
    async def scene(node: SSHService) -> None:
        status, out, err = await (await begin(client, node, world, option))
        assert status == 255
        said = out.decode() + err
        assert ("nobody uses this connection: it ends in 1s. Press a key to keep it" in said) == (option == "-tt")
        assert "client exceeded idle timeout of 2s" in said

    play(scene, ends=lambda: Ends(idle=2.0))


@TERMINALS
def test_the_end_of_a_certificate_is_told_of_before(
    play: Play, client: Client, world: World, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(ends, "LOOK", 0.05)
    monkeypatch.setattr(ends, "LISTEN", 0.05)
    marker: Path = client.folder / "typed"

    async def scene(node: SSHService) -> None:
        world.clock.advance(dt.timedelta(minutes=59, seconds=30))  # type: ignore[attr-defined]
        running = asyncio.get_running_loop().create_task(
            client.run(node, option, "--", f"touch {marker}; exec sleep 1000")
        )
        await until(marker.exists)
        connection = next(iter(node._cuts._live))
        await until(lambda: option == "-T" or connection._watch._warned_of_expiry)  # type: ignore[attr-defined]
        world.clock.advance(dt.timedelta(seconds=31))  # type: ignore[attr-defined]
        _, out, err = await running
        said = out.decode() + err
        assert "client certificate expired: sign in again with tsh login" in said
        assert ("this connection ends in 30s with your certificate: save your work" in said) == (option == "-tt")

    play(scene, ends=lambda: Ends(with_certificate=True))
