"""Sessions that the service itself ends or does not begin, and what is recorded and announced of each."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from teleport.agents.ssh import cuts
from teleport.agents.ssh.ends import Ends
from teleport.agents.ssh.service import SSHService
from teleport.base.errors import Unavailable
from tests.support import policy
from tests.support.ssh_node import LOGIN, Client, World
from tests.support.tapes import FakeRecorder
from tests.support.until import until

Scene = Callable[[SSHService], Awaitable[None]]
Play = Callable[..., None]
Done = tuple[int, bytes, str]
TERMINALS = pytest.mark.parametrize("option", ["-tt", "-T"])
FAILURE = Unavailable("SSH-SPAWN", login="", problem="the disk is full")


def told(done: Done) -> str:
    """What a user saw, wherever it was shown."""
    return done[1].decode() + done[2]


async def begin(client: Client, node: SSHService, world: World, option: str) -> asyncio.Task[Done]:
    """Start a session that would go on for long."""
    count = len(world.told("T2000I"))
    running = asyncio.get_running_loop().create_task(client.run(node, option, "--", "echo started; exec sleep 1000"))
    await until(lambda: len(world.told("T2000I")) > count and world.trackers)
    return running


@TERMINALS
@pytest.mark.parametrize("target", [{"user": "alice"}, {"role": "dev"}, {"login": LOGIN}, {"server_id": "node-uuid-1"}])
def test_a_lock_ends_what_runs_and_says_so(
    play: Play, client: Client, world: World, option: str, target: dict[str, str]
) -> None:
    async def scene(node: SSHService) -> None:
        running = await begin(client, node, world, option)
        world.held = (policy.lock("lock-7", "call the desk", **target),)
        done = await running
        assert done[0] == 255
        assert f"lock targeting {world.held[0].spec.target} is in force: call the desk" in told(done)
        (id,) = world.denials
        assert f"[id {id}]" in told(done)
        (event,) = await world.wait_for("T3006I")
        assert event["reason"] == f"lock targeting {world.held[0].spec.target} is in force: call the desk"
        await world.wait_for("T2004I")
        await until(lambda: world.trackers == {})

    play(scene)


def test_a_lock_on_somebody_else_changes_nothing(play: Play, client: Client, world: World) -> None:
    async def scene(node: SSHService) -> None:
        running = await begin(client, node, world, "-tt")
        world.held = (policy.lock("lock-7", "", user="bob"),)
        world.held = (policy.lock("lock-7", "", user="bob"), policy.lock("lock-8", "", user="alice"))
        assert (await running)[0] == 255
        assert len(world.denials) == 1

    play(scene)


@TERMINALS
def test_strict_locks_end_sessions_when_nobody_can_say_what_is_locked(
    play: Play, client: Client, world: World, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuts, "LOOK", 0.05)
    world.roles[:] = [
        policy.role("dev", allow={"logins": [LOGIN], "node_labels": {"env": "prod"}}, options={"lock": "strict"})
    ]

    async def scene(node: SSHService) -> None:
        running = await begin(client, node, world, option)
        world.as_of = world.clock.now()
        world.clock.advance(dt.timedelta(minutes=4, seconds=59))  # type: ignore[attr-defined]
        assert not running.done()
        world.clock.advance(dt.timedelta(seconds=2))  # type: ignore[attr-defined]
        done = await running
        assert done[0] == 255
        (event,) = await world.wait_for("T3006I")
        assert event["reason"] in told(done)

    play(scene)


@TERMINALS
def test_idleness_by_role_and_by_cluster(play: Play, client: Client, world: World, option: str) -> None:
    world.roles[:] = [
        policy.role(
            "dev", allow={"logins": [LOGIN], "node_labels": {"env": "prod"}}, options={"client_idle_timeout": "1s"}
        )
    ]  # fmt: skip

    async def scene(node: SSHService) -> None:
        done = await (await begin(client, node, world, option))
        assert done[0] == 255
        assert "client exceeded idle timeout of 1s; connect again to go on" in told(done)
        (event,) = await world.wait_for("T3006I")
        assert event["reason"] == "client exceeded idle timeout of 1s"

    play(scene, ends=lambda: Ends(idle=600.0))


@TERMINALS
def test_the_end_of_a_certificate(play: Play, client: Client, world: World, option: str) -> None:
    world.roles[:] = [
        policy.role(
            "dev", allow={"logins": [LOGIN], "node_labels": {"env": "prod"}}, options={"disconnect_expired_cert": True}
        )
    ]  # fmt: skip
    world.clock.advance(dt.timedelta(minutes=59, seconds=57))  # type: ignore[attr-defined]

    async def scene(node: SSHService) -> None:
        running = await begin(client, node, world, option)
        world.clock.advance(dt.timedelta(seconds=5))  # type: ignore[attr-defined]
        done = await running
        assert done[0] == 255
        assert "client certificate expired: sign in again with tsh login" in told(done)

    play(scene)


def test_sessions_of_one_connection_are_counted(play: Play, client: Client, world: World) -> None:
    world.roles[:] = [
        policy.role("dev", allow={"logins": [LOGIN], "node_labels": {"env": "prod"}}, options={"max_sessions": 1})
    ]

    async def scene(node: SSHService) -> None:
        control = ["-o", f"ControlPath={client.folder}/m"]
        assert (await client.run(node, *control, "-o", "ControlMaster=yes", "-o", "ControlPersist=yes", "-fN"))[0] == 0
        try:
            running = asyncio.get_running_loop().create_task(client.run(node, *control, "--", "cat; exit 3", stdin=b""))
            assert (await running)[0] == 3
            held = asyncio.get_running_loop().create_task(client.run(node, *control, "-T", "--", "exec sleep 1000"))
            await until(lambda: len(world.told("T2000I")) == 2)
            other = await client.run(node, *control, "--", "echo other")
            assert other[1] == b"other\n", "the client has made another connection for it"
            (event,) = await world.wait_for("T1006W")
            assert (event["event"], event["reason"], event["max"]) == ("session.rejected", "max_sessions", 1)
        finally:
            await client.run(node, *control, "-O", "exit")
        await held

    play(scene)


@TERMINALS
def test_a_session_that_cannot_be_recorded_does_not_start(
    play: Play, client: Client, world: World, option: str
) -> None:  # fmt: skip
    recorder = FakeRecorder(refuse=FAILURE)

    async def scene(node: SSHService) -> None:
        done = await client.run(node, option, "--", "echo ran")
        assert done[0] == 255
        assert FAILURE.what in told(done)
        assert "ran" not in told(done)
        assert world.trackers == {}
        assert world.told("T2000I") == []

    play(scene, recorder=recorder)


@TERMINALS
def test_a_recording_that_fails_ends_its_session(play: Play, client: Client, world: World, option: str) -> None:
    recorder = FakeRecorder()
    world.roles[:] = [
        policy.role(
            "dev", allow={"logins": [LOGIN], "node_labels": {"env": "prod"}}, options={"on_record_failure": "deny"}
        )
    ]  # fmt: skip

    async def scene(node: SSHService) -> None:
        running = await begin(client, node, world, option)
        (tape,) = recorder.tapes
        assert tape.facts.on_failure == "deny"
        tape.watcher.failed(FAILURE)
        done = await running
        assert done[0] == 255
        assert FAILURE.what in told(done)
        await world.wait_for("T2004I")
        assert tape.outcome is not None
        assert tape.outcome["ended_by_server"] is True

    play(scene, recorder=recorder)


def test_a_recording_hears_everything_before_the_client_hears_the_end(
    play: Play, client: Client, world: World
) -> None:  # fmt: skip
    recorder = FakeRecorder(notice="this session is recorded", durable=False)

    async def scene(node: SSHService) -> None:
        running = asyncio.get_running_loop().create_task(client.run(node, "--", "echo out; echo err >&2; exit 6"))
        await until(lambda: recorder.tapes and b"out\n" in recorder.tapes[0].out)
        (tape,) = recorder.tapes
        await until(lambda: world.trackers)
        (tracker,) = world.trackers.values()
        assert (tracker.spec.host_user, tracker.spec.login, tracker.spec.state) == ("alice", LOGIN, "running")
        assert (tracker.spec.server_id, tracker.spec.hostname) == ("node-uuid-1", "node-1")
        assert tracker.name == tape.facts.session_id
        assert not running.done()
        tape.closable.set()
        assert await running == (6, b"out\n", "this session is recorded\r\nerr\n")
        assert (b"".join(tape.out), b"".join(tape.errors)) == (b"out\n", b"err\n")
        assert tape.marks == ["this session is recorded"]
        assert tape.outcome == {"exit_code": 6, "ended_by_server": False}
        assert (tape.facts.command, tape.facts.on_failure) == ("echo out; echo err >&2; exit 6", "best_effort")
        (end,) = await world.wait_for("T2004I")
        assert (end["session_recording"], end["interactive"]) == ("node", False)
        await until(lambda: world.trackers == {})

    play(scene, recorder=recorder)


def test_output_waits_while_a_recording_asks_for_it(
    play: Play, client: Client, world: World, tmp_path: Path
) -> None:  # fmt: skip
    recorder = FakeRecorder(hold=True)
    marker = tmp_path / "written"

    async def scene(node: SSHService) -> None:
        running = asyncio.get_running_loop().create_task(
            client.run(node, "--", f"echo first; touch {marker}; echo second")
        )
        await until(marker.exists)
        await until(lambda: world.trackers)
        (tape,) = recorder.tapes
        assert tape.out == []
        tape.watcher.hold(False)
        assert (await running)[1] == b"first\nsecond\n"

    play(scene, recorder=recorder)
