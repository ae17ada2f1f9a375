"""Audit events: what they share, how they are written, read and redacted.

An event is a Struct whose tag is its name in the audit log. Its fields are public, sensitive (they name
people, machines or what was typed) or secret; exporters redact by that. A file of this folder holds the
events of one subject; there is no list of them.

Not here: the log itself and its hash chain (`store`), who emits what (`auth`).
"""

from __future__ import annotations

import datetime as dt
import enum
import functools
import importlib
import pkgutil
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, TypeVar

import msgspec

from teleport.base.errors import BadParameter
from teleport.base.struct import Struct, convert, plain
from teleport.model.identity import Identity
from teleport.model.resource import Time

E = TypeVar("E", bound="Event")


class Level(enum.IntEnum):
    """Who may see a field; each level includes those before it."""

    PUBLIC = 0
    SENSITIVE = 1
    SECRET = 2


Public = Annotated[str, Level.PUBLIC]
Sensitive = Annotated[str, Level.SENSITIVE]
PublicTime = Annotated[Time, Level.PUBLIC]

USER_KINDS: Mapping[str, int] = {"human": 1, "bot": 2, "host": 3, "admin": 3}
"""Numbers of `user_kind`, by `Identity.kind`."""


class Event(Struct, frozen=True, kw_only=True, tag_field="event"):
    """A record of something that happened. Fields of no value are not written."""

    CODES: ClassVar[tuple[str, ...]] = ()
    """Codes the event may have: first that of success, second that of failure."""

    code: Public = ""
    time: PublicTime | None = None
    """When; whole milliseconds in UTC. Set by `stamped`."""
    uid: Public = ""
    """Unique id of the record. Set by `stamped`."""
    cluster_name: Public = ""

    def __post_init__(self) -> None:
        if not self.code and self.CODES:
            msgspec.structs.force_setattr(self, "code", self.usual_code())
        if self.code not in self.CODES:
            raise ValueError(f"{self.code!r} is not a code of this event")
        _check_calendar(self.time)

    @property
    def event_name(self) -> str:
        """Name of the event, for example `user.login`."""
        return str(self.__struct_config__.tag)

    def usual_code(self) -> str:
        """Return the code that follows from the fields: of failure where `failed()`."""
        return self.CODES[1] if self.failed() and len(self.CODES) > 1 else self.CODES[0]

    def failed(self) -> bool:
        """Whether the event tells of something that did not succeed."""
        return getattr(self, "success", True) is False

    def stamped(self: E, *, time: dt.datetime, uid: str, cluster_name: str) -> E:
        """Return a copy with what every record needs; `time` is cut to milliseconds."""
        moment = time.astimezone(dt.UTC)
        moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        return msgspec.structs.replace(self, time=moment, uid=uid, cluster_name=cluster_name)


class CallerEvent(Event, frozen=True, kw_only=True):
    """An event that somebody caused. `caller_fields` fills these."""

    user: Sensitive = ""
    user_kind: Annotated[int, Level.PUBLIC] = 0
    """1 human, 2 bot, 3 system."""
    impersonator: Sensitive = ""
    bot_name: Sensitive = ""
    bot_instance_id: Sensitive = ""
    user_roles: Annotated[tuple[str, ...], Level.SENSITIVE] = ()
    access_requests: Annotated[tuple[str, ...], Level.SENSITIVE] = ()
    addr_remote: Sensitive = msgspec.field(default="", name="addr.remote")


class Unknown(Event, frozen=True, kw_only=True, tag="unknown"):
    """An event this build does not know, or knows in another shape: kept whole, written back unchanged."""

    CODES = ("TCC00E",)
    fields: Annotated[dict[str, Any], Level.SENSITIVE] = {}
    """Every field of the record as it was read, `event` and `code` among them."""

    @property
    def event_name(self) -> str:
        return str(self.fields.get("event", "unknown"))


_registry: dict[str, type[Event]] = {"unknown": Unknown}


def event(*codes: str) -> Callable[[type[E]], type[E]]:
    """Declare an Event subclass under its tag, with the codes it may have."""

    def register(cls: type[E]) -> type[E]:
        cls.CODES = codes
        _registry[str(cls.__struct_config__.tag)] = cls
        return cls

    return register


@functools.cache
def _open_all() -> None:
    package = importlib.import_module("teleport.model.events")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"teleport.model.events.{module.name}")


def every() -> Mapping[str, type[Event]]:
    """Return every event class by name. Opens all files."""
    _open_all()
    return dict(sorted(_registry.items()))


def caller_fields(identity: Identity) -> dict[str, Any]:
    """Return the fields of a CallerEvent that say who `identity` is."""
    return {
        "user": identity.name,
        "user_kind": USER_KINDS[identity.kind],
        "impersonator": identity.impersonator,
        "bot_name": identity.bot_name,
        "bot_instance_id": identity.bot_instance_id,
        "user_roles": identity.roles,
        "access_requests": identity.active_requests,
    }


def encode(event: Event) -> bytes:
    """Write an event as canonical JSON: one line, keys sorted, no blanks; equal events give equal bytes."""
    return msgspec.json.encode(document(event), order="deterministic")


def document(event: Event) -> dict[str, Any]:
    """Return an event as plain data with the names of the audit log."""
    if isinstance(event, Unknown):
        return dict(event.fields)
    fields: dict[str, Any] = plain(event)
    return {**fields, "time": rfc3339(event.time)} if event.time else fields


def rfc3339(moment: dt.datetime) -> str:
    """Return a moment with milliseconds in UTC: `2026-01-02T03:04:05.678Z`."""
    return moment.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def decode(data: bytes) -> Event:
    """Read an event. What this build does not know, or cannot read, becomes Unknown.

    Raises BadParameter (EVENT-NOT-JSON) when `data` is not one JSON object.
    """
    try:
        fields = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadParameter("EVENT-NOT-JSON", problem=error) from None
    if not isinstance(fields, dict):
        raise BadParameter("EVENT-NOT-JSON", problem="it is not an object")
    name = fields.get("event")
    shape = every().get(name) if isinstance(name, str) else None
    if shape is not None and shape is not Unknown and fields.get("code"):
        try:
            return convert(fields, shape)
        except msgspec.ValidationError:
            pass
    return _unknown(fields)


def _unknown(fields: dict[str, Any]) -> Unknown:
    """Keep the record; where time, uid and cluster can be read, they are found like those of other events."""
    shared: dict[str, Any] = {}
    for name in ("time", "uid", "cluster_name"):
        try:
            shared |= {name: getattr(convert({name: fields[name]}, _Shared), name)}
        except (KeyError, msgspec.ValidationError):
            continue
    return Unknown(fields=fields, **shared)


class _Shared(Struct, frozen=True, kw_only=True):
    time: Time | None = None
    uid: str = ""
    cluster_name: str = ""

    def __post_init__(self) -> None:
        _check_calendar(self.time)


def _check_calendar(moment: dt.datetime | None) -> None:
    """Raise ValueError, which the decoder expects, for a time that could not be written again."""
    try:
        if moment is not None:
            moment.astimezone(dt.UTC)
    except OverflowError:
        raise ValueError("the time is outside the calendar") from None


def redact(event: Event, level: Level) -> dict[str, Any]:
    """Return an event as plain data with only the fields that `level` may see, for exporters.

    `redacted` lists the names of the fields left out. Of an unknown event only its name, code and what
    all events share is shown below SECRET.
    """
    fields = document(event)
    levels = {} if isinstance(event, Unknown) else field_levels(type(event))
    shared = {"event": Level.PUBLIC, **field_levels(Event)}
    shown = {key: value for key, value in fields.items() if levels.get(key, shared.get(key, Level.SECRET)) <= level}
    hidden = sorted(fields.keys() - shown.keys())
    return {**shown, "redacted": hidden} if hidden else shown


@functools.cache
def field_levels(shape: type[Event]) -> Mapping[str, Level]:
    """Return the level of every field, by its name in the log. A field without a mark is secret."""
    hints = typing.get_type_hints(shape, include_extras=True)
    names = zip(shape.__struct_fields__, shape.__struct_encode_fields__, strict=True)
    return {key: _level(hints[attribute]) for attribute, key in names}


def _level(hint: Any) -> Level:
    marks = [mark for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, Level)]
    if marks:
        return Level(marks[0])
    return max((_level(inner) for inner in typing.get_args(hint) if inner is not type(None)), default=Level.SECRET)
