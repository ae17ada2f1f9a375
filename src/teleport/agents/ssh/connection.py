"""One client of the SSH Service: every decision and every record between its login and its last channel.

The transport asks (`net.ssh.Handler`), this object answers. A decision is taken anew at each channel, with
the roles and locks of that moment; its Grant goes with the session and nothing starts without one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from teleport.access.action import Channel, Connect, Join, JoinMode, Open
from teleport.access.checker import Grant
from teleport.access.denial import Denial
from teleport.access.host_users import HostUser, Prevented, host_user
from teleport.access.roleset import RoleSet
from teleport.access.rules import user_data
from teleport.agents.ssh import audit
from teleport.agents.ssh.authority import Authority
from teleport.agents.ssh.cuts import Cuts, Standing
from teleport.agents.ssh.decisions import Decisions
from teleport.agents.ssh.ends import Ends, Watch
from teleport.agents.ssh.enhanced.observer import Observer
from teleport.agents.ssh.forwards import Forwards
from teleport.agents.ssh.guest import SEATS, GuestSession
from teleport.agents.ssh.joining import Rooms
from teleport.agents.ssh.leases import Leases
from teleport.agents.ssh.leases import Place as Lease
from teleport.agents.ssh.listeners import Listener, Listeners
from teleport.agents.ssh.local_account import LocalAccount
from teleport.agents.ssh.recorder import NoRecorder, Recorder
from teleport.agents.ssh.session import ProcessSession
from teleport.agents.ssh.session_contract import Launch, LiveSession
from teleport.agents.ssh.session_host import Keeping, SessionHost
from teleport.agents.ssh.spawner import Process, Spawner
from teleport.agents.ssh.switches import Switches
from teleport.agents.ssh.throttle import Throttle
from teleport.agents.ssh.user_side import UserSide
from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy, new_id, new_uuid
from teleport.base.errors import (
    AccessDenied,
    Internal,
    LimitExceeded,
    NotSupported,
    TeleportError,
    Unavailable,
)
from teleport.base.log import logger
from teleport.model.events.base import Event
from teleport.model.events.enhanced import ProgramEvent
from teleport.model.events.host_user import HostUserCreate
from teleport.model.events.session import ClientDisconnect, SessionRejected
from teleport.model.identity import Identity
from teleport.model.kinds.session_tracker import SessionTracker
from teleport.model.login import JOIN, is_login
from teleport.net.ssh import Place, Refusal, ServerConnection
from teleport.net.ssh_channel import Session
from teleport.net.ssh_stream import StreamSession
from teleport.net.ssh_x11 import X11Request
from teleport.pki.check import check_carried, check_user
from teleport.pki.ssh import SSHCertificate

log = logger("NODE")

LINGER = 2.0
"""Seconds that the client of a connection that is cut has to close its sessions."""
RECORDED_REFUSALS = 64
"""Refused channels and requests of one connection that are recorded one by one; the rest is counted."""
TOLD_HERE = (ProgramEvent, HostUserCreate)
"""What happens on this machine alone: of these, nobody else could tell."""
_LOGIN = "PKI-LOGIN-NOT-IN-PRINCIPALS"


@dataclass(frozen=True)
class World:
    """What all connections of a service share."""

    clock: Clock
    entropy: Entropy
    authority: Authority
    spawner: Spawner | None
    """Starts commands on this machine; None where `sessions` run them elsewhere."""
    cluster: str
    strangers: Throttle
    """Bounds the records that callers whose certificate means nothing here can cause."""
    ends: Callable[[], Ends]
    """What the cluster's settings say at the moment."""
    cuts: Cuts
    recorder: Recorder
    switches: Switches
    leases: Leases
    observer: Observer | None = None
    """What programs of sessions do; None: this node does not look."""
    host_users: bool = False
    """Whether accounts may be made for logins."""
    rooms: Rooms = field(default_factory=Rooms)
    """The sessions that run, for those who join them."""
    web_address: str = ""
    """Where the cluster's web application is, `host:port`; empty: not known here."""
    sessions: Callable[[SessionHost], LiveSession] = ProcessSession
    """Makes what runs a session: a process of this machine."""
    user_side: UserSide | None = None
    """What is done for the client elsewhere; None: by a helper of this machine."""


class ClientConnection:
    """The service's half of one connection."""

    def __init__(self, world: World, ssh: ServerConnection) -> None:
        self._world = world
        self._ssh = ssh
        self._refusals = 0
        self._sessions: dict[str, LiveSession] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._roles: RoleSet | None = None
        self._ended = ""
        self._place: Lease | None = None
        self._placing = asyncio.Lock()
        self._emptied = asyncio.Event()
        self._account = LocalAccount(world.spawner, ssh, self._host_user, self._host_user_made)
        self._forwards = Forwards(self)
        self._listeners = Listeners(self, self._forwards)
        self._decisions = Decisions(world.authority, world.clock, world.cluster, world.switches, self._looked_up)
        self._watch = Watch(world.ends(), world.clock, self.cut, self.warn, self.failed)

    # -- authentication -----------------------------------------------------------------------------------

    async def authorize(self, identity: Identity, login: str) -> None:
        """Everything else is decided at each channel, so that the client can be told why. Only the internal
        principals that every certificate has (they start with a hyphen) are no accounts at all; one joins sessions."""
        check_carried(identity, self._world.authority.node().name if self._world.spawner is not None else "")
        if not is_login(login) and login != JOIN:
            raise AccessDenied(_LOGIN, user=identity.name, login=login[:80])
        if not identity.recorded_by:  # the proxy knows when the user's own certificate ends, and who sits there
            await self._watch.begin(identity.expires)
        await self._hold_to(await self._world.authority.role_set(identity))
        self._world.cuts.join(self)

    async def _looked_up(self, roles: RoleSet) -> None:
        if self._ssh.identity is not None:
            await self._hold_to(roles)

    async def _hold_to(self, roles: RoleSet) -> None:
        """Remember the roles of the last decision: they say when the connection ends, and whom locks meet."""
        held = frozenset(self._ssh.identity.roles) if self._ssh.identity else frozenset()
        if self._roles is None or held <= roles.names:  # with one missing, locks on it would meet nobody
            self._roles = roles
        await self._watch.change(self._world.ends().with_roles(roles.options))

    def standing(self) -> Standing | None:
        """Return whose connection it is; None before somebody is let in, and once it is being ended."""
        if self._ssh.identity is None or self._roles is None or self._ended:
            return None
        ssh = self._ssh
        return Standing(self._ssh.identity, self._roles, ssh.login, ssh.client, ssh.client_ip)

    def cut(self, reason: str, text: str) -> None:
        """End the connection with a word: in each session, or as its last message where there is none."""
        if self._ended or self._ssh.identity is None:
            return
        self._ended = reason
        self._forwards.end()
        for session in list(self._sessions.values()):
            session.end(text)
        self.background(self._part(reason, text))

    async def _part(self, reason: str, text: str) -> None:
        """Record the end, and give the client a moment to take what its sessions were told."""
        self.background(self.emit(ClientDisconnect(reason=reason, **self.context().fields())))
        try:
            async with asyncio.timeout(LINGER):
                while self._sessions:
                    self._emptied.clear()
                    await self._emptied.wait()
        except TimeoutError:
            pass
        self._ssh.end(text)

    async def refused(self, error: TeleportError, certificate: SSHCertificate, login: str) -> TeleportError:
        """Record a refusal in authentication; the id of the decision is the one to show."""
        client, world = self._ssh.client, self._world
        error.id = new_id(world.entropy)
        try:
            if error.code == _LOGIN:
                identity = self._identity_of(certificate)
                denial = await self._decisions.decide(identity, Connect(login), self._ssh.client_ip)
                if isinstance(denial, Denial):
                    error.id = await world.authority.record_denial(denial, identity, client)
            elif not world.strangers.admit():
                log.warn("login refused", error=error, client=client, login=login, user=certificate.key_id)
                return error
            await world.authority.emit(
                audit.login_refused(
                    error, user=certificate.key_id, login=login, client=client, local=self._ssh.local,
                    node=world.authority.node(),
                )
            )  # fmt: skip
        except TeleportError as failure:
            log.error("a refused login was not recorded", error=failure, id=error.id, client=client, login=login)
        return error

    def _identity_of(self, certificate: SSHCertificate) -> Identity:
        """The identity of a certificate whose only fault is the login asked for."""
        return check_user(
            certificate.blob, proven_key=certificate.key, login=certificate.principals[0],
            authorities=self._world.authority.authorities(), now=self._world.clock.now(),
            source_ip=self._ssh.client_ip, cluster=self._world.cluster,
        )  # fmt: skip

    @property
    def _elsewhere(self) -> bool:
        """Whether a proxy has ended the user's connection, and so records and tells of it."""
        return self._ssh.identity is not None and self._ssh.identity.recorded_by != ""

    # -- channels -----------------------------------------------------------------------------------------

    async def open_session(self) -> Session:
        """Decide, with what holds now, whether the client may have a session; on joining one, when it is named."""
        if self._ssh.login == JOIN:
            return await self._open_seat()
        decision = await self._granted(Connect(self._ssh.login))
        await self._check_room(decision.options.max_sessions)
        self._account.begin()
        id = new_uuid(self._world.entropy)
        world, elsewhere = self._world, self._elsewhere
        recorder = NoRecorder() if elsewhere else world.recorder
        cluster, rooms = world.cluster, world.rooms
        keeping = Keeping(world.clock, recorder, cluster, world.authority, rooms, world.observer, elsewhere)
        self._sessions[id] = world.sessions(SessionHost(self, keeping, decision, id))
        return self._sessions[id]

    async def _open_seat(self) -> Session:
        await self._check_room((self._roles.options.max_sessions if self._roles else 0) or SEATS)
        id = new_uuid(self._world.entropy)
        self._sessions[id] = GuestSession(self, self._world.rooms, self._world.clock, id)
        return self._sessions[id]

    async def permit_join(self, tracker: SessionTracker, mode: JoinMode) -> None:
        """See guest.Owner. Raises what `_granted` raises."""
        await self._granted(Join(mode), tracker)

    async def permit(self, channel: Channel, *, counted: bool = False) -> Grant:
        """See forwards.Owner."""
        grant = await self._granted(Open(self._ssh.login, channel))
        if counted:
            await self._check_room(grant.options.max_sessions)
        return grant

    async def _granted(self, action: Connect | Join | Open, target: SessionTracker | None = None) -> Grant:
        """Decide on a channel. Raises the refusal, with the id of its record, and Unavailable (SSH-ENDED)."""
        identity, _ = self.who()
        grant = await self._decisions.demand(identity, action, self._ssh.client_ip, self._ssh.client, target)
        if self._ended:
            raise Unavailable("SSH-ENDED", reason=self._ended)
        await self._take_place(grant.options.max_connections)
        return grant

    async def open_direct(self, host: str, port: int) -> StreamSession:
        """See net.ssh.Forwards."""
        return await self._forwards.direct(Place(host, port))

    async def open_direct_unix(self, path: str) -> StreamSession:
        """See net.ssh.Listens."""
        return await self._forwards.direct(Place(path=path))

    async def listen(self, place: Place) -> int:
        """See net.ssh.Listens."""
        return await self._listeners.listen(place)

    async def unlisten(self, place: Place) -> bool:
        """See net.ssh.Listens."""
        return await self._listeners.unlisten(place)

    async def open_outward(self, session: StreamSession, kind: bytes, *parts: bytes) -> None:
        """See net.ssh_doors.Doors.open_outward."""
        await self._ssh.open_outward(session, kind, *parts)

    async def _take_place(self, most: int) -> None:
        """Take the connection's place in the cluster, once. Raises LimitExceeded (SSH-LIMIT-CONNECTIONS) when as many
        connections are open as the roles allow, Unavailable (SSH-LEASE)."""
        async with self._placing:
            if most <= 0 or self._place is not None or self._elsewhere:
                return
            try:
                self._place = await self._world.leases.take(self.who()[0].name, most, self._place_lost)
            except LimitExceeded:
                event = SessionRejected(reason="max_connections", max=most, **self.context().fields())
                await self.record_refusal(event)
                raise
            if self._ended:
                raise Unavailable("SSH-ENDED", reason=self._ended)

    def _place_lost(self, error: TeleportError) -> None:
        self.cut("max_connections", f"{error.what}; {error.fix}")

    async def _check_room(self, most: int) -> None:
        """Raise LimitExceeded (SSH-LIMIT-SESSIONS) when the client has opened as many channels as the roles allow."""
        if 0 < most <= len(self._sessions) + self._forwards.opened:
            event = SessionRejected(reason="max_sessions", max=most, **self.context().fields())
            await self.record_refusal(event)
            raise LimitExceeded("SSH-LIMIT-SESSIONS", limit=most)

    async def declined(self, refusal: Refusal) -> TeleportError:
        """Channels of other types and requests of the whole connection: none is there in this build."""
        thing = audit.thing(refusal.kind, refusal.detail)
        error = NotSupported("SSH-NOT-SUPPORTED", thing=thing)
        await self.record_refusal(audit.declined(self.context(), error, refusal.kind, refusal.detail))
        return error

    async def not_let_through(self, kind: str, error: TeleportError) -> None:
        """Record that the server behind the connection opened a channel to the client, which was refused."""
        await self.record_refusal(audit.not_forwarded(audit.Forwarding(self.context(), kind, ""), error))

    async def record_refusal(self, event: Event, *, seen_here: bool = False) -> None:
        """Record that something was not accepted. A client cannot fill the log by asking on and on. What was refused
        where no proxy sees it (`seen_here`) is told in any case."""
        self._refusals += 1
        if self._refusals <= RECORDED_REFUSALS:
            await (self._write if seen_here else self.emit)(event)
        elif self._refusals == RECORDED_REFUSALS + 1:
            log.warn("further refusals on this connection are only counted", client=self._ssh.client)

    async def emit(self, event: Event) -> None:
        """Write an audit event; what it tells of has happened, so a failure is logged and not raised. Of a connection
        that a proxy records, the proxy tells all that it sees."""
        if not self._elsewhere or isinstance(event, TOLD_HERE):
            await self._write(event)

    async def _write(self, event: Event) -> None:
        try:
            await self._world.authority.emit(event)
        except TeleportError as error:
            log.error("an audit event was not written", error=error, event=type(event).__name__)

    def failed(self, error: BaseException) -> None:
        """A defect: the connection is closed by the transport."""
        log.error("a connection failed", error=error, client=self._ssh.client)

    def end_session(self, session_id: str, reason: str, text: str) -> None:
        """End one session of the connection with a word, if it is here."""
        session = self._sessions.get(session_id)
        if session is not None and not session.ending:
            self.background(self.emit(ClientDisconnect(reason=reason, **self.context(session_id).fields())))
            session.end(text)

    def warn(self, text: str) -> bool:
        """Tell whoever sits at a terminal of the connection; say whether somebody does."""
        heard = [session.warn(text) for session in list(self._sessions.values())]
        return any(heard)

    # -- for sessions -------------------------------------------------------------------------------------

    def background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` to its end even if the client leaves."""
        task = tasks.spawn(work, name="ssh-session", on_error=self.failed)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def settle(self) -> None:
        """Return when everything that was begun has been ended and recorded."""
        self._world.cuts.leave(self)
        await self._watch.stop()
        self._forwards.end()
        await self._listeners.end()
        while self._background:
            await asyncio.wait(self._background)
        await self._account.close()
        if self._place is not None:
            await self._world.leases.give_back(self._place)
        if self._refusals > RECORDED_REFUSALS:
            log.warn("refusals not recorded one by one", client=self._ssh.client, count=self._refusals)

    def used(self) -> None:
        """A session has moved data."""
        self._watch.used()

    def notices(self) -> list[str]:
        """Take the lines that wait for a session to show them."""
        lines, self._ssh.notices = self._ssh.notices, []
        return lines

    def client_address(self) -> str:
        """Return the client's own address."""
        return self._ssh.client

    async def listen_agent(self, session_id: str) -> Listener:
        """Listen for the agent of the client in a session."""
        return await self._listeners.agent(session_id)

    async def listen_display(self, session_id: str, wanted: X11Request) -> Listener:
        """Listen for the display of the client in a session."""
        switches = self._world.switches
        return await self._listeners.display(
            session_id, wanted, offset=switches.display_offset, most=switches.display_most
        )  # fmt: skip

    async def close_listener(self, listener: Listener) -> None:
        """A session is over, and with it what listened for it."""
        await self._listeners.close(listener)

    def left(self, session_id: str) -> None:
        """The channel of a session is gone."""
        self._sessions.pop(session_id, None)
        self._emptied.set()

    async def start(self, grant: Grant, launch: Launch, environment: dict[str, str], group: str) -> Process:
        """Start a command or shell under the grant of its session."""
        return await self._account.start(grant, launch, environment, group)

    def user_side(self) -> UserSide:
        """Return what is done for the client as its login."""
        return self._world.user_side or self._account.side

    def _host_user(self) -> HostUser | Prevented | None:
        """Return the account that the roles want made here; None where none is made."""
        identity, _ = self.who()
        if not self._world.host_users or self._roles is None:
            return None
        labels = self._world.authority.node().labels_now()
        return host_user(self._roles, labels, user_data(identity, self._roles.traits))

    async def _host_user_made(self, made: HostUser) -> None:
        await self.emit(
            HostUserCreate(mode=made.mode, groups=made.groups, sudoers=made.sudoers, **self.context().fields())
        )

    def environment(self, session_id: str) -> dict[str, str]:
        """Facts of the session for the command: nothing of it comes from the client but its address."""
        identity, _ = self.who()
        host, _, port = self._ssh.client.rpartition(":")
        own_host, _, own_port = self._ssh.local.rpartition(":")
        host, own_host = host.strip("[]"), own_host.strip("[]")
        found = {
            "SSH_TELEPORT_USER": identity.name,
            "SSH_TELEPORT_HOST_UUID": self._world.authority.node().name,
            "SSH_TELEPORT_CLUSTER_NAME": self._world.cluster,
            "SSH_SESSION_ID": session_id,
        }
        if self._world.web_address:
            found["SSH_SESSION_WEBPROXY_ADDR"] = self._world.web_address
        if host and own_host:
            found["SSH_CLIENT"] = f"{host} {port} {own_port}"
            found["SSH_CONNECTION"] = f"{host} {port} {own_host} {own_port}"
        return found

    def context(self, session_id: str = "") -> audit.Context:
        """Return what every event of this connection, or of one of its sessions, carries."""
        identity, login = self.who()
        return audit.Context(
            identity=identity, login=login, client=self._ssh.client, local=self._ssh.local,
            node=self._world.authority.node(), sid=session_id,
        )  # fmt: skip

    def who(self) -> tuple[Identity, str]:
        """Return who authenticated and for which account."""
        if self._ssh.identity is None:
            raise Internal("SSH-INTERNAL")
        return self._ssh.identity, self._ssh.login
