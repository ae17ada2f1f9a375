"""What is asked of the checker: an action on a target under conditions."""

from __future__ import annotations

import datetime as dt
import functools
from typing import Any, Literal, Union

from teleport.base.struct import Struct
from teleport.model.kinds.lock import Lock
from teleport.model.resource import Resource


class Connect(Struct, frozen=True, tag=True):
    """Open a session on a node as `login`."""

    login: str


Channel = Literal["local_forward", "remote_forward", "agent", "x11", "file_copy"]
"""What a connection may have beside commands: ports of the client led to the node's side, ports of the node led to
the client's, the client's agent, its display, and files."""


class Open(Struct, frozen=True, tag=True):
    """Have a channel of a kind on a node as `login`. It needs what a session needs, and more (`access.channels`)."""

    login: str
    channel: Channel


class Use(Struct, frozen=True, tag=True):
    """Use the API: `verb` is list, read, create, update, delete, ..."""

    verb: str


JoinMode = Literal["observer", "peer", "moderator"]
"""How somebody takes part in the session of another: looking on, typing too, or looking on with the right to end it."""


class Join(Struct, frozen=True, tag=True):
    """Take part in a running session (the target is its tracker). On a node: be led there, where it is decided."""

    mode: JoinMode


class Reach(Struct, frozen=True, tag=True):
    """Be led to a database, an application or a Kubernetes cluster. Of a database: as which account, and in which part
    of it, where that is known; the two others have neither."""

    user: str | None = None
    name: str | None = None


class Assume(Struct, frozen=True, tag=True):
    """Have a certificate that carries the target, a role, as bots have for their outputs."""


Action = Union[Assume, Connect, Join, Open, Reach, Use]  # noqa: UP007 - a value too, for decoding records

Target = Union[Resource[Any], str]  # noqa: UP007 - evaluated at run time
"""An object, or the name of a kind for using the API before an object is known."""


class Conditions(Struct, frozen=True, kw_only=True):
    """The world at the time of the decision. The checker knows nothing else of it."""

    now: dt.datetime
    cluster: str
    """Name of the cluster that decides."""
    locks: tuple[Lock, ...] = ()
    locks_as_of: dt.datetime | None = None
    """When the list of locks was last known to be complete; None if it is read with every decision."""
    closed: tuple[Channel, ...] = ()
    """Channels that the configuration of the service switches off."""
    client_ip: str = ""
    """Source address of the caller; empty if it is not known (which a pinned certificate does not accept)."""


def kind_of(target: Target) -> str:
    """Return the name of the target's kind."""
    return target if isinstance(target, str) else str(type(target).__struct_config__.tag)


def name_of(target: Target) -> str:
    """Return the name of the target object; empty for a kind."""
    return "" if isinstance(target, str) else target.name


def title_of(target: Target) -> str:
    """Return what people call the target: a node's host name, otherwise its name."""
    if kind_of(target) == "session_tracker":
        return name_of(target)  # its host name is that of a node
    hostname = getattr(getattr(target, "spec", None), "hostname", "")
    return hostname if isinstance(hostname, str) and hostname else name_of(target)


def utc(instant: dt.datetime) -> dt.datetime:
    """Return an aware instant; one without zone is taken as UTC, as everything here is."""
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=dt.UTC)


def clock_text(instant: dt.datetime) -> str:
    """Write an instant as RFC 3339 with whole seconds, without a year-0 or overflow surprise."""
    return _clock_text(instant, instant.tzinfo)


@functools.lru_cache(maxsize=256)
def _clock_text(instant: dt.datetime, zone: dt.tzinfo | None) -> str:
    """Write a moment once for all the decisions of one question. Equal moments of two zones differ in their text."""
    return utc(instant).replace(microsecond=0).isoformat().replace("+00:00", "Z")
