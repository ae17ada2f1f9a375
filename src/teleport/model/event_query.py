"""Queries over audit events: what a query is, whether an event is meant, and what it shows of one.

    SELECT time, user, event FROM events WHERE user = 'alice' AND time > now() - 7d ORDER BY time DESC LIMIT 50

A small language of our own that looks like SQL; no text of it ever reaches a database. A field is a path with dots
(`server_labels.env`); names that have dots themselves (`addr.remote`) are written the same. A comparison with a field
that an event does not have, or that is of another type, is false, and NOT of it true. A list compares like any of its
elements. Texts compare exactly; `LIKE` knows `%` and `_`. `time` and other moments compare as moments.

Not here: reading the text (`event_query_parser`), finding events (`auth.audit_query`).
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

TIME = "time"
OPERATORS = ("=", "!=", "<", "<=", ">", ">=")


class Moment(NamedTuple):
    """A point in time, or with `ago` one that is so many seconds before (or after) the query is asked."""

    at: dt.datetime | None = None
    ago: float = 0.0

    def when(self, now: dt.datetime) -> dt.datetime:
        """Return the point in time; the end of the calendar for one beyond it."""
        if self.at is not None:
            return self.at
        try:
            return now - dt.timedelta(seconds=self.ago)
        except OverflowError:
            edge = dt.datetime.min if self.ago > 0 else dt.datetime.max
            return edge.replace(tzinfo=dt.UTC)


Value = str | float | bool | Moment


class Compare(NamedTuple):
    field: str
    operator: str
    value: Value


class In(NamedTuple):
    field: str
    values: tuple[Value, ...]


class Like(NamedTuple):
    field: str
    pattern: str


class Between(NamedTuple):
    field: str
    low: Value
    high: Value


class IsNull(NamedTuple):
    field: str


class Not(NamedTuple):
    of: Condition


class And(NamedTuple):
    parts: tuple[Condition, ...]


class Or(NamedTuple):
    parts: tuple[Condition, ...]


Condition = Compare | In | Like | Between | IsNull | Not | And | Or


class EventQuery(NamedTuple):
    """A whole query. No fields: all of them (`*`). `limit` 0: none."""

    fields: tuple[str, ...] = ()
    where: Condition | None = None
    descending: bool = True
    limit: int = 0
    counts: bool = False
    """Whether events are counted: all together, or by `group`."""
    group: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of an answer."""
        if not self.counts:
            return self.fields
        return (self.group, "count") if self.group else ("count",)

    def show(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the query wants to see of an event; null for fields that it does not have."""
        return {field: find(event, field) for field in self.fields} if self.fields else dict(event)


def find(event: Mapping[str, Any], path: str) -> Any:
    """Return the field of an event at a path, None where there is none. The longest name at each level wins."""
    if path in event:
        return event[path]
    at = len(path)
    while (at := path.rfind(".", 0, at)) > 0:
        inner = event.get(path[:at])
        if isinstance(inner, Mapping):
            return find(inner, path[at + 1 :])
    return None


def holds(condition: Condition, event: Mapping[str, Any], now: dt.datetime) -> bool:
    """Say whether an event is meant. `now` is the moment at which the query was asked."""
    if isinstance(condition, And):
        return all(holds(part, event, now) for part in condition.parts)
    if isinstance(condition, Or):
        return any(holds(part, event, now) for part in condition.parts)
    if isinstance(condition, Not):
        return not holds(condition.of, event, now)
    found = find(event, condition.field)
    if isinstance(condition, IsNull):
        return found is None
    values = found if isinstance(found, list) else [found]
    return any(_agrees(condition, value, now) for value in values)


def _agrees(condition: Compare | In | Like | Between, value: Any, now: dt.datetime) -> bool:
    if isinstance(condition, Like):
        return isinstance(value, str) and like(condition.pattern, value)
    if isinstance(condition, In):
        return any(_compare("=", value, wanted, now) for wanted in condition.values)
    if isinstance(condition, Between):
        return _compare(">=", value, condition.low, now) and _compare("<=", value, condition.high, now)
    return _compare(condition.operator, value, condition.value, now)


def _compare(operator: str, found: Any, wanted: Value, now: dt.datetime) -> bool:
    pair = _same_type(found, wanted, now)
    if pair is None:
        return False
    left, right = pair
    return bool(
        (operator in ("=", "<=", ">=") and left == right)
        or (operator == "!=" and left != right)
        or (operator in ("<", "<=") and left < right)
        or (operator in (">", ">=") and left > right)
    )


def _same_type(found: Any, wanted: Value, now: dt.datetime) -> tuple[Any, Any] | None:
    """Return both sides in a form that can be compared; None when they are of different types."""
    if isinstance(wanted, Moment):
        moment = to_moment(found) if isinstance(found, str) else None
        return None if moment is None else (moment, wanted.when(now))
    if isinstance(wanted, bool) or isinstance(found, bool):
        return (found, wanted) if isinstance(wanted, bool) and isinstance(found, bool) else None
    if isinstance(wanted, str):
        return (found, wanted) if isinstance(found, str) else None
    return (found, wanted) if isinstance(found, int | float) else None


def to_moment(text: str) -> dt.datetime | None:
    """Read a time of RFC 3339, or a date, which is its first moment; in UTC where no zone is given."""
    if len(text) == len("2026-01-01"):
        text += "T00:00:00Z"
    try:
        moment = msgspec.convert(text, dt.datetime)
        return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    except (msgspec.ValidationError, OverflowError, UnicodeEncodeError):
        return None


def like(pattern: str, text: str) -> bool:
    """Say whether `text` has the form of `pattern`: `%` is any text, `_` any character."""
    first, *middle = pattern.split("%")
    if not middle:
        return len(first) == len(text) and _place(first, text, 0) == 0
    last = middle.pop()
    if len(first) + len(last) > len(text) or _place(first, text[: len(first)], 0) != 0:
        return False
    at, end = len(first), len(text) - len(last)
    if _place(last, text[end:], 0) != 0:
        return False
    for part in middle:  # the first place is the best one: it leaves most to the rest
        at = _place(part, text[:end], at)
        if at < 0:
            return False
        at += len(part)
    return at <= end


def _place(part: str, text: str, start: int) -> int:
    """Return where a part of a pattern without `%` first stands in a text from `start` on; -1 for nowhere."""
    if "_" not in part:
        return text.find(part, start)
    found = _expression(part).search(text, start)
    return found.start() if found else -1


@functools.lru_cache(64)
def _expression(part: str) -> re.Pattern[str]:
    return re.compile(".".join(re.escape(piece) for piece in part.split("_")), re.DOTALL)


class Bounds(NamedTuple):
    """What every event that a query means has in common, for an index. Empty: nothing is known."""

    since: dt.datetime | None = None
    """Earliest time, included."""
    until: dt.datetime | None = None
    """Latest time, excluded."""
    types: frozenset[str] = frozenset()
    user: str = ""
    text: str = ""
    """Stands in the event, in upper or lower case."""


def bounds(query: EventQuery, now: dt.datetime) -> Bounds:
    """Return what the conditions that must all hold demand."""
    parts = list(_needed(query.where)) if query.where is not None else []
    since = [low for part in parts if (low := _span(part, now)[0]) is not None]
    until = [high for part in parts if (high := _span(part, now)[1]) is not None]
    types = [found for part in parts if (found := _texts(part, "event"))]
    users = [next(iter(found)) for part in parts if len(found := _texts(part, "user")) == 1]
    texts = [fragment for part in parts if (fragment := _fragment(part))]
    return Bounds(
        since=max(since, default=None),
        until=min(until, default=None),
        types=functools.reduce(frozenset.intersection, types) if types else frozenset(),
        user=users[0] if users else "",
        text=max(texts, key=len, default=""),
    )


def _needed(condition: Condition) -> Iterator[Condition]:
    if isinstance(condition, And):
        for part in condition.parts:
            yield from _needed(part)
    else:
        yield condition


def _span(part: Condition, now: dt.datetime) -> tuple[dt.datetime | None, dt.datetime | None]:
    """Return the earliest and the latest time (excluded) of a condition on the time."""
    if isinstance(part, Between) and part.field == TIME:
        return _span(Compare(TIME, ">=", part.low), now)[0], _span(Compare(TIME, "<=", part.high), now)[1]
    if not (isinstance(part, Compare) and part.field == TIME and isinstance(part.value, Moment)):
        return None, None
    moment = part.value.when(now)
    behind = moment + _TICK if moment < _LAST else None
    return (
        moment if part.operator in ("=", ">", ">=") else None,
        {"=": behind, "<=": behind, "<": moment}.get(part.operator),
    )


_TICK = dt.timedelta(microseconds=1)
_LAST = dt.datetime.max.replace(tzinfo=dt.UTC)


def _texts(part: Condition, field: str) -> frozenset[str]:
    """Return the texts of which a field must be one; empty when the condition is another."""
    if isinstance(part, Compare) and part.field == field and part.operator == "=" and isinstance(part.value, str):
        return frozenset({part.value})
    if isinstance(part, In) and part.field == field and all(isinstance(value, str) for value in part.values):
        return frozenset(value for value in part.values if isinstance(value, str))
    return frozenset()


def _fragment(part: Condition) -> str:
    """Return a text that must stand in the event as it is written."""
    if isinstance(part, Like):
        return max(part.pattern.replace("_", "%").split("%"), key=len)
    if isinstance(part, Compare) and part.operator == "=" and isinstance(part.value, str):
        return "" if part.field in ("event", "user") else part.value
    return ""
