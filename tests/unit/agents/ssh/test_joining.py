"""Rooms: what participants are shown, who is let in, and what is written of them."""

from __future__ import annotations

import asyncio

import pytest

from teleport.access.action import JoinMode
from teleport.agents.ssh.joining import RECENT, SEATS, Room, Rooms, message
from teleport.agents.ssh.spawner_messages import Exited
from teleport.agents.ssh.tracking import Tracking
from teleport.base.clock import ManualClock
from teleport.base.errors import TeleportError
from teleport.wire.terminal import Size
from tests.support import policy


class Person:
    """A seat that remembers what it was shown."""

    def __init__(self, user: str = "bob", mode: JoinMode = "observer") -> None:
        self.id, self.user, self.mode = f"seat of {user}", user, mode
        self.shown = bytearray()
        self.told: list[object] = []

    def show(self, data: bytes) -> None:
        self.shown += data

    def crowded(self, crowded: bool) -> None:
        self.told.append(crowded)

    def over(self, outcome: Exited | None) -> None:
        self.told.append(outcome)


class Stage:
    """A session with its room."""

    def __init__(self, *, interactive: bool = True) -> None:
        self.keys = b""
        self.ended: list[tuple[str, str]] = []
        tracking = Tracking(None, ManualClock(policy.NOW), policy.tracker("alice", "dev"))  # type: ignore[arg-type]
        self.room = Room(tracking, lambda *words: self.ended.append(words), interactive=interactive)

    def typed(self, data: bytes) -> None:
        self.keys += data

    def announce(self, line: str) -> None:
        self.room.tell(f"[{line}]".encode())

    def enter(self, seat: Person) -> Person:
        self.room.enter(seat, policy.NOW)
        return seat


@pytest.fixture
def stage() -> Stage:
    made = Stage()
    made.room.open(made, Size(100, 30))
    return made


def refusal(stage: Stage) -> str:
    with pytest.raises(TeleportError) as caught:
        stage.room.enter(Person(), policy.NOW)
    return caught.value.code


def test_whoever_joins_sees_what_was_shown_then_that_they_joined_then_what_comes(stage: Stage) -> None:
    stage.room.output(b"before ")
    bob = stage.enter(Person())
    stage.room.output(b"after")
    assert bob.shown == b"before [Teleport > User bob joined the session.]after"
    carol = stage.enter(Person("carol"))
    assert carol.shown == b"before after[Teleport > User carol joined the session.]", (
        "words of the service are not kept"
    )
    assert bob.shown.endswith(b"[Teleport > User carol joined the session.]")
    stage.room.leave(carol)
    stage.room.leave(carol)
    stage.room.output(b"!")
    assert bob.shown.endswith(b"[Teleport > User carol left the session.]!")
    assert not carol.shown.endswith(b"!")
    assert stage.room.guests == ["bob", "carol"]


def test_what_is_kept_is_bounded_and_begins_with_a_line(stage: Stage) -> None:
    for number in range(40_000):
        stage.room.output(b"line %d\r\n" % number)
    shown = bytes(stage.enter(Person()).shown).partition(b"[")[0]
    assert RECENT - 20 < len(shown) <= RECENT
    assert shown.startswith(b"line ")
    assert shown.endswith(b"line 39999\r\n")


def test_a_whole_memory_is_shown_from_its_beginning(stage: Stage) -> None:
    stage.room.output(b"first\nsecond")
    assert stage.enter(Person()).shown.startswith(b"first\nsecond[")


def test_names_are_written_so_that_a_terminal_does_not_obey_them(stage: Stage) -> None:
    assert b"\x1b" not in stage.enter(Person("b\x1b[2Job")).shown


def test_seats_are_limited(stage: Stage) -> None:
    seats = [stage.enter(Person(f"user-{number}")) for number in range(SEATS)]
    assert refusal(stage) == "SSH-JOIN-FULL"
    stage.room.leave(seats[0])
    stage.enter(Person())


def test_a_session_without_a_terminal_has_no_seats() -> None:
    stage = Stage(interactive=False)
    assert refusal(stage) == "SSH-JOIN-NO-TERMINAL"


def test_a_session_that_does_not_run_yet_or_any_more_has_none(stage: Stage) -> None:
    assert refusal(Stage()) == "SSH-JOIN-OVER"
    Stage().room.typed(b"x")
    stage.room.close(None)
    assert refusal(stage) == "SSH-JOIN-OVER"
    stage.room.typed(b"x")
    assert stage.keys == b""


def test_the_end_of_a_session_is_everybodys(stage: Stage) -> None:
    bob, outcome = stage.enter(Person()), Exited(id=1, status=7)
    stage.room.close(outcome)
    assert bob.told == [outcome]
    stage.room.leave(bob)
    assert b"left" not in bob.shown


def test_keys_sizes_and_a_program_that_does_not_read(stage: Stage) -> None:
    peer = stage.enter(Person(mode="peer"))
    stage.room.typed(b"ls\r")
    assert stage.keys == b"ls\r"
    stage.room.resized(Size(90, 20))
    assert peer.shown.endswith(message("The terminal is 90x20 now."))
    assert stage.room.size == Size(90, 20)
    stage.room.crowded(True)
    late = stage.enter(Person("carol", "peer"))
    stage.room.crowded(False)
    assert (peer.told, late.told) == ([True, False], [True, False])


def test_a_moderator_ends_it_with_a_word_to_all(stage: Stage) -> None:
    stage.room.terminate(stage.enter(Person("mary", "moderator")))
    reason = "session terminated by moderator mary"
    assert stage.ended == [(reason, "Teleport > Session terminated by moderator mary.")]


def test_who_takes_part_is_written(stage: Stage) -> None:
    bob = stage.enter(Person())
    asyncio.run(stage.room.track())
    (told,) = stage.room.tracker.spec.participants
    assert (told.id, told.user, told.mode, told.last_active) == ("seat of bob", "bob", "observer", policy.NOW)
    stage.room.leave(bob)
    asyncio.run(stage.room.track())
    assert stage.room.tracker.spec.participants == ()


def test_rooms_are_found_by_the_id_of_the_session(stage: Stage) -> None:
    rooms = Rooms()
    rooms.add(stage.room)
    assert rooms.find("session-1") is stage.room
    rooms.remove(stage.room)
    rooms.remove(stage.room)
    assert rooms.find("session-1") is None
