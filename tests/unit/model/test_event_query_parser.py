"""The words of queries: what is read, what is refused and where, and that writing is the inverse of reading."""

# ruff: noqa: E501, S608, SIM905 - the queries are ours and read best in one line

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from teleport.base.errors import BadParameter
from teleport.model.event_query import And, Between, Compare, EventQuery, In, IsNull, Like, Moment, Not, Or
from teleport.model.event_query_parser import MAX_LENGTH, parse, write


def test_everything_at_once() -> None:
    assert parse(
        "SELECT time, user, addr.remote FROM events WHERE user = 'al''ice' AND time > '2026-11-01' AND event IN"
        " ('user.login', 'exec') OR NOT code LIKE 'T3%' ORDER BY time ASC LIMIT 50"
    ) == EventQuery(
        fields=("time", "user", "addr.remote"),
        where=Or(
            (
                And(
                    (
                        Compare("user", "=", "al'ice"),
                        Compare("time", ">", Moment(dt.datetime(2026, 11, 1, tzinfo=dt.UTC))),
                        In("event", ("user.login", "exec")),
                    )
                ),
                Not(Like("code", "T3%")),
            )
        ),
        descending=False,
        limit=50,
    )
    assert parse("select count(*) from events") == EventQuery(counts=True)
    assert parse("select user, count(*) from events group by user limit 5") == EventQuery(
        counts=True, group="user", limit=5
    )
    assert parse("select * from events where a between now() - 1h30m and now() + 1d and b is not null").where == And(
        (Between("a", Moment(ago=5400.0), Moment(ago=-86400.0)), Not(IsNull("b")))
    )


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", 1, "SELECT is missing"),
        ("selec * from events", 1, "did you mean 'SELECT'"),
        ("select * form events", 10, "did you mean 'FROM'"),
        ("select from events", 8, "a field, * or COUNT(*) is missing"),
        ("select * from logs", 15, "the only one is events"),
        ("select * from events wher a = 1", 22, "did you mean 'WHERE'"),
        ("select * from events where user lik 'a'", 33, "did you mean 'LIKE'"),
        ("select * from events where user = alice", 35, "'alice'"),
        ("select * from events where user = ", 35, "a value is missing"),
        ("select * from events where user = 'alice", 35, "no end"),
        ("select * from events where user = \"alice\"", 35, "means nothing"),
        ("select * from events where user like 5", 38, "LIKE takes a text"),
        ("select * from events where (user = 'a'", 39, ") is missing"),
        ("select * from events where time > 'yesterday'", 35, "this is no time"),
        ("select * from events where time > now() - 5", 43, "a length of time is missing"),
        ("select * from events where time > now() - 99999999999d", 43, "centuries"),
        ("select * from events order by user", 31, "in the order of time only"),
        ("select count(*) from events order by time", 38, "counts have no order"),
        ("select * from events limit 0", 28, "LIMIT takes"),
        ("select * from events limit 5.5", 28, "LIMIT takes"),
        ("select user, count(*) from events", 8, "GROUP BY field"),
        ("select user from events group by user", 8, "GROUP BY field"),
        ("select user, count(*) from events group by code", 8, "GROUP BY field"),
        ("select * from events; drop table events", 21, "means nothing"),
        ("select * from events where a = 1234567890123456789", 32, "at most 18"),
        (f"select {'a' * 201} from events", 8, "too long"),
        ("select * from events where " + "(" * 33 + "a = 1" + ")" * 33, 60, "within each other"),
        ("select * from events where a in (" + ", ".join("1" * 201) + ")", 635, "more than 200 values"),
        ("select " + ", ".join("a" * 202) + " from events", 609, "more than 200 fields"),
        ("select * from events where a like '" + "x" * 255 + "'", 35, "at most 256"),
        ("select '\udcc0' from events", 9, "half of a character"),
        ("x" * (MAX_LENGTH + 1), MAX_LENGTH, "too long"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(text: str, column: int, words: str) -> None:
    with pytest.raises(BadParameter) as caught:
        parse(text)
    assert caught.value.code == "EVENT-QUERY"
    assert words in caught.value.fields["problem"]
    assert caught.value.fields["column"] == str(column)


_WORDS = st.sampled_from(
    "SELECT FROM events WHERE user = 'a' 'b''' AND OR NOT IN ( ) , * COUNT LIKE BETWEEN IS NULL ORDER BY time DESC LIMIT"
    " 5 -1.5 now() - + 7d 1h TRUE a.b '2026-11-01' < >= != GROUP \u0130 ' . ;".split(" ")
)


@given(st.text() | st.lists(_WORDS, max_size=30).map(" ".join))
@example("select * from events where a = -")
def test_nothing_but_its_own_error_is_raised(text: str) -> None:
    try:
        query = parse(text)
    except BadParameter as error:
        assert error.code == "EVENT-QUERY"  # noqa: PT017
        assert 1 <= int(error.fields["column"]) <= len(text) + 1  # noqa: PT017
        return
    assert parse(write(query)) == query


names = st.sampled_from(("user", "event", "addr.remote", "server_labels.env", "x-y", "selected"))
values = st.one_of(
    st.text(max_size=10),
    st.booleans(),
    st.integers(-(10**15), 10**15).map(float),
    st.integers(-(10**6), 10**6).map(lambda n: n / 1000),
    st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30), timezones=st.just(dt.UTC)).map(Moment),
    st.integers(-(10**10), 10**10).map(lambda n: Moment(ago=n / 1000)),
)


def test_relative_times_and_numbers_are_written_as_they_were() -> None:
    for text in ("now() - 1h30m", "now() + 500ms", "now()", "0.0000000000000123", "-5", "1.25", "TRUE", "'it''s'"):
        query = parse(f"select * from events where x = {text}")
        assert parse(write(query)) == query


tests = st.one_of(
    st.builds(Compare, names, st.sampled_from(("=", "!=", "<", "<=", ">", ">=")), values),
    st.builds(Compare, st.just("time"), st.just("<"), values.filter(lambda value: isinstance(value, Moment))),
    st.builds(In, names, st.lists(values, min_size=1, max_size=4).map(tuple)),
    st.builds(Like, names, st.text(max_size=10)),
    st.builds(Between, names, values, values),
    st.builds(IsNull, names),
).filter(lambda test: _writable(test))


def _writable(test: object) -> bool:
    """A point in time can only be written beside a field that is a time."""
    parts = [test.value] if isinstance(test, Compare) else list(test) if isinstance(test, Between) else []
    parts += test.values if isinstance(test, In) else []
    name = getattr(test, "field", "")
    return name == "time" or not any(isinstance(part, Moment) and part.at is not None for part in parts)


trees = st.recursive(
    tests,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=5,
)


@given(
    st.builds(
        EventQuery,
        fields=st.lists(names, max_size=3, unique=True).map(tuple),
        where=st.none() | trees,
        descending=st.booleans(),
        limit=st.integers(0, 1000),
        counts=st.just(False),
        group=st.just(""),
    )
)
def test_what_is_written_is_read_as_the_same(query: EventQuery) -> None:
    assert parse(write(query)) == query
