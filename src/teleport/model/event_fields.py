"""Which fields audit events have, for queries that name one which none has.

The fields are those of the event classes of this build. What stands inside a field that is open (`server_labels.env`)
is not known here, so anything may be asked for there.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from teleport.base.errors import BadParameter
from teleport.base.text import did_you_mean
from teleport.model.event_query import And, Condition, EventQuery, Not, Or
from teleport.model.events.base import Unknown, every


class Known(NamedTuple):
    """Names of fields."""

    names: frozenset[str]
    open: frozenset[str]
    """Those among them that have fields of their own."""

    def has(self, path: str) -> bool:
        """Say whether an event may have a field at this path."""
        return path in self.names or any(path.startswith(f"{name}.") for name in self.open)


@functools.cache
def known() -> Known:
    """Return the fields of all events. Opens all files of events."""
    fields = [
        field for cls in every().values() if cls is not Unknown for field in msgspec.structs.fields(cls)
    ]  # fmt: skip
    return Known(
        frozenset({"event", *(field.encode_name for field in fields)}),
        frozenset(field.encode_name for field in fields if _is_open(field.type)),
    )


def check(query: EventQuery) -> None:
    """Raise BadParameter (EVENT-FIELD) for a field that no event has."""
    for name in asked(query):
        if not known().has(name):
            raise BadParameter("EVENT-FIELD", field=name[:100], hint=did_you_mean(name, known().names))


def asked(query: EventQuery) -> Iterator[str]:
    """Yield every field that a query names."""
    yield from query.fields
    if query.group:
        yield query.group
    if query.where is not None:
        yield from _in(query.where)


def _in(condition: Condition) -> Iterator[str]:
    if isinstance(condition, And | Or):
        for part in condition.parts:
            yield from _in(part)
    elif isinstance(condition, Not):
        yield from _in(condition.of)
    else:
        yield condition.field


def _is_open(kind: Any) -> bool:
    """Whether a type is of objects, or of something that may be one."""
    if kind is Any or typing.get_origin(kind) is dict or kind is dict:
        return True
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return True
    return any(_is_open(inner) for inner in typing.get_args(kind))
