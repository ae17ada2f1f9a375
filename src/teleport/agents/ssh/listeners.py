"""What listens on the node for one client: forwarded ports and unix sockets (RFC 4254 §7.1, OpenSSH's PROTOCOL §2.4),
its agent and its displays. Whoever connects is led to the client through a channel of ours.

Ports are on loopback alone, whatever address the client names (OpenSSH's `GatewayPorts no`): on `::1` for that address,
on `127.0.0.1` for every other. The client is told its own words again, by which it knows what it asked for.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asyncssh.packet import String, UInt32

from teleport.access.action import Channel
from teleport.agents.ssh import audit
from teleport.agents.ssh.forwards import Forwards, Owner
from teleport.agents.ssh.passage import Passage
from teleport.agents.ssh.user_side import Listening, Source
from teleport.base import tasks
from teleport.base.errors import LimitExceeded, TeleportError, Unavailable
from teleport.base.log import logger
from teleport.net.socket_stream import SocketStream
from teleport.net.ssh import Place
from teleport.net.ssh_stream import StreamSession
from teleport.net.ssh_x11 import X11Request
from teleport.net.stream import Peer

log = logger("NODE")

LISTENERS = 32
"""Listeners of one connection, those for its agent and displays included."""
PENDING = 16
"""Accepted connections for which the client has not yet opened its channel; more wait in the system's queue."""
RETRY = 1.0
"""Seconds until the next try to accept when the system had no descriptor left."""
LISTEN_TCP, LISTEN_UNIX = "tcpip-forward", "streamlocal-forward@openssh.com"
AGENT, X11 = "auth-agent@openssh.com", "x11"


@dataclass
class Listener:
    """Something that listens for the client, at one place or several."""

    told: audit.Forwarding
    channel: Channel
    outward: Callable[[str], tuple[bytes, ...]]
    """Kind and parameters of a channel to the client, from the address of who was accepted."""
    sockets: Sequence[Listening]
    told_each: bool = False
    """Whether each connection has records of its own."""
    once: bool = False
    """Whether it ends with the first connection."""
    connections: int = 0
    sent: int = 0
    received: int = 0
    accepting: list[asyncio.Task[None]] = dataclasses.field(default_factory=list)


class Listeners:
    """Everything that listens for one connection."""

    def __init__(self, owner: Owner, forwards: Forwards) -> None:
        self._owner = owner
        self._forwards = forwards
        self._open: list[Listener] = []
        self._places: dict[Place, Listener] = {}
        self._opening = 0
        self._pending = asyncio.Semaphore(PENDING)
        self._over = False

    # -- ports and sockets --------------------------------------------------------------------------------

    async def listen(self, place: Place) -> int:
        """See net.ssh_handler.Listens."""
        kind = LISTEN_UNIX if place.path else LISTEN_TCP
        told = audit.Forwarding(self._owner.context(), kind, str(place))
        async with self._slot("remote_forward", told):
            side = self._owner.user_side()
            if place.path:
                found = await side.listen_unix(place.path)
            else:
                found = await side.listen_tcp(_loopback(place.host), place.port)
            place = dataclasses.replace(place, port=found.port)
            told = dataclasses.replace(told, address=str(place))
            outward = _to_unix(place.path) if place.path else _to_port(place)
            self._places[place] = self._start(Listener(told, "remote_forward", outward, (found,), told_each=True))
        await self._owner.emit(audit.forwarded(told))
        return found.port

    async def unlisten(self, place: Place) -> bool:
        """See net.ssh_handler.Listens. Connections that were accepted go on."""
        listener = self._places.pop(place, None)
        if listener is None:
            return False
        await self.close(listener)
        return True

    # -- of a session -------------------------------------------------------------------------------------

    async def agent(self, session_id: str) -> Listener:
        """Listen for the client's agent. Raises TeleportError; the refusal is recorded."""
        told = audit.Forwarding(self._owner.context(session_id), AGENT, "agent")
        async with self._slot("agent", told):
            found = await self._owner.user_side().listen_agent(session_id)
            told = dataclasses.replace(told, address=found.path or told.address)
            listener = self._start(Listener(told, "agent", lambda origin: (AGENT.encode(),), (found,)))
        await self._owner.emit(audit.forwarded(told))
        return listener

    async def display(self, session_id: str, wanted: X11Request, *, offset: int, most: int) -> Listener:
        """Listen for programs that want the client's display, and return the listener; its address is the value of
        DISPLAY. Raises TeleportError; the refusal is recorded."""
        told = audit.Forwarding(self._owner.context(session_id), X11, "")
        async with self._slot("x11", told):
            found = await self._owner.user_side().open_display(session_id, wanted, offset=offset, most=most)
            told = dataclasses.replace(told, address=found.name)
            listener = self._start(
                Listener(told, "x11", _to_display, found.listening, once=wanted.single_connection)
            )  # fmt: skip
        await self._owner.emit(audit.forwarded(told))
        return listener

    # -- all ----------------------------------------------------------------------------------------------

    def _slot(self, channel: Channel, told: audit.Forwarding) -> _Slot:
        return _Slot(self, channel, told)

    async def admit(self, channel: Channel) -> None:
        """Decide on one more listener. Raises what `Owner.permit` raises, and LimitExceeded (SSH-LIMIT-LISTENERS)."""
        await self._owner.permit(channel)
        if len(self._open) + self._opening >= LISTENERS:
            raise LimitExceeded("SSH-LIMIT-LISTENERS", limit=LISTENERS)
        self._opening += 1

    def admitted(self) -> None:
        """It listens, or does not."""
        self._opening -= 1

    async def refused(self, told: audit.Forwarding, error: TeleportError) -> None:
        """Record that somebody may not listen, or that it failed."""
        await self._owner.record_refusal(audit.not_forwarded(told, error))

    def _start(self, listener: Listener) -> Listener:
        if self._over:
            for each in listener.sockets:
                each.source.close()
            raise Unavailable("SSH-ENDED", reason="it has ended")
        self._open.append(listener)
        for each in listener.sockets:
            work = self._accept(listener, each.source)
            listener.accepting.append(tasks.spawn(work, name="ssh-accept", on_error=self._failed))
        return listener

    def _failed(self, error: BaseException) -> None:
        log.error("A listener of a client has ended", error=error, client=self._owner.client_address())

    async def close(self, listener: Listener) -> None:
        """Listen no more, and record it. Connections that were accepted go on."""
        if listener not in self._open:
            return
        self._open.remove(listener)
        for task in listener.accepting:
            await tasks.cancel(task)
        for each in listener.sockets:
            each.source.close()
        for each in listener.sockets:
            await self._owner.user_side().forget(each)
        await self._owner.emit(
            audit.no_longer_forwarded(listener.told, listener.sent, listener.received, listener.connections)
        )  # fmt: skip

    async def end(self) -> None:
        """The connection is over: nothing listens any more."""
        self._over = True
        for listener in list(self._open):
            await self.close(listener)

    async def _accept(self, listener: Listener, source: Source) -> None:
        while True:
            try:
                found, origin = await source.accept()
            except OSError as error:
                log.warn("A connection for a client was not accepted", problem=error.strerror)
                await asyncio.sleep(RETRY)
                continue
            except TeleportError as error:
                await self._owner.record_refusal(audit.not_forwarded(listener.told, error))
                continue
            try:
                await self._pending.acquire()
            except BaseException:
                found.close()
                raise
            listener.connections += 1
            self._owner.background(self._lead(listener, SocketStream(found), origin))
            if listener.once:
                self._owner.background(self.close(listener))
                return

    async def _lead(self, listener: Listener, found: SocketStream, origin: str) -> None:
        """Decide on a connection that was accepted, and lead it to the client."""
        outward = listener.outward(origin)
        told = dataclasses.replace(listener.told, kind=outward[0].decode(), origin=origin)
        session = StreamSession(Peer(address=self._owner.client_address()), direct=True)
        try:
            await self._owner.permit(listener.channel)
            await self._owner.open_outward(session, *outward)
        except TeleportError as error:
            found.reset()
            seen_here = error.code != "SSH-CLIENT-REFUSED"  # that one was refused at the other end of the connection
            await self._owner.record_refusal(audit.not_forwarded(told, error), seen_here=seen_here)
            return
        finally:
            self._pending.release()
        passage = self._forwards.join(session, found)
        if listener.told_each:
            await self._owner.emit(audit.forwarded(told))
        await self._forwards.carry(passage)
        self._count(listener, passage)
        if listener.told_each:
            await self._owner.emit(audit.no_longer_forwarded(told, passage.sent, passage.received))

    def _count(self, listener: Listener, passage: Passage) -> None:
        listener.sent += passage.sent
        listener.received += passage.received


class _Slot:
    """Around the opening of a listener: decided and counted before, recorded if it is refused or fails."""

    def __init__(self, listeners: Listeners, channel: Channel, told: audit.Forwarding) -> None:
        self._listeners, self._channel, self._told = listeners, channel, told

    async def __aenter__(self) -> None:
        try:
            await self._listeners.admit(self._channel)
        except TeleportError as error:
            await self._listeners.refused(self._told, error)
            raise

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._listeners.admitted()
        if isinstance(error, TeleportError):
            await self._listeners.refused(self._told, error)


def _loopback(host: str) -> str:
    return "::1" if host in ("::1", "[::1]") else "127.0.0.1"


def _to_port(place: Place) -> Callable[[str], tuple[bytes, ...]]:
    """Return the opening of `forwarded-tcpip`: where it was accepted, in the client's words, and for whom."""

    def opening(origin: str) -> tuple[bytes, ...]:
        host, port = _split(origin)
        return b"forwarded-tcpip", String(place.host), UInt32(place.port), String(host), UInt32(port)

    return opening


def _to_unix(path: str) -> Callable[[str], tuple[bytes, ...]]:
    name = path.encode(errors="surrogateescape")
    return lambda origin: (b"forwarded-streamlocal@openssh.com", String(name), String(b""))


def _to_display(origin: str) -> tuple[bytes, ...]:
    host, port = _split(origin)
    return X11.encode(), String(host), UInt32(port)


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return (host.strip("[]"), int(port)) if port.isdecimal() else ("", 0)
