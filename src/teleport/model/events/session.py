"""Events of SSH: sessions, and what is asked for inside a connection."""

from __future__ import annotations

from typing import Annotated

import msgspec

from teleport.model.events.base import CallerEvent, Level, Public, PublicTime, Sensitive, event


class ServerEvent(CallerEvent, frozen=True, kw_only=True):
    """An event on a server, in the name of a login."""

    login: Sensitive = ""
    sid: Public = ""
    """Id of the session."""
    ei: Annotated[int, Level.PUBLIC] = 0
    """Index of the event within its session."""
    server_id: Public = ""
    forwarded_by: Public = ""
    """Id of the proxy that ended the connection and tells of it; empty where the server does."""
    server_hostname: Sensitive = ""
    server_addr: Sensitive = ""
    server_labels: Annotated[dict[str, str], Level.SENSITIVE] = {}
    addr_local: Sensitive = msgspec.field(default="", name="addr.local")


@event("T2000I")
class SessionStart(ServerEvent, frozen=True, kw_only=True, tag="session.start"):
    """A session began."""

    size: Public = ""
    """Columns and rows, for example `80:25`."""
    initial_command: Annotated[tuple[str, ...], Level.SENSITIVE] = ()
    session_recording: Public = ""
    participants: Annotated[tuple[str, ...], Level.SENSITIVE] = ()


@event("T2004I")
class SessionEnd(ServerEvent, frozen=True, kw_only=True, tag="session.end"):
    """A session ended."""

    session_start: PublicTime
    session_stop: PublicTime
    interactive: Annotated[bool, Level.PUBLIC]
    enhanced_recording: Annotated[bool, Level.PUBLIC] = False
    participants: Annotated[tuple[str, ...], Level.SENSITIVE] = ()
    size: Public = ""
    """Columns and rows at the beginning; empty without a terminal."""
    initial_command: Annotated[tuple[str, ...], Level.SENSITIVE] = ()
    session_recording: Public = ""


@event("T2002I")
class Resize(ServerEvent, frozen=True, kw_only=True, tag="resize"):
    """The terminal of a session has another size."""

    size: Public


class SeatEvent(ServerEvent, frozen=True, kw_only=True):
    """An event of somebody in the session of somebody else."""

    mode: Public = ""
    """observer, peer or moderator."""
    session_owner: Sensitive = ""


@event("T2001I")
class SessionJoin(SeatEvent, frozen=True, kw_only=True, tag="session.join"):
    """Somebody takes part in a running session."""


@event("T2003I")
class SessionLeave(SeatEvent, frozen=True, kw_only=True, tag="session.leave"):
    """Somebody takes part no longer; the session may go on."""


@event("T1006W")
class SessionRejected(ServerEvent, frozen=True, kw_only=True, tag="session.rejected"):
    """A session was refused because of a limit."""

    reason: Public
    max: Annotated[int, Level.PUBLIC] = 0


@event("T3002I", "T3002E")
class Exec(ServerEvent, frozen=True, kw_only=True, tag="exec"):
    """A command ran, or could not be run."""

    command: Sensitive
    exit_code: Public = msgspec.field(name="exitCode")
    """In decimal, as text."""
    exit_error: Sensitive = msgspec.field(default="", name="exitError")

    def failed(self) -> bool:
        """Whether the command could not be run, or ended with another status than 0."""
        return bool(self.exit_error) or self.exit_code != "0"


@event("T3001I", "T3001E")
class Subsystem(ServerEvent, frozen=True, kw_only=True, tag="subsystem"):
    """A subsystem was asked for."""

    subsystem: Sensitive = msgspec.field(name="name")
    exit_error: Sensitive = msgspec.field(default="", name="exitError")

    def failed(self) -> bool:
        """Whether the subsystem was refused or failed."""
        return bool(self.exit_error)


@event("T3006I")
class ClientDisconnect(ServerEvent, frozen=True, kw_only=True, tag="client.disconnect"):
    """The server ended a connection: a lock, the end of a certificate, idleness."""

    reason: Sensitive = ""
