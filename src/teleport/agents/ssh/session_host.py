"""What one session may do and has recorded: it starts under its own grant, is announced before its client sees
anything of it, and leaves a record of its beginning and end.

What is here: the order of recording, tracker and audit around a session; what can go on at the same time does. What
is not: its bytes (`session`), and who may have one (`connection`).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, Protocol

from teleport.access.action import Channel
from teleport.access.checker import Grant
from teleport.agents.ssh import audit
from teleport.agents.ssh.authority import Authority
from teleport.agents.ssh.enhanced.observer import Observer
from teleport.agents.ssh.enhanced.story import Enhanced
from teleport.agents.ssh.event_bursts import EventBursts
from teleport.agents.ssh.joining import Room, Rooms
from teleport.agents.ssh.listeners import Listener
from teleport.agents.ssh.recorder import Facts, Recorder, Tape, Watcher
from teleport.agents.ssh.scp_command import ScpCommand, find_scp
from teleport.agents.ssh.session_contract import Launch
from teleport.agents.ssh.sftp_session import SftpRun
from teleport.agents.ssh.sftp_tap import SftpTap
from teleport.agents.ssh.spawner import Process
from teleport.agents.ssh.spawner_messages import VARIABLE, Exited
from teleport.agents.ssh.throttle import Throttle
from teleport.agents.ssh.tracking import Tracking
from teleport.agents.ssh.user_side import UserSide
from teleport.base.clock import Clock
from teleport.base.errors import NotSupported, TeleportError
from teleport.base.log import logger
from teleport.model.events.base import Event
from teleport.model.kinds.session_tracker import HostPolicy, Participant, SessionTracker, SessionTrackerSpec
from teleport.model.resource import Metadata
from teleport.net.ssh_x11 import X11Request
from teleport.wire.terminal import Size

log = logger("NODE")

SFTP = b"sftp"
"""Name of the subsystem, which stands where other sessions have their command."""
RESIZES = 10
"""Changes of size that one session records in the audit log a minute; its recording has every one."""
PATIENCE = 5.0
"""Seconds that a session waits at most for its announcement; the auth service may be away."""
BRIEF = 0.2
"""Seconds that a command without a terminal runs before it gets a tracker: nobody could look at a shorter one."""
COMMAND_CHARACTERS = 200
"""Longest part of a command that a tracker shows."""
SESSION_ID = "SSH_SESSION_ID"
"""Variable by which a proxy that records a session says which one it is."""
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OWN = ("SSH_", "TERM", "DISPLAY")
"""Names that the client cannot set, though the spawner would take them."""


class Owner(Protocol):
    """The connection of a session."""

    def context(self, session_id: str = "") -> audit.Context: ...

    def environment(self, session_id: str) -> dict[str, str]: ...

    async def start(self, grant: Grant, launch: Launch, environment: dict[str, str], group: str) -> Process: ...

    async def emit(self, event: Event) -> None: ...

    async def record_refusal(self, event: Event) -> None: ...

    def background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]: ...

    def used(self) -> None: ...

    def left(self, session_id: str) -> None: ...

    async def permit(self, channel: Channel, *, counted: bool = False) -> Grant: ...

    def user_side(self) -> UserSide: ...

    async def listen_agent(self, session_id: str) -> Listener: ...

    async def listen_display(self, session_id: str, wanted: X11Request) -> Listener: ...

    async def close_listener(self, listener: Listener) -> None: ...

    def end_session(self, session_id: str, reason: str, text: str) -> None: ...

    def notices(self) -> list[str]: ...


@dataclass(frozen=True)
class Keeping:
    """Where what is known of a session goes."""

    clock: Clock
    recorder: Recorder
    cluster: str
    authority: Authority
    rooms: Rooms
    """The sessions that can be joined."""
    observer: Observer | None = None
    """What its programs do; None: this node does not look."""
    elsewhere: bool = False
    """Whether a proxy records the session and has its tracker."""


class SessionHost:
    """What a session needs of its connection (`session.Host`)."""

    def __init__(self, owner: Owner, keeping: Keeping, grant: Grant, session_id: str) -> None:
        self._owner = owner
        self._keeping = keeping
        self._grant = grant
        self._id = session_id
        self._story: audit.Story | None = None
        self._tracking: Tracking | None = None
        self._room: Room | None = None
        self._announced: asyncio.Task[None] | None = None
        self._enhanced: Enhanced | None = None
        self._failed: Callable[[TeleportError], None] = lambda error: None
        self._variables_told = False
        self._listeners: list[Listener] = []
        self._offered: dict[str, str] = {}
        self._gone = False
        self._scp: ScpCommand | None = None
        self._told = EventBursts(owner.emit, keeping.clock, owner.background)
        self._resizes = Throttle(keeping.clock, limit=RESIZES, window=dt.timedelta(minutes=1))

    @property
    def id(self) -> str:
        """The session's id, in every record of it."""
        return self._id

    async def begin(self, launch: Launch, watcher: Watcher) -> Tape:
        """Begin the recording, and begin to tell of the session: `start` waits until the audit log has it. Raises what
        `Recorder.begin` raises."""
        keeping, context = self._keeping, self._owner.context(self._id)
        self._failed = watcher.failed
        self._scp = find_scp(launch.text)
        if self._scp is not None:
            await self._check_scp(self._scp, launch)
        tape = await keeping.recorder.begin(self._facts(context, launch), watcher)
        self._announce(launch, tape.mode)
        return tape

    def _announce(self, launch: Launch, mode: str) -> None:
        keeping = self._keeping
        self._story = audit.Story(
            context=self._owner.context(self._id), since=keeping.clock.now(), command=launch.text,
            size=launch.terminal.size if launch.terminal else None, mode=mode,
        )  # fmt: skip
        if keeping.elsewhere:
            return
        self._announced = self.background(self._make_known(self._story, interactive=launch.terminal is not None))

    async def _make_known(self, story: audit.Story, *, interactive: bool) -> None:
        """Tell of the session. By now its command is being started."""
        keeping = self._keeping
        self._tracking = Tracking(keeping.authority, keeping.clock, self._tracker(story))
        self._room = Room(self._tracking, self._end, interactive=interactive)
        keeping.rooms.add(self._room)
        self.background(self._tracking.begin(after=0.0 if interactive else BRIEF))
        await self._owner.emit(audit.session_started(story))

    def _end(self, reason: str, text: str) -> None:
        self._owner.end_session(self._id, reason, text)

    def room(self) -> Room | None:
        """Return what others find who join the session."""
        return self._room

    async def _check_scp(self, scp: ScpCommand, launch: Launch) -> None:
        """A command that copies files needs what SFTP needs. Raises the refusal, which is recorded."""
        try:
            await self._owner.permit("file_copy")
        except TeleportError as error:
            self._scp = None
            await self._owner.record_refusal(
                audit.scp_refused(self._owner.context(self._id), scp, launch.text, error)
            )  # fmt: skip
            raise

    async def serve_sftp(self, failed: Callable[[TeleportError], None]) -> SftpRun:
        """Have the account's files served. Raises TeleportError; the refusal is recorded."""
        context = self._owner.context(self._id)
        try:
            await self._owner.permit("file_copy")
            found = await self._owner.user_side().serve_sftp()
        except TeleportError as error:
            for event in audit.sftp_refused(context, error):
                await self._owner.record_refusal(event)
            raise
        self._announce(Launch(command=SFTP), "off")
        await self.announced()
        return SftpRun(found, SftpTap(self._told.add, context), self._owner.used, failed)

    async def sftp_over(self, failure: TeleportError | None) -> None:
        """Record the end of SFTP."""
        await self._told.flush()
        await self._owner.emit(audit.subsystem_ended(self._owner.context(self._id), SFTP.decode(), failure))
        await self.closing()
        await self.over()

    def _tracker(self, story: audit.Story) -> SessionTracker:
        context, text = story.context, " ".join(story.command.decode(errors="replace").split())
        return SessionTracker(
            version="v1", metadata=Metadata(name=self._id),
            spec=SessionTrackerSpec(
                session_id=self._id, state="running", created=story.since, server_id=context.node.name,
                host_user=context.identity.name, login=context.login, hostname=context.node.spec.hostname,
                address=context.node.spec.addr, cluster=self._keeping.cluster, interactive=story.size is not None,
                command="".join(letter for letter in text if letter.isprintable())[:COMMAND_CHARACTERS],
                host_policies=tuple(HostPolicy(name=role) for role in context.identity.roles),
                participants=(
                    Participant(id=self._id, user=context.identity.name, mode="peer", last_active=story.since),
                ),
            ),
        )  # fmt: skip

    def _facts(self, context: audit.Context, launch: Launch) -> Facts:
        node, identity = context.node, context.identity
        size = launch.terminal.size if launch.terminal else Size()
        return Facts(
            session_id=self._id, user=identity.name, login=context.login, server_id=node.name,
            hostname=node.spec.hostname, cluster=self._keeping.cluster, client=context.client,
            command=launch.text.decode(errors="backslashreplace")[: audit.COMMAND_CHARACTERS], columns=size.columns,
            rows=size.rows, interactive=launch.terminal is not None, participants=(identity.name,),
            labels=dict(node.labels_now()),
            on_failure="deny" if self._grant.options.strict_recording else "best_effort",
        )  # fmt: skip

    async def start(self, launch: Launch) -> Process:
        """Start the command under the grant, while the audit log is told of it; return when both is done, before
        which the client hears nothing of it. Raises what `Spawner.start` raises."""
        shown = launch.variables.get(SESSION_ID, self._id)
        environment = {**launch.variables, **self._owner.environment(shown), **self._offered}
        if launch.terminal is not None:
            environment["TERM"] = launch.terminal.name
        group = await self._observe(shown)
        process = await self._owner.start(self._grant, launch, environment, group)
        await self.announced()
        return process

    async def announced(self) -> None:
        """Return when the audit log has been told of the session, or after a while: it may be away."""
        if self._announced is not None:
            await asyncio.wait([self._announced], timeout=PATIENCE)

    async def take_agent(self) -> TeleportError | None:
        """Let what runs reach the client's agent; return the refusal, which is recorded."""
        return await self._take("SSH_AUTH_SOCK", self._owner.listen_agent(self._id))

    async def take_display(self, wanted: X11Request) -> TeleportError | None:
        """Let what runs reach the client's display; return the refusal, which is recorded."""
        return await self._take("DISPLAY", self._owner.listen_display(self._id, wanted))

    async def _take(self, variable: str, listening: Coroutine[Any, Any, Listener]) -> TeleportError | None:
        try:
            listener = await listening
        except TeleportError as error:
            return error
        self._listeners.append(listener)
        self._offered[variable] = listener.told.address
        if self._gone:
            self._close_listeners()
        return None

    def _close_listeners(self) -> None:
        self._gone = True
        while self._listeners:
            self.background(self._owner.close_listener(self._listeners.pop()))

    async def _observe(self, shown: str) -> str:
        """Begin to watch what the programs of the session do, which is told of as `shown`; return the control group for
        them, or nothing. A session that must be recorded does not start without. Raises Unavailable (SSH-BPF-*)."""
        observer, options = self._keeping.observer, self._grant.options
        if observer is None or not options.enhanced_recording:
            return ""
        enhanced = Enhanced(observer, self._id, self._owner.context(shown).fields(), self._owner.emit)
        try:
            await enhanced.begin(options.enhanced_recording, self._unobserved)
        except TeleportError as error:
            if options.strict_recording:
                raise
            log.warn("A session runs without enhanced recording", error=error, sid=self._id)
            return ""
        self._enhanced = enhanced
        return self._id

    def _unobserved(self, error: TeleportError) -> None:
        """Nothing sees what the session does any more."""
        if self._grant.options.strict_recording:
            self._failed(error)
        else:
            log.warn("A session goes on without enhanced recording", error=error, sid=self._id)

    async def ended(self, launch: Launch, outcome: Exited | TeleportError) -> None:
        """Record the end of a command. A shell has none of its own: its session's end says it."""
        if launch.command is not None or isinstance(outcome, TeleportError):
            await self._owner.emit(audit.command_ended(self._owner.context(self._id), launch.text, outcome))
        if self._scp is not None:
            context = self._owner.context(self._id)
            await self._owner.emit(audit.scp_ended(context, self._scp, launch.text, outcome))

    async def closing(self) -> None:
        """Record the end of the session. One that is observed has more to tell first, for which no client waits."""
        if self._enhanced is None:
            await self._tell_end()

    async def over(self) -> None:
        """Let others forget the session."""
        if self._room is not None:
            self._room.close(None)
            self._keeping.rooms.remove(self._room)
        if self._enhanced is not None:
            await self._enhanced.end()
            await self._tell_end()
        if self._tracking is not None:
            await self._tracking.end()

    async def _tell_end(self) -> None:
        if self._story is not None and self._tracking is not None:
            guests = tuple(self._room.guests) if self._room else ()
            story = replace(self._story, enhanced=self._enhanced is not None, guests=guests)
            await self._owner.emit(audit.session_ended(story, self._keeping.clock.now()))

    async def resized(self, size: Size) -> None:
        """Record another size, unless there were many lately."""
        if self._resizes.admit():
            await self._owner.emit(audit.resized(self._owner.context(self._id), size))

    async def declined_request(self, request: str, detail: str) -> TeleportError | None:
        """Record it. Variables are told of once, and to the log alone: clients send them unasked."""
        is_variable = request == "env"
        if is_variable and (self._variables_told or audit.is_locale(detail)):
            return None
        self._variables_told |= is_variable
        error = NotSupported("SSH-NOT-SUPPORTED", thing=audit.thing(request, detail))
        await self._owner.record_refusal(audit.declined(self._owner.context(self._id), error, request, detail))
        return None if is_variable else error

    def variable_wanted(self, name: str, value: str) -> bool:
        """Say whether a client may set this variable: its language, and what Teleport's own clients say. A proxy that
        records the session may name it."""
        if name == SESSION_ID:
            return self._keeping.elsewhere and _UUID.fullmatch(value) is not None
        return VARIABLE.fullmatch(name) is not None and not name.startswith(_OWN)

    def background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` to its end even if the client leaves."""
        return self._owner.background(work)

    def used(self) -> None:
        """A session has moved data."""
        self._owner.used()

    def left(self) -> None:
        """The channel is gone."""
        self._close_listeners()
        self._owner.left(self._id)

    def notices(self) -> list[str]:
        """Take the lines that wait for a session to show them."""
        return self._owner.notices()
