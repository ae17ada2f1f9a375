"""One participant in the session of somebody else: a channel that shows a terminal, and types at it or not.

Whoever signs in with the login for joining (`model.login.JOIN`) names the session and the mode in variables of a
session channel and asks for a shell. Nothing is started for them: no account is entered, and no other request is
granted. Where the client reads too slowly, what the terminal shows meanwhile is skipped, and they are told how much.

Not here: who may (`access.joining`) and what is shown (`joining`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Mapping
from typing import Any, Protocol

from teleport.access.action import JoinMode
from teleport.access.joining import MODES
from teleport.agents.ssh import audit
from teleport.agents.ssh.joining import Room, Rooms, message
from teleport.agents.ssh.session import NOT_STARTED, report
from teleport.agents.ssh.session_contract import LiveSession
from teleport.agents.ssh.session_host import PATIENCE
from teleport.agents.ssh.spawner_messages import Exited
from teleport.base.clock import Clock
from teleport.base.errors import BadParameter, NotSupported, TeleportError
from teleport.base.escape import escape
from teleport.model.events.base import Event
from teleport.model.kinds.session_tracker import SessionTracker, SessionTrackerSpec
from teleport.model.login import JOIN_MODE, JOIN_SESSION
from teleport.model.resource import Metadata
from teleport.net.ssh import one_line
from teleport.net.ssh_channel import SessionChannel
from teleport.wire.terminal import Terminal

SEATS = 10
"""Sessions that one connection may take part in at one time."""
QUEUE = 256 * 1024
"""Bytes that wait for a client that does not read; what is shown beyond them is skipped."""
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LEAVE, _END = b"\x03", b"t"
_KEYS: Mapping[JoinMode, bytes] = {"observer": _LEAVE, "moderator": _LEAVE + _END, "peer": b""}


class Owner(Protocol):
    """The connection of a participant."""

    def context(self, session_id: str = "") -> audit.Context: ...

    async def permit_join(self, tracker: SessionTracker, mode: JoinMode) -> None: ...

    async def emit(self, event: Event) -> None: ...

    async def record_refusal(self, event: Event) -> None: ...

    def background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]: ...

    def used(self) -> None: ...

    def left(self, session_id: str) -> None: ...

    def notices(self) -> list[str]: ...


class GuestSession(LiveSession):
    """A seat in a session (`joining.Seat`)."""

    def __init__(self, owner: Owner, rooms: Rooms, clock: Clock, id: str) -> None:
        """`id` is the channel's own."""
        self.id = id
        self.user = owner.context().identity.name
        self.mode: JoinMode = "observer"
        self._owner, self._rooms, self._clock = owner, rooms, clock
        self._channel: SessionChannel | None = None
        self._asked: dict[str, str] = {}
        self._room: Room | None = None
        self._seat_told: audit.Seat | None = None
        self._seated = self._over = False
        self._holds: set[str] = set()
        self._waiting = bytearray()
        self._skipped = 0

    # -- from the channel ---------------------------------------------------------------------------------

    def connection_made(self, chan: Any) -> None:
        self._channel = chan
        super().connection_made(chan)

    def terminal_wanted(self, terminal: Terminal) -> bool:
        """The client's own is as good as any: nothing runs for it."""
        return True

    def variable_wanted(self, name: str, value: str) -> bool:
        taken = name in (JOIN_MODE, JOIN_SESSION)
        if taken:
            self._asked[name] = value
        return taken

    async def declined(self, request: str, detail: str) -> None:
        if request != "env":
            await self._decline(request, detail)

    async def _decline(self, request: str, detail: str) -> None:
        error = NotSupported("SSH-JOIN-ONLY", thing=audit.thing(request, detail))
        await self._owner.record_refusal(audit.declined(self._owner.context(), error, request, detail))
        self._complain(error)

    async def run(self, command: bytes | None) -> bool:
        await asyncio.wait([self._owner.background(self._ask(command))])
        return True

    async def _ask(self, command: bytes | None) -> None:
        for line in self._owner.notices():
            self._write(f"{line}\r\n".encode(errors="replace"), 1)
        if command is not None:
            await self._decline("exec", "")
            return
        try:
            self._room = await self._permitted()
        except TeleportError as error:
            self._complain(error)
            return
        self._seat_told = audit.Seat(self._owner.context(), self._room.tracker, self.mode)
        telling = self._owner.background(self._owner.emit(audit.joined(self._seat_told)))
        await asyncio.wait([telling], timeout=PATIENCE)
        if self._channel is None:  # the client has left meanwhile: nobody will say that it was answered
            self.session_started()

    async def _permitted(self) -> Room:
        """Return the session that is meant, if it may be joined. One that is not there is refused like one that the
        client may not know of. Raises TeleportError."""
        id, mode = self._asked.get(JOIN_SESSION, ""), self._asked.get(JOIN_MODE) or "observer"
        if _ID.fullmatch(id) is None:
            raise BadParameter("SSH-JOIN-SESSION", session=ascii(id[:80]), variable=JOIN_SESSION)
        known = [each for each in MODES if each == mode]
        if not known:
            raise BadParameter("SSH-JOIN-MODE", mode=ascii(mode[:40]), known=", ".join(MODES))
        room = self._rooms.find(id)
        self.mode = known[0]
        await self._owner.permit_join(self._absent(id) if room is None else room.tracker, self.mode)
        if room is None:
            raise BadParameter("SSH-JOIN-SESSION", session=ascii(id), variable=JOIN_SESSION)
        room.check()
        return room

    def _absent(self, id: str) -> SessionTracker:
        server = self._owner.context().node.name
        return SessionTracker(
            version="v1", metadata=Metadata(name=id), spec=SessionTrackerSpec(session_id=id, server_id=server)
        )  # fmt: skip

    def session_started(self) -> None:
        room = self._room
        try:
            if room is not None and self._channel is not None and not self._over:
                room.check()
                self._take_seat(room)
                return
        except TeleportError as error:
            self._complain(error)
        self._leave(NOT_STARTED)

    def _take_seat(self, room: Room) -> None:
        self._seated = True
        self._write(_greeting(room, self.mode), None)
        room.enter(self, self._clock.now())
        self._owner.background(room.track())

    def data_received(self, data: bytes, datatype: Any) -> None:
        self._owner.used()
        if not self._seated or self._room is None:
            return
        if self.mode == "peer":
            self._room.typed(data)
            return
        key = next((key for each in data if (key := bytes([each])) in _KEYS[self.mode]), b"")
        if key == _LEAVE:
            self._leave(0)
        elif key == _END:
            self._room.terminate(self)

    def eof_received(self) -> bool:
        """The client types no more; it still looks on."""
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._channel = None
        self._owner.left(self.id)
        self._leave(NOT_STARTED)

    # -- from the room (`joining.Seat`) -------------------------------------------------------------------

    def show(self, data: bytes) -> None:
        self._owner.used()
        if not self._holds:
            self._write(data, None)
        elif self._skipped or len(self._waiting) + len(data) > QUEUE:
            self._skipped += len(data)
        else:
            self._waiting += data

    def crowded(self, crowded: bool) -> None:
        if self._channel is not None and self.mode == "peer":
            (self._channel.pause_reading if crowded else self._channel.resume_reading)()

    def over(self, outcome: Exited | None) -> None:
        self._flush()
        self._leave(outcome)

    # -- flow ---------------------------------------------------------------------------------------------

    def hold(self, reason: str) -> None:
        self._holds.add(reason)

    def release(self, reason: str) -> None:
        self._holds.discard(reason)
        if not self._holds:
            self._flush()

    def _flush(self) -> None:
        """Write what waited, and say what did not."""
        waiting, skipped = bytes(self._waiting), self._skipped
        self._waiting.clear()
        self._skipped = 0
        self._write(waiting, None)
        if skipped:
            self._write(message(f"You read too slowly: {skipped} bytes of output were skipped."), None)

    def _write(self, data: bytes, kind: int | None) -> None:
        if data and self._channel is not None and not self._channel.is_closing():
            self._channel.write(data, kind)

    def _complain(self, error: TeleportError) -> None:
        self._write(f"{one_line(error)}\r\n".encode(errors="replace"), 1)

    # -- ends ---------------------------------------------------------------------------------------------

    def warn(self, text: str) -> bool:
        """Say that the connection is about to end."""
        heard = self._seated and not self._over
        if heard:
            self._write(f"\r\n{text}\r\n".encode(errors="replace"), None)
        return heard

    def end(self, text: str) -> None:
        """The server ends this participation, not the session."""
        if not self._over:
            self._write(f"\r\n{text}\r\n".encode(errors="replace"), None)
            self._leave(NOT_STARTED)

    @property
    def ending(self) -> bool:
        """Whether it has ended."""
        return self._over

    def _leave(self, outcome: Exited | int | None) -> None:
        """Take part no longer: tell the others, the record and the client."""
        if not self._over:
            self._over = True
            if self._seat_told is not None:
                self._owner.background(self._owner.emit(audit.left(self._seat_told)))
            if self._room is not None and self._seated:
                self._room.leave(self)
                self._owner.background(self._room.track())
        if self._channel is not None:
            report(self._channel, outcome)


def _greeting(room: Room, mode: JoinMode) -> bytes:
    """Say whose session it is, and which keys mean something."""
    spec, size = room.tracker.spec, room.size
    lines = [
        f"Joining the session of {escape(spec.host_user)} on {escape(spec.hostname)} as {mode}; "
        f"their window is {size.columns}x{size.rows}.",
    ]
    if mode == "peer":
        return message(lines[0])
    keys = ["  - CTRL-C: Leave the session"]
    if mode == "moderator":
        keys.append("  - t: Forcefully terminate the session (moderators only)")
    return message(lines[0]) + "\r\n".join(["Teleport > Controls", *keys, ""]).encode()
