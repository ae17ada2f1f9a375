"""What a query means: against a plain reading of the same words, and what an index is told of it."""

# ruff: noqa: E501, S608 - the queries are ours and read best in one line

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.model.event_query import (
    And,
    Between,
    Bounds,
    Compare,
    Condition,
    EventQuery,
    In,
    IsNull,
    Like,
    Moment,
    Not,
    Or,
    bounds,
    find,
    holds,
    like,
    to_moment,
)
from teleport.model.event_query_parser import parse

NOW = dt.datetime(2026, 11, 8, 12, tzinfo=dt.UTC)
EVENT: dict[str, Any] = {
    "event": "exec", "code": "T3002I", "time": "2026-11-02T08:00:00.500Z", "user": "alice", "exit": 0, "success": True,
    "addr.remote": "10.0.0.1:22", "server_labels": {"env": "prod", "a.b": {"c": "deep"}}, "user_roles": ["dev", "ops"],
    "empty": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("user", "alice"), ("addr.remote", "10.0.0.1:22"), ("server_labels.env", "prod"),
        ("server_labels.a.b.c", "deep"), ("server_labels.x", None), ("addr.local", None), ("user.x", None), ("empty", None),
    ],
)  # fmt: skip
def test_fields_are_found_at_paths(path: str, value: Any) -> None:
    assert find(EVENT, path) == value


@pytest.mark.parametrize(
    ("condition", "meant"),
    [
        ("user = 'alice'", True), ("user = 'ALICE'", False), ("user != 'bob'", True), ("nothing != 'bob'", False),
        ("NOT nothing = 'bob'", True), ("user > 'aaa' AND user < 'b'", True), ("user_roles = 'ops'", True),
        ("user_roles IN ('x', 'dev')", True), ("user_roles = 'x'", False), ("exit = 0", True), ("exit = '0'", False),
        ("exit <= 0.5 AND exit >= -1", True), ("success = TRUE", True), ("success = 1", False), ("exit = FALSE", False),
        ("code LIKE 'T3%'", True), ("code LIKE 'T3%W'", False), ("exit LIKE '%'", False), ("addr.remote LIKE '10._.%'", True),
        ("time > '2026-11-02'", True), ("time > '2026-11-02T08:00:00.5Z'", False), ("time >= '2026-11-02T09:00:00.5+01:00'", True),
        ("time > now() - 7d", True), ("time > now() - 6d", False), ("time < now() + 1h", True), ("time <= now()", True),
        ("time BETWEEN '2026-11-01' AND '2026-11-03'", True), ("exit BETWEEN 1 AND 2", False), ("user > now()", False),
        ("exit > now()", False), ("nothing IS NULL", True), ("empty IS NULL", True), ("user IS NOT NULL", True),
        ("user = 'bob' OR (user = 'alice' AND NOT exit = 1)", True), ("user NOT IN ('alice')", False),
        ("user NOT LIKE 'b%'", True), ("user <> 'alice'", False),
    ],
)  # fmt: skip
def test_conditions_mean_what_they_say(condition: str, meant: bool) -> None:
    where = parse(f"SELECT * FROM events WHERE {condition}").where
    assert where is not None
    assert holds(where, EVENT, NOW) is meant


@given(st.text("ab%_", max_size=8), st.text("ab%_", max_size=12))
def test_like_is_as_a_regular_expression_would_be(pattern: str, text: str) -> None:
    parts = {"%": ".*", "_": "."}
    expression = "".join(parts.get(sign, re.escape(sign)) for sign in pattern)
    assert like(pattern, text) == (re.fullmatch(expression, text, re.DOTALL) is not None)


def test_moments_beyond_the_calendar_are_its_ends() -> None:
    assert Moment(ago=1e12).when(NOW).year == 1
    assert Moment(ago=-1e12).when(NOW).year == 9999
    assert to_moment("0001-01-01T00:00:00+12:00") is None
    assert to_moment("2026-13-01") is None
    assert to_moment("\udcc0") is None
    assert to_moment("2026-11-01T00:00:00") == dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


texts = st.sampled_from(("alice", "bob", "exec", "T3", "prod"))
moments = st.integers(0, 10).map(lambda day: Moment(dt.datetime(2026, 11, 1 + day, tzinfo=dt.UTC))) | st.integers(
    -5, 5
).map(lambda days: Moment(ago=86400.0 * days))
fields = st.sampled_from(("user", "event", "code", "nothing", "server_labels.env", "exit", "user_roles"))
leaves: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Compare, fields, st.sampled_from(("=", "!=", "<", ">=")), texts | st.integers(-1, 2).map(float)),
    st.builds(Compare, st.just("time"), st.sampled_from(("=", "<", "<=", ">", ">=")), moments),
    st.builds(In, fields, st.lists(texts, min_size=1, max_size=3).map(tuple)),
    st.builds(Like, fields, st.sampled_from(("a%", "%c_", "%lic%", "%"))),
    st.builds(Between, st.just("time"), moments, moments),
    st.builds(IsNull, fields),
)
conditions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)
events = st.fixed_dictionaries(
    {"event": texts, "time": st.integers(1, 12).map(lambda day: f"2026-11-{day:02}T08:00:00.000Z")},
    optional={
        "user": texts, "code": texts, "exit": st.integers(-1, 2), "server_labels": st.dictionaries(st.just("env"), texts),
        "user_roles": st.lists(texts, max_size=2),
    },
)  # fmt: skip


def naive(condition: Condition, event: dict[str, Any]) -> bool:
    """The meaning once more, written as simply as possible."""
    match condition:
        case And(parts):
            return all(naive(part, event) for part in parts)
        case Or(parts):
            return any(naive(part, event) for part in parts)
        case Not(of):
            return not naive(of, event)
    value = event.get("server_labels", {}).get("env") if "." in condition.field else event.get(condition.field)
    if isinstance(condition, IsNull):
        return value is None
    return any(leaf(condition, one) for one in (value if isinstance(value, list) else [value]))


def leaf(condition: Any, value: Any) -> bool:
    match condition:
        case In(_, values):
            return value in values
        case Like(_, pattern):
            regular = pattern.replace("%", ".*").replace("_", ".")
            return isinstance(value, str) and re.fullmatch(regular, value) is not None
        case Between(_, low, high):
            return ordered(">=", value, low) and ordered("<=", value, high)
    return ordered(condition.operator, value, condition.value)


def ordered(operator: str, left: Any, right: Any) -> bool:
    if isinstance(right, Moment):
        left, right = dt.datetime.fromisoformat(left), right.at or NOW - dt.timedelta(seconds=right.ago)
    elif isinstance(left, str) != isinstance(right, str) or left is None:
        return False
    return bool(
        {"=": lambda: left == right, "!=": lambda: left != right, "<": lambda: left < right, "<=": lambda: left <= right,
         ">": lambda: left > right, ">=": lambda: left >= right}[operator]()
    )  # fmt: skip


@given(conditions, events)
def test_an_event_is_meant_as_a_plain_reading_says(condition: Condition, event: dict[str, Any]) -> None:
    assert holds(condition, event, NOW) == naive(condition, event)


@given(conditions, events)
def test_bounds_never_leave_out_what_is_meant(condition: Condition, event: dict[str, Any]) -> None:
    known = bounds(EventQuery(where=condition), NOW)
    if not holds(condition, event, NOW):
        return
    moment = dt.datetime.fromisoformat(event["time"])
    assert known.since is None or moment >= known.since
    assert known.until is None or moment < known.until
    assert not known.types or event["event"] in known.types
    assert not known.user or event["user"] == known.user
    assert known.text in str(event)


def test_bounds_of_what_must_hold() -> None:
    query = parse(
        "SELECT * FROM events WHERE time >= '2026-11-01' AND time > '2026-11-02' AND time < now() AND user = 'alice'"
        " AND (event IN ('exec', 'x') AND event IN ('exec', 'y')) AND sid = 'abcdef' AND message LIKE '%cannot _ open%'"
    )
    assert bounds(query, NOW) == Bounds(
        since=dt.datetime(2026, 11, 2, tzinfo=dt.UTC), until=NOW, types=frozenset({"exec"}), user="alice", text="cannot "
    )  # fmt: skip
    assert bounds(parse("SELECT * FROM events WHERE user = 'a' OR user = 'b'"), NOW) == Bounds()
    assert bounds(parse("SELECT * FROM events"), NOW) == Bounds()
    end = Compare("time", "<=", Moment(dt.datetime.max.replace(tzinfo=dt.UTC)))
    assert bounds(EventQuery(where=end), NOW).until is None


def test_rows_show_what_was_asked_for() -> None:
    assert EventQuery(("user", "x.y")).show(EVENT) == {"user": "alice", "x.y": None}
    assert EventQuery().show(EVENT) == EVENT
    assert EventQuery(("a",)).columns == ("a",)
    assert EventQuery(counts=True).columns == ("count",)
    assert EventQuery(counts=True, group="user").columns == ("user", "count")
