"""The channel of a participant: what it asks for, what it may press, and a client that reads too slowly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from teleport.access.action import JoinMode
from teleport.agents.ssh import audit
from teleport.agents.ssh.guest import QUEUE, GuestSession
from teleport.agents.ssh.joining import Room, Rooms
from teleport.agents.ssh.spawner_messages import Exited
from teleport.agents.ssh.tracking import Tracking
from teleport.base import tasks
from teleport.base.clock import ManualClock
from teleport.base.errors import AccessDenied
from teleport.model.events.base import Event
from teleport.model.kinds.session_tracker import SessionTracker
from teleport.model.login import JOIN_MODE, JOIN_SESSION
from teleport.wire.terminal import Size, Terminal
from tests.support import policy
from tests.unit.agents.ssh.test_joining import Stage

ID = "5cee949f-5203-4f3b-9805-dac35d798a16"
WHO = audit.Context(
    identity=policy.caller("dev", name="bob"), login="-", client="198.51.100.7:1", local="", node=policy.node()
)  # fmt: skip


class Channel:
    """What asyncssh would do with a channel."""

    def __init__(self) -> None:
        self.out = b""
        self.err = b""
        self.status: object = None
        self.paused = False

    def get_connection(self) -> Channel:
        return self

    output_held = False

    def is_closing(self) -> bool:
        return self.status is not None

    def write(self, data: bytes, kind: int | None) -> None:
        if kind is None:
            self.out += data
        else:
            self.err += data

    def exit(self, status: int) -> None:
        self.status = status

    def exit_with_signal(self, name: str, dumped: bool) -> None:
        self.status = name

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Owner:
    """A connection."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.refused: list[Event] = []
        self.asked: list[tuple[str, str]] = []
        self.gone: list[str] = []
        self.denied = False
        self.lines: list[str] = []

    def context(self, session_id: str = "") -> audit.Context:
        return WHO

    async def permit_join(self, tracker: SessionTracker, mode: JoinMode) -> None:
        self.asked.append((tracker.spec.host_user, mode))
        if self.denied:
            raise AccessDenied("AUTH-EXPLAIN", id="decision-1")

    async def emit(self, event: Event) -> None:
        self.events.append(event)

    async def record_refusal(self, event: Event) -> None:
        self.refused.append(event)

    def background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return tasks.spawn(work, name="test", on_error=lambda error: None)

    def used(self) -> None:
        pass

    def left(self, session_id: str) -> None:
        self.gone.append(session_id)

    def notices(self) -> list[str]:
        return self.lines


class Scene:
    """A session of alice, and a channel of bob."""

    def __init__(self) -> None:
        self.stage = Stage()
        tracker = policy.tracker("alice", "dev", name=ID)
        tracking = Tracking(None, ManualClock(policy.NOW), tracker)  # type: ignore[arg-type]
        self.stage.room = Room(tracking, lambda *words: self.stage.ended.append(words), interactive=True)
        self.stage.room.open(self.stage, Size(100, 30))
        self.rooms, self.owner, self.channel = Rooms(), Owner(), Channel()
        self.rooms.add(self.stage.room)
        self.guest = GuestSession(self.owner, self.rooms, ManualClock(policy.NOW), "seat-1")
        self.guest.connection_made(self.channel)

    @property
    def room(self) -> Room:
        return self.stage.room

    async def join(self, mode: str = "", id: str = ID, command: bytes | None = None) -> None:
        assert self.guest.terminal_wanted(Terminal("xterm", Size(), {}))
        assert self.guest.variable_wanted(JOIN_SESSION, id)
        assert not mode or self.guest.variable_wanted(JOIN_MODE, mode)
        assert not self.guest.variable_wanted("LANG", "C")
        assert await self.guest.run(command)
        if self.guest._channel is not None:
            self.guest.session_started()
        await self.settled()

    async def settled(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)

    def told(self) -> list[str]:
        return [event.code for event in self.owner.events]


def play(story: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        await story(Scene())

    asyncio.run(main())


def test_an_observer_looks_on_and_leaves() -> None:
    async def story(scene: Scene) -> None:
        scene.owner.lines = ["a notice"]
        scene.room.output(b"before")
        await scene.join()
        assert scene.channel.err == b"a notice\r\n"
        assert b"Joining the session of alice on node-7 as observer; their window is 100x30." in scene.channel.out
        assert b"CTRL-C: Leave the session\r\nbefore" in scene.channel.out
        assert b"terminate" not in scene.channel.out
        assert scene.owner.asked == [("alice", "observer")]
        assert scene.guest.warn("soon over")
        assert b"soon over" in scene.channel.out
        scene.guest.data_received(b"rm t\r", None)
        assert scene.guest.eof_received()
        assert (scene.stage.keys, scene.channel.status) == (b"", None)
        assert (scene.told(), [each.user for each in scene.room.tracker.spec.participants]) == (["T2001I"], ["bob"])
        scene.guest.data_received(b"x\x03t", None)
        await scene.settled()
        assert (scene.channel.status, scene.guest.ending, scene.stage.ended) == (0, True, [])
        assert (scene.told(), scene.room.tracker.spec.participants) == (["T2001I", "T2003I"], ())
        scene.guest.data_received(b"x", None)
        scene.guest.connection_lost(None)
        await scene.settled()
        assert (scene.owner.gone, scene.told()) == (["seat-1"], ["T2001I", "T2003I"])
        assert not scene.guest.warn("x")

    play(story)


def test_a_peer_types_every_key_and_waits_for_a_program_that_does_not_read() -> None:
    async def story(scene: Scene) -> None:
        await scene.join("peer")
        assert b"Controls" not in scene.channel.out
        scene.guest.data_received(b"t\x03", None)
        assert scene.stage.keys == b"t\x03"
        scene.room.crowded(True)
        assert scene.channel.paused
        scene.room.crowded(False)
        assert not scene.channel.paused

    play(story)


def test_a_moderator_ends_the_session() -> None:
    async def story(scene: Scene) -> None:
        await scene.join("moderator")
        assert b"  - t: Forcefully terminate the session (moderators only)\r\n" in scene.channel.out
        scene.room.crowded(True)
        assert not scene.channel.paused
        scene.guest.data_received(b"xt", None)
        assert [reason for reason, _ in scene.stage.ended] == ["session terminated by moderator bob"]
        assert scene.stage.keys == b""

    play(story)


@pytest.mark.parametrize(
    ("outcome", "status"), [(None, 255), (Exited(id=1, status=7), 7), (Exited(id=1, signal=9), "KILL")]
)
def test_the_session_s_end_is_the_participant_s(outcome: Exited | None, status: object) -> None:
    async def story(scene: Scene) -> None:
        await scene.join()
        scene.guest.hold("channel")
        scene.room.output(b"last words")
        scene.room.close(outcome)
        assert scene.channel.status == status
        assert scene.channel.out.endswith(b"last words")

    play(story)


def test_what_a_slow_client_does_not_read_is_skipped_and_counted() -> None:
    async def story(scene: Scene) -> None:
        await scene.join()
        shown = scene.channel.out
        scene.guest.pause_writing()
        scene.guest.hold("carrier")
        scene.room.output(b"k" * QUEUE)
        scene.room.output(b"lost")
        scene.room.output(b"!")
        scene.guest.resume_writing()
        assert scene.channel.out == shown
        scene.guest.release("carrier")
        words = b"\r\nTeleport > You read too slowly: 5 bytes of output were skipped.\r\n"
        assert scene.channel.out == shown + b"k" * QUEUE + words
        scene.room.output(b"on")
        assert scene.channel.out.endswith(words + b"on")

    play(story)


@pytest.mark.parametrize(
    ("mode", "id", "code"),
    [
        ("peer", "x", b"SSH-JOIN-SESSION"),
        ("spectator", ID, b"SSH-JOIN-MODE"),
        ("", "5cee949f-5203-4f3b-9805-000000000000", b"SSH-JOIN-SESSION"),
    ],
)
def test_what_cannot_be_joined(mode: str, id: str, code: bytes) -> None:
    async def story(scene: Scene) -> None:
        await scene.join(mode, id)
        assert scene.channel.err.startswith(code)
        assert (scene.channel.status, scene.channel.out, scene.told()) == (255, b"", [])

    play(story)


def test_one_that_is_not_here_is_decided_on_as_nobodys() -> None:
    async def story(scene: Scene) -> None:
        scene.owner.denied = True
        await scene.join(id="5cee949f-5203-4f3b-9805-000000000000")
        assert scene.owner.asked == [("", "observer")]
        assert b"decision-1" in scene.channel.err

    play(story)


def test_a_refusal_is_shown_and_nothing_else() -> None:
    async def story(scene: Scene) -> None:
        scene.owner.denied = True
        await scene.join()
        scene.room.output(b"secret")
        assert b"[id decision-1]" in scene.channel.err
        assert (scene.channel.out, scene.channel.status, scene.told()) == (b"", 255, [])

    play(story)


def test_a_session_that_ends_meanwhile() -> None:
    async def story(scene: Scene) -> None:
        emit = scene.owner.emit

        async def ends(event: Event) -> None:
            scene.room.close(None)
            await emit(event)

        scene.owner.emit = ends  # type: ignore[method-assign]
        await scene.join()
        assert scene.channel.err.startswith(b"SSH-JOIN-OVER")
        assert scene.told() == ["T2001I", "T2003I"]

    play(story)


def test_a_client_that_leaves_meanwhile() -> None:
    async def story(scene: Scene) -> None:
        emit = scene.owner.emit

        async def leaves(event: Event) -> None:
            await emit(event)
            if scene.guest._channel is not None:
                scene.guest.connection_lost(None)

        scene.owner.emit = leaves  # type: ignore[method-assign]
        await scene.join()
        assert sorted(scene.told()) == ["T2001I", "T2003I"]
        assert scene.room.guests == []

    play(story)


def test_the_server_ends_participation_alone() -> None:
    async def story(scene: Scene) -> None:
        await scene.join()
        scene.guest.end("a lock is in force")
        scene.guest.end("again")
        await scene.settled()
        assert b"a lock is in force" in scene.channel.out
        assert b"again" not in scene.channel.out
        assert (scene.channel.status, scene.stage.ended, scene.told()) == (255, [], ["T2001I", "T2003I"])

    play(story)


def test_nothing_else_is_given() -> None:
    async def story(scene: Scene) -> None:
        await scene.guest.declined("subsystem", "sftp")
        await scene.guest.declined("env", "LANG")
        assert not await scene.guest.agent_wanted()
        await scene.join(command=b"id")
        assert scene.channel.err.count(b"SSH-JOIN-ONLY") == 3
        assert [event.code for event in scene.owner.refused] == ["T3001E", "T1006W", "T1006W"]
        assert scene.channel.status == 255
        assert scene.owner.asked == []

    play(story)
