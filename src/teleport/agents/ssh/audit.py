"""Audit events of the SSH Service: which event tells of what, with which fields.

Pure: from facts to events. Writing them is `Authority.emit`.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

from teleport.agents.ssh.scp_command import ScpCommand
from teleport.agents.ssh.spawner_messages import Exited
from teleport.base.errors import TeleportError
from teleport.model.events.access import AuthAttempt
from teleport.model.events.base import Event, caller_fields
from teleport.model.events.file_copy import Action, Scp, Sftp
from teleport.model.events.forward import PortForward, X11Forward
from teleport.model.events.host_user import HostUserDelete
from teleport.model.events.session import (
    Exec,
    Resize,
    SessionEnd,
    SessionJoin,
    SessionLeave,
    SessionRejected,
    SessionStart,
    Subsystem,
)
from teleport.model.identity import Identity
from teleport.model.kinds.node import Node
from teleport.model.kinds.session_tracker import SessionTracker
from teleport.net.ssh import TOO_MANY
from teleport.wire.terminal import Size

COMMAND_CHARACTERS = 16 * 1024
"""Longest part of a command that an event carries."""

ADDRESS_CHARACTERS = 300

THINGS = {
    "shell": "an interactive shell",
    "pty-req": "a terminal",
    "subsystem": "the subsystem {detail!r}",
    "x11-req": "X11 forwarding",
    "auth-agent-req@openssh.com": "agent forwarding",
    "direct-tcpip": "forwarding of a local port",
    "direct-streamlocal@openssh.com": "forwarding to a unix socket",
    "tcpip-forward": "forwarding of a remote port",
    "streamlocal-forward@openssh.com": "forwarding of a remote unix socket",
    "tun@openssh.com": "a tunnel device",
    "x11": "X11 forwarding",
}
"""What the names of channels and requests mean, in words for people."""

_FORWARDS = frozenset(
    {"direct-tcpip", "forwarded-tcpip", "direct-streamlocal@openssh.com", "tcpip-forward",
     "streamlocal-forward@openssh.com"}
)  # fmt: skip
_LOCALE = re.compile(r"LANG|LANGUAGE|LC_[A-Z_]{1,40}|TZ|COLORTERM|TERM")


@dataclass(frozen=True)
class Context:
    """Who, where from, and on which node: the same for every event of a connection or session."""

    identity: Identity
    login: str
    client: str
    local: str
    node: Node
    sid: str = ""

    def fields(self) -> dict[str, Any]:
        """Return the fields of a ServerEvent."""
        return {
            **caller_fields(self.identity), **_where(self.node, self.client, self.local),
            "login": self.login, "sid": self.sid,
        }  # fmt: skip


def host_user_removed(node: Node, login: str, problem: str) -> HostUserDelete:
    """An account that was made for a login is gone, or could not be removed. Nobody in particular did it."""
    return HostUserDelete(user="", login=login, error=problem, **_where(node, "", ""))


def _where(node: Node, client: str, local: str) -> dict[str, Any]:
    return {
        "server_id": node.name, "server_hostname": node.spec.hostname, "server_labels": dict(node.labels_now()),
        "server_addr": node.spec.addr, "addr_remote": client, "addr_local": local,
    }  # fmt: skip


def login_refused(error: TeleportError, *, user: str, login: str, client: str, local: str, node: Node) -> Event:
    """A connection was refused in authentication. `user` is what the certificate calls itself: who refused
    it may not have known its authority."""
    return AuthAttempt(
        user=user, login=login, error=str(error), message=error.why, decision_id=error.id,
        **_where(node, client, local),
    )  # fmt: skip


def command_ended(context: Context, command: bytes, outcome: Exited | TeleportError) -> Exec:
    """A command ended, or did not start. One that a signal ended has 128 more than its number as status, as
    a shell would say it."""
    text = command[:COMMAND_CHARACTERS].decode(errors="backslashreplace")
    if isinstance(outcome, TeleportError):
        return Exec(command=text, exit_code="255", exit_error=str(outcome), **context.fields())
    status = 128 + outcome.signal if outcome.signal else outcome.status
    return Exec(command=text, exit_code=str(status), **context.fields())


def scp_ended(context: Context, scp: ScpCommand, command: bytes, outcome: Exited | TeleportError) -> Event:
    """A command that copies files ended, or did not start."""
    ran = command_ended(context, command, outcome)
    return Scp(
        path=scp.path[:COMMAND_CHARACTERS], action=scp.action, command=ran.command, exit_code=ran.exit_code,
        exit_error=ran.exit_error, **context.fields(),
    )  # fmt: skip


def scp_refused(context: Context, scp: ScpCommand, command: bytes, error: TeleportError) -> Event:
    """A command that copies files was not allowed."""
    text = command[:COMMAND_CHARACTERS].decode(errors="backslashreplace")
    return Scp(
        path=scp.path[:COMMAND_CHARACTERS], action="disallowed", command=text, exit_error=str(error),
        decision_id=error.id, **context.fields(),
    )  # fmt: skip


def sftp_refused(context: Context, error: TeleportError) -> tuple[Event, Event]:
    """SFTP was not allowed, or could not be served."""
    refused = Sftp(action=Action.DISALLOWED, error=str(error), decision_id=error.id, **context.fields())
    return subsystem_ended(context, "sftp", error), refused


def subsystem_ended(context: Context, name: str, error: TeleportError | None) -> Event:
    """A subsystem has ended, or was not served."""
    return Subsystem(subsystem=name, exit_error="" if error is None else str(error), **context.fields())


@dataclass(frozen=True)
class Story:
    """What both ends of a session's record say."""

    context: Context
    since: dt.datetime
    command: bytes
    """Empty for a shell."""
    size: Size | None
    """None without a terminal."""
    mode: str
    """How it is recorded: `off`, or a word of `session_recording_config`."""
    enhanced: bool = False
    """Whether what its programs did was recorded."""
    guests: tuple[str, ...] = ()
    """Users who took part beside its owner."""

    def fields(self) -> dict[str, Any]:
        """Return the fields that both events have."""
        text = self.command[:COMMAND_CHARACTERS].decode(errors="backslashreplace")
        return {
            **self.context.fields(), "size": str(self.size or ""), "initial_command": (text,) if text else (),
            "session_recording": self.mode,
            "participants": tuple(dict.fromkeys((self.context.identity.name, *self.guests))),
        }  # fmt: skip


def session_started(story: Story) -> Event:
    """A session is about to run."""
    return SessionStart(**story.fields())


def session_ended(story: Story, now: dt.datetime) -> Event:
    """A session has ended, and its recording is closed."""
    return SessionEnd(
        session_start=story.since, session_stop=now, interactive=story.size is not None, ei=1,
        enhanced_recording=story.enhanced, **story.fields()
    )  # fmt: skip


def resized(context: Context, size: Size) -> Event:
    """The terminal of a session has another size."""
    return Resize(size=str(size), **context.fields())


def declined(context: Context, error: TeleportError, kind: str, detail: str) -> Event:
    """A channel or request that this build does not serve was asked for."""
    fields = context.fields()
    if kind in _FORWARDS:
        return PortForward(
            success=False, addr=detail, channel=kind, error=str(error), decision_id=error.id, **fields
        )  # fmt: skip
    if kind in ("x11-req", "x11"):
        return X11Forward(success=False, error=str(error), decision_id=error.id, **fields)
    if kind == "subsystem":
        return Subsystem(subsystem=detail, exit_error=str(error), **fields)
    reason = f"{kind} {detail}" if kind == "env" else kind
    return SessionRejected(reason=reason[:200], max=int(detail) if kind == TOO_MANY else 0, **fields)


@dataclass(frozen=True)
class Seat:
    """Somebody in the session of somebody else."""

    context: Context
    """Of the participant's own connection."""
    tracker: SessionTracker
    """What is known of the session."""
    mode: str

    def fields(self) -> dict[str, Any]:
        """Return the fields that joining and leaving have. The login is the one that the session is in."""
        spec = self.tracker.spec
        names = {"sid": self.tracker.name, "login": spec.login, "mode": self.mode, "session_owner": spec.host_user}
        return {**self.context.fields(), **names}


def joined(seat: Seat) -> Event:
    """Somebody takes part in a session."""
    return SessionJoin(**seat.fields())


def left(seat: Seat) -> Event:
    """They do no longer."""
    return SessionLeave(**seat.fields())


@dataclass(frozen=True)
class Forwarding:
    """Something that a connection leads elsewhere."""

    context: Context
    kind: str
    """Type of the channel or request."""
    address: str
    origin: str = ""

    def fields(self) -> dict[str, Any]:
        """Return the fields of a PortForward."""
        address, origin = (text[:ADDRESS_CHARACTERS] for text in (self.address, self.origin))
        return {"channel": self.kind, "addr": writable(address), "origin": origin, **self.context.fields()}


def forwarded(told: Forwarding) -> Event:
    """Something is led elsewhere from now on."""
    if told.kind == "x11":
        return X11Forward(success=True, display=told.address, **told.context.fields())
    return PortForward(success=True, **told.fields())


def not_forwarded(told: Forwarding, error: TeleportError) -> Event:
    """It was refused, or failed."""
    if told.kind == "x11":
        return X11Forward(success=False, error=str(error), decision_id=error.id, **told.context.fields())
    return PortForward(success=False, error=str(error), decision_id=error.id, **told.fields())


def no_longer_forwarded(told: Forwarding, sent: int, received: int, connections: int = 0) -> Event:
    """It has ended; `sent` and `received` are bytes as the client counts them."""
    return PortForward(
        code="T3003S", success=True, bytes_sent=sent, bytes_received=received, connections=connections, **told.fields()
    )  # fmt: skip


def writable(text: str) -> str:
    """Return text that can be stored: bytes of a path that are no UTF-8 become escapes."""
    return text.encode(errors="surrogateescape").decode(errors="backslashreplace")


def thing(kind: str, detail: str) -> str:
    """Return what was asked for, for the text that the client gets."""
    known = THINGS.get(kind)
    return f"the request {kind[:64]!r}" if known is None else known.format(detail=detail[:80])


def is_locale(variable: str) -> bool:
    """Whether clients send this variable by default. It is dropped like all others, but says nothing of
    anybody's intent."""
    return _LOCALE.fullmatch(variable) is not None
