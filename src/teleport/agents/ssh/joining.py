"""Rooms: the running sessions of a node, and who takes part in each beside its owner.

A room hands on what the terminal shows, from a bounded memory of it and then as it comes. Nobody in it can slow the
session: a seat takes what it is shown at once, or loses it. The window is the owner's.

Not here: who may join (`access.joining`), the channel of a participant (`guest`), and the program (`session`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Protocol

from teleport.access.action import JoinMode
from teleport.agents.ssh.spawner_messages import Exited
from teleport.agents.ssh.tracking import Tracking
from teleport.base.errors import LimitExceeded, NotSupported, Unavailable
from teleport.base.escape import escape
from teleport.model.kinds.session_tracker import Participant, SessionTracker
from teleport.wire.terminal import Size

SEATS = 32
"""Participants of one session at a time."""
RECENT = 64 * 1024
"""Bytes of the terminal's output that whoever joins is shown first."""
_NAMED = 100
"""Participants that the end of a session names."""


class Stage(Protocol):
    """What the session of a room does for it."""

    def typed(self, data: bytes) -> None:
        """Pass keys of a participant to the terminal."""
        ...

    def announce(self, line: str) -> None:
        """Say something to the owner, the recording and every seat."""
        ...


class Seat(Protocol):
    """One participant, as a room sees them."""

    id: str
    user: str
    mode: JoinMode

    def show(self, data: bytes) -> None:
        """The terminal shows this. Returns at once."""
        ...

    def crowded(self, crowded: bool) -> None:
        """Whether the program reads too slowly for more to be typed."""
        ...

    def over(self, outcome: Exited | None) -> None:
        """The session has ended; None: the server ended it."""
        ...


class Room:
    """One running session."""

    def __init__(self, tracking: Tracking, end: Callable[[str, str], None], *, interactive: bool) -> None:
        """`end(reason, text)` ends the session; `interactive`: whether it has a terminal."""
        self._tracking = tracking
        self._end = end
        self._interactive = interactive
        self._stage: Stage | None = None
        self._seats: dict[Seat, Participant] = {}
        self._recent = bytearray()
        self._forgotten = False
        self._crowded = False
        self._over = False
        self.size = Size()
        """Of the owner's window."""
        self.guests: list[str] = []
        """Users who have taken part, each once."""

    @property
    def tracker(self) -> SessionTracker:
        """What is known of the session."""
        return self._tracking.tracker

    # -- for the session ----------------------------------------------------------------------------------

    def open(self, stage: Stage, size: Size) -> None:
        """The program runs: from here on the session can be joined."""
        self._stage, self.size = stage, size

    def output(self, data: bytes) -> None:
        """The terminal shows this."""
        self._recent += data
        if len(self._recent) > 2 * RECENT:
            del self._recent[:-RECENT]
            self._forgotten = True
        for seat in tuple(self._seats):
            seat.show(data)

    def tell(self, data: bytes) -> None:
        """Show the participants what the service itself says."""
        for seat in tuple(self._seats):
            seat.show(data)

    def resized(self, size: Size) -> None:
        """The owner's window has another size."""
        self.size = size
        self.tell(message(f"The terminal is {size.columns}x{size.rows} now."))

    def crowded(self, crowded: bool) -> None:
        """The program reads too slowly for what is typed, or has caught up."""
        self._crowded = crowded
        for seat in tuple(self._seats):
            seat.crowded(crowded)

    def close(self, outcome: Exited | None) -> None:
        """The session has ended, and with it all taking part."""
        self._over = True
        for seat in tuple(self._seats):
            seat.over(outcome)

    # -- for participants ---------------------------------------------------------------------------------

    def check(self) -> Stage:
        """Return the session, if there is room in it. Raises NotSupported (SSH-JOIN-NO-TERMINAL), Unavailable
        (SSH-JOIN-OVER), LimitExceeded (SSH-JOIN-FULL)."""
        id = self.tracker.name
        if not self._interactive:
            raise NotSupported("SSH-JOIN-NO-TERMINAL", session=id)
        if self._stage is None or self._over:
            raise Unavailable("SSH-JOIN-OVER", session=id)
        if len(self._seats) >= SEATS:
            raise LimitExceeded("SSH-JOIN-FULL", session=id, limit=SEATS)
        return self._stage

    def enter(self, seat: Seat, now: dt.datetime) -> None:
        """Let somebody take part from now on, who is shown first what the terminal showed lately, from the beginning of
        a line. Raises what `check` raises."""
        stage = self.check()
        self._seats[seat] = Participant(id=seat.id, user=seat.user, mode=seat.mode, last_active=now)
        if seat.user not in self.guests and len(self.guests) < _NAMED:
            self.guests.append(seat.user)
        if self._crowded:
            seat.crowded(True)
        seat.show(self._lately())
        stage.announce(f"Teleport > User {escape(seat.user)} joined the session.")

    def _lately(self) -> bytes:
        recent = bytes(self._recent[-RECENT:])
        if not self._forgotten and len(self._recent) <= RECENT:
            return recent
        return recent[recent.find(b"\n") + 1 :]

    def leave(self, seat: Seat) -> None:
        """Somebody takes part no longer. The session goes on."""
        if self._seats.pop(seat, None) is not None and self._stage is not None and not self._over:
            self._stage.announce(f"Teleport > User {escape(seat.user)} left the session.")

    def typed(self, data: bytes) -> None:
        """Pass what a participant typed to the terminal."""
        if self._stage is not None and not self._over:
            self._stage.typed(data)

    def terminate(self, seat: Seat) -> None:
        """A moderator ends the session, with a word to all."""
        reason = f"session terminated by moderator {escape(seat.user)}"
        self._end(reason, f"Teleport > {reason[0].upper()}{reason[1:]}.")

    async def track(self) -> None:
        """Write who takes part where running sessions are listed."""
        await self._tracking.change(tuple(self._seats.values()))


class Rooms:
    """The running sessions of a node, by their ids."""

    def __init__(self) -> None:
        self._rooms: dict[str, Room] = {}

    def add(self, room: Room) -> None:
        """A session has begun."""
        self._rooms[room.tracker.name] = room

    def remove(self, room: Room) -> None:
        """It is over."""
        self._rooms.pop(room.tracker.name, None)

    def find(self, session_id: str) -> Room | None:
        """Return a session's room; None if it does not run here."""
        return self._rooms.get(session_id)


def message(text: str) -> bytes:
    """Return a line of the service for a terminal."""
    return f"\r\nTeleport > {text}\r\n".encode(errors="replace")
