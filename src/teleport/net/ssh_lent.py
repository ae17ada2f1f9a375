"""Channels that a server opens to us on a connection that we made: from what listens there, to an agent, to displays.

Nothing can be reached that was not lent: each channel finds the `Incoming` that it belongs to, or is refused. A
connection is handed on as one end of a socket pair (`ssh_carried`). Programs of a display have to show the cookie that
we made up for its session, and arrive with the client's in its place: so each is known to belong to that session.
"""

from __future__ import annotations

import asyncio
import hmac
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import asyncssh
from asyncssh.constants import OPEN_ADMINISTRATIVELY_PROHIBITED, OPEN_RESOURCE_SHORTAGE

from teleport.base.errors import AccessDenied, LimitExceeded, TeleportError
from teleport.base.log import escape
from teleport.net.socket_stream import format_address
from teleport.net.ssh_carried import Carried, bind
from teleport.wire import x11_setup
from teleport.wire.buffer import NeedMore

CHANNELS = 128
"""Channels open at one time on one connection: each leads to one of the user's, who may have half as many. As many
connections may wait in an `Incoming` until they are taken."""
ORIGIN_CHARACTERS = 255
AGENT, X11 = "auth-agent@openssh.com", "x11"
FORWARDED_TCP, FORWARDED_UNIX = "forwarded-tcpip", "forwarded-streamlocal@openssh.com"


class PortPlace(NamedTuple):
    """A port at which the server listens for us, as we named it."""

    host: str
    port: int


Refused = Callable[[str, TeleportError], None]
"""Is told the type of a channel that the server opened and that was refused, and why."""


class Incoming:
    """Connections that the server leads to us for one purpose."""

    def __init__(self, stop: Callable[[], None]) -> None:
        """`stop` is called at the close."""
        self._stop = stop
        self._waiting: asyncio.Queue[tuple[socket.socket, str] | TeleportError] = asyncio.Queue(CHANNELS)
        self._closed = False

    @property
    def crowded(self) -> bool:
        """Whether no more can wait, or nobody takes them any more."""
        return self._closed or self._waiting.full()

    async def accept(self) -> tuple[socket.socket, str]:
        """Wait for a connection; return a non-blocking socket that leads to it, and where it comes from (`host:port`,
        or empty). Raises the error of one that was refused here; the next call waits for the next."""
        found = await self._waiting.get()
        if isinstance(found, TeleportError):
            raise found
        return found

    def add(self, near: socket.socket, origin: str) -> None:
        """Let a connection wait to be taken."""
        if self.crowded:
            near.close()
        else:
            self._waiting.put_nowait((near, origin))

    def refuse(self, error: TeleportError) -> None:
        """Tell that a connection was refused."""
        if not self.crowded:
            self._waiting.put_nowait(error)

    def close(self) -> None:
        """Take no more; those that wait are closed."""
        if self._closed:
            return
        self._closed = True
        while not self._waiting.empty():
            found = self._waiting.get_nowait()
            if not isinstance(found, TeleportError):
                found[0].close()
        self._stop()


@dataclass(frozen=True)
class Shown:
    """A display of a session."""

    protocol: bytes
    """Name of the way to authenticate."""
    ours: bytes
    """Cookie that programs at the server have to show."""
    theirs: bytes
    """What the client wants to see in its place."""
    incoming: Incoming


class Lent:
    """What a server may reach, over one connection."""

    def __init__(self, refused: Refused, is_closed: Callable[[], bool], host: str) -> None:
        """`is_closed` says whether the connection is over; `host` is what the server is called in errors."""
        self._refused = refused
        self._is_closed = is_closed
        self._called = host
        self._places: dict[PortPlace | str, Incoming] = {}
        self._agents: list[Incoming] = []
        self._displays: list[Shown] = []

    def place(self, place: PortPlace | str, stop: Callable[[], None]) -> Incoming:
        """Take what comes to a port or the path of a socket, until it is closed; then `stop` is called."""

        def over() -> None:
            del self._places[place]
            stop()

        made = self._places[place] = Incoming(over)
        return made

    def agent(self) -> Incoming:
        """Lend the agent, until it is closed."""
        made = Incoming(lambda: self._agents.remove(made))
        self._agents.append(made)
        return made

    def display(self, protocol: str, ours: bytes, theirs: bytes) -> Incoming:
        """Lend a display, until it is closed."""
        shown = Shown(protocol.encode(), ours, theirs, Incoming(lambda: self._displays.remove(shown)))
        self._displays.append(shown)
        return shown.incoming

    async def from_place(self, kind: str, place: PortPlace | str, origin: str) -> Carried:
        """Return what stands behind a channel from where the server listens. Raises asyncssh.ChannelOpenError."""
        found = self._places.get(place)  # not looked for before: the place may be known since this moment alone
        if found is None:
            raise self._not_lent(kind)
        return await self._lead(kind, found, origin)

    async def to_agent(self) -> Carried:
        """Return what stands behind a channel to the agent. The channel says of no session: with several that have the
        agent, it is the first one's. Raises asyncssh.ChannelOpenError."""
        if not self._agents:
            raise self._not_lent(AGENT)
        return await self._lead(AGENT, self._agents[0], "")

    async def to_display(self, host: str, port: int) -> Carried:
        """Return what stands behind a channel to a display. Raises asyncssh.ChannelOpenError."""
        if not self._displays:
            raise self._not_lent(X11)
        return await self._bound(_Program(self._displays, origin_of(host, port)))

    async def _lead(self, kind: str, incoming: Incoming, origin: str) -> Carried:
        if incoming.crowded:
            raise self.too_many(kind)
        return await self._bound(_Led(incoming, origin))

    async def _bound(self, led: _Unled) -> Carried:
        led.bound(await bind(led))
        if self._is_closed():  # nobody will say that the channel is open, nor that it has ended
            led.drop()
            led.discard()
        return led

    def _not_lent(self, kind: str) -> asyncssh.ChannelOpenError:
        self._refused(kind, AccessDenied("SSH-NOT-LENT", kind=kind, host=self._called))
        return asyncssh.ChannelOpenError(OPEN_ADMINISTRATIVELY_PROHIBITED, "nothing of the kind was forwarded")

    def too_many(self, kind: str) -> asyncssh.ChannelOpenError:
        """Tell that there is no room for a channel, and return what to answer."""
        self._refused(kind, LimitExceeded("SSH-LIMIT-CHANNELS", limit=CHANNELS))
        return asyncssh.ChannelOpenError(OPEN_RESOURCE_SHORTAGE, "too many channels")


def origin_of(host: str, port: int) -> str:
    """Return where a server says that a connection comes from, `host:port` without control characters."""
    return format_address((escape(host)[:ORIGIN_CHARACTERS], port))


class _Unled(Carried):
    """A channel whose socket nobody has yet."""

    def __init__(self, origin: str) -> None:
        super().__init__()
        self._origin = origin
        self._theirs: socket.socket | None = None

    def bound(self, theirs: socket.socket) -> None:
        """Keep the end of the socket for whoever takes the connection."""
        self._theirs = theirs

    def lead_to(self, incoming: Incoming) -> None:
        """Hand the connection on."""
        theirs, self._theirs = self._theirs, None
        if theirs is not None:
            incoming.add(theirs, self._origin)

    def discard(self) -> None:
        """Nobody will have it."""
        theirs, self._theirs = self._theirs, None
        if theirs is not None:
            theirs.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.discard()
        super().connection_lost(exc)


class _Led(_Unled):
    """A connection that belongs to something from the start."""

    def __init__(self, incoming: Incoming, origin: str) -> None:
        super().__init__(origin)
        self._incoming = incoming

    def connection_made(self, chan: Any) -> None:
        super().connection_made(chan)
        self.lead_to(self._incoming)


class _Program(_Unled):
    """A program that wants a display, and says first which cookie it has."""

    def __init__(self, displays: Sequence[Shown], origin: str) -> None:
        super().__init__(origin)
        self._displays = displays
        self._said: bytearray | None = bytearray()
        """What came so far; None once the program has shown its cookie."""

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if self._said is None:
            super().data_received(data, datatype)
            return
        self._said += data
        try:
            setup = x11_setup.read_setup(bytes(self._said))
            shown = self._find(setup)
        except NeedMore:
            return
        except TeleportError as error:
            self._refuse(error)
            return
        rest, self._said = bytes(self._said[setup.size :]), None
        super().data_received(setup.with_cookie(shown.theirs) + rest, None)
        self.lead_to(shown.incoming)

    def _find(self, setup: x11_setup.Setup) -> Shown:
        for shown in self._displays:
            if shown.protocol == setup.protocol and hmac.compare_digest(shown.ours, setup.cookie):
                return shown
        raise AccessDenied("SSH-X11-COOKIE")

    def _refuse(self, error: TeleportError) -> None:
        if self._displays:
            self._displays[0].incoming.refuse(error)
        self.abandon()

    def eof_received(self) -> bool:
        if self._said is not None:  # it has nothing to say
            self.abandon()
        return super().eof_received()
