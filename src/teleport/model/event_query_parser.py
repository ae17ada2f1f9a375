"""Reading and writing queries over audit events. `parse` and `write` are each other's inverse.

    query     = SELECT what FROM events [WHERE condition] [GROUP BY field] [ORDER BY time [ASC|DESC]] [LIMIT number]
    what      = "*" | COUNT(*) | field, COUNT(*) | field {, field}
    condition = weakest first: OR, AND, NOT, then one of  field op value | field [NOT] IN (value, ...)
                | field [NOT] LIKE 'pattern' | field [NOT] BETWEEN value AND value | field IS [NOT] NULL | ( condition )
    value     = 'text' | number | TRUE | FALSE | now() [(+|-) 7d]

Keywords are in upper or lower case. In a text two quotes stand for one. A text that is compared with `time` is a time
of RFC 3339 or a date.
"""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

from teleport.base.errors import BadParameter
from teleport.base.struct import Duration
from teleport.base.text import did_you_mean
from teleport.model.event_query import (
    OPERATORS,
    TIME,
    And,
    Between,
    Compare,
    Condition,
    EventQuery,
    In,
    IsNull,
    Like,
    Moment,
    Not,
    Or,
    Value,
    to_moment,
)
from teleport.model.events.base import rfc3339

MAX_LENGTH = 4096
"""Characters of a query."""
MAX_DEPTH = 32
"""Parentheses and negations within each other."""
MAX_ITEMS = 200
"""Values of one IN, and fields of one SELECT."""
MAX_PATTERN = 256
"""Characters of a LIKE: with the size of an event it bounds what comparing costs."""
MOST = 1_000_000
"""Largest LIMIT."""

_DIGITS = 18
_KEYWORDS = frozenset(
    (
        "SELECT", "FROM", "WHERE", "GROUP", "ORDER", "BY", "LIMIT", "AND", "OR", "NOT", "IN", "LIKE", "BETWEEN", "IS",
        "NULL", "ASC", "DESC", "COUNT", "TRUE", "FALSE",
    )
)  # fmt: skip
_MOMENTS = frozenset({TIME, "session_start", "session_stop"})
"""Fields that a text is compared with as a moment."""
_COMMON = (
    "time", "user", "event", "code", "login", "uid", "sid", "cluster_name", "server_id", "server_hostname",
    "server_labels", "addr.remote", "addr.local", "command", "success", "message", "error", "reason", "name",
    "user_roles",
)  # fmt: skip
"""Fields to suggest; any field may be asked for."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<text>'(?:[^']|'')*')|(?P<span>(?:\d+(?:\.\d+)?(?:ns|us|ms|s|m|h|d))+(?![\w.]))"
    r"|(?P<number>-?\d+(?:\.\d+)?(?![\w.]))|(?P<word>[A-Za-z_][\w\-]*(?:\.[A-Za-z_][\w\-]*)*)"
    r"|(?P<sign><=|>=|!=|<>|[=<>(),*+\-])",
    re.ASCII,
)


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


def parse(text: str) -> EventQuery:
    """Read a query. Raises BadParameter (EVENT-QUERY) with column and problem."""
    if len(text) > MAX_LENGTH:
        raise BadParameter("EVENT-QUERY", column=MAX_LENGTH, problem="it is too long", near=f"at most {MAX_LENGTH}")
    if (half := _SURROGATE.search(text)) is not None:
        _fail("", half.start(), "half of a character")
    return _Parser(text).query()


def _scan(text: str) -> list[_Token]:
    tokens, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            problem = "this text has no end" if text[at] == "'" else f"{text[at]!r} means nothing here"
            _fail(text, at, problem)
        if match.lastgroup != "space":
            tokens.append(_Token(str(match.lastgroup), match[0], at))
        at = match.end()
    return [*tokens, _Token("end", "", len(text))]


def _fail(text: str, at: int, problem: str) -> NoReturn:
    near = text[max(at - 20, 0) : at] + "»" + text[at : at + 20]
    raise BadParameter("EVENT-QUERY", column=at + 1, problem=problem, near=f"it stands here: {near}")


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _scan(text)
        self._at = 0
        self._depth = 0

    # -- tokens ------------------------------------------------------------------------------------------------

    @property
    def _token(self) -> _Token:
        return self._tokens[self._at]

    def _fail(self, problem: str) -> NoReturn:
        _fail(self._text, self._token.at, problem)

    def _is(self, *words: str) -> bool:
        """Whether the next tokens are these keywords or signs."""
        ahead = self._tokens[self._at : self._at + len(words)]
        return [token.text.upper() for token in ahead if token.kind != "text"] == list(words)

    def _take(self, *words: str) -> bool:
        if self._is(*words):
            self._at += len(words)
            return True
        return False

    def _need(self, word: str) -> None:
        if not self._take(word):
            found = self._token.text[:40]
            hint = did_you_mean(found.upper(), [word]) if self._token.kind == "word" else ""
            self._fail(f"{word} is missing" + (f" before {found!r}" if found else "") + hint)

    # -- the query ---------------------------------------------------------------------------------------------

    def query(self) -> EventQuery:
        self._need("SELECT")
        start = self._at
        fields, counts = self._what()
        self._need("FROM")
        table = self._field("the name of the table")
        if table != "events":
            self._at -= 1
            self._fail(f"there is no table {table!r}; the only one is events")
        where = self._either() if self._take("WHERE") else None
        group = self._field("a field to group by") if self._take("GROUP", "BY") else ""
        if group != ("" if not counts else (fields[0] if fields else "")):
            self._at = start
            self._fail("write SELECT field, COUNT(*) FROM events GROUP BY field, with the same field twice")
        descending = self._order(counts)
        limit = self._limit() if self._take("LIMIT") else 0
        if self._token.kind != "end":
            self._end()
        return EventQuery(() if counts else fields, where, descending, limit, counts, group)

    def _end(self) -> NoReturn:
        found = self._token.text[:40]
        known = ("WHERE", "AND", "OR", "GROUP", "ORDER", "LIMIT")
        hint = did_you_mean(found.upper(), known) if self._token.kind == "word" else ""
        self._fail(f"the query should end before {found!r}{hint}")

    def _what(self) -> tuple[tuple[str, ...], bool]:
        if self._take("*"):
            return (), False
        if self._take("COUNT", "(", "*", ")"):
            return (), True
        fields = [self._field("a field, * or COUNT(*)")]
        while self._take(","):
            if len(fields) == 1 and self._take("COUNT", "(", "*", ")"):
                return tuple(fields), True
            fields.append(self._field("a field"))
            if len(fields) > MAX_ITEMS:
                self._fail(f"more than {MAX_ITEMS} fields")
        return tuple(dict.fromkeys(fields)), False

    def _order(self, counts: bool) -> bool:
        if not self._take("ORDER", "BY"):
            return True
        if counts:
            self._fail("counts have no order: the largest is shown first")
        if not self._is("TIME"):
            self._fail("events are found in the order of time only: any other would need all of them before the first")
        self._at += 1
        if self._take("ASC"):
            return False
        self._take("DESC")
        return True

    def _limit(self) -> int:
        token = self._token
        if token.kind != "number" or not token.text.isdigit() or len(token.text) > 9 or not 0 < int(token.text) <= MOST:
            self._fail(f"LIMIT takes a whole number from 1 to {MOST}")
        self._at += 1
        return int(token.text)

    def _field(self, wanted: str) -> str:
        token = self._token
        if token.kind != "word" or token.text.upper() in _KEYWORDS:
            self._fail(f"{wanted} is missing")
        self._at += 1
        if len(token.text) > 200:
            self._at -= 1
            self._fail("this name is too long")
        return token.text

    # -- conditions --------------------------------------------------------------------------------------------

    def _either(self) -> Condition:
        parts = [self._both()]
        while self._take("OR"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _both(self) -> Condition:
        parts = [self._negated()]
        while self._take("AND"):
            parts.append(self._negated())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _negated(self) -> Condition:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail(f"more than {MAX_DEPTH} conditions within each other")
        try:
            if self._take("NOT"):
                return Not(self._negated())
            if self._take("("):
                inside = self._either()
                self._need(")")
                return inside
            return self._test()
        finally:
            self._depth -= 1

    def _test(self) -> Condition:
        field = self._field("a condition")
        if self._take("IS", "NOT", "NULL"):
            return Not(IsNull(field))
        if self._take("IS", "NULL"):
            return IsNull(field)
        if self._take("NOT"):
            return Not(self._named(field))
        for operator in (*OPERATORS, "<>"):
            if self._take(operator):
                return Compare(field, "!=" if operator == "<>" else operator, self._value(field))
        return self._named(field)

    def _named(self, field: str) -> Condition:
        if self._take("IN", "("):
            values = [self._value(field)]
            while self._take(","):
                values.append(self._value(field))
                if len(values) > MAX_ITEMS:
                    self._fail(f"more than {MAX_ITEMS} values")
            self._need(")")
            return In(field, tuple(values))
        if self._take("BETWEEN"):
            low = self._value(field)
            self._need("AND")
            return Between(field, low, self._value(field))
        if self._take("LIKE"):
            if self._token.kind != "text":
                self._fail("LIKE takes a text in quotes, for example 'T1%'")
            if len(self._token.text) > MAX_PATTERN:
                self._fail(f"a pattern has at most {MAX_PATTERN} characters")
            return Like(field, self._quoted())
        found = self._token.text[:40]
        hint = did_you_mean(found.upper(), ("LIKE", "IN", "BETWEEN", "IS", "NOT")) if self._token.kind == "word" else ""
        return self._fail(f"after {field!r} comes =, !=, <, <=, >, >=, IN (...), LIKE, BETWEEN or IS NULL{hint}")

    # -- values ------------------------------------------------------------------------------------------------

    def _value(self, field: str) -> Value:
        token = self._token
        if token.kind == "text":
            return self._text_value(field)
        if self._take("NOW", "(", ")"):
            return self._relative()
        if token.kind == "number":
            if len(token.text) > _DIGITS:
                self._fail(f"a number has at most {_DIGITS} characters")
            self._at += 1
            return float(token.text)
        if self._take("TRUE"):
            return True
        if self._take("FALSE"):
            return False
        if token.kind == "word":
            near = did_you_mean(token.text, _COMMON)
            self._fail(f"a value is missing; put texts in quotes: '{token.text[:40]}'{near}")
        return self._fail("a value is missing: 'text', a number, TRUE, FALSE or now() - 7d")

    def _text_value(self, field: str) -> Value:
        if field not in _MOMENTS:
            return self._quoted()
        moment = to_moment(self._token.text[1:-1])
        if moment is None:
            self._fail("this is no time; write '2026-11-01', '2026-11-01T08:00:00Z' or now() - 7d")
        self._at += 1
        return Moment(moment)

    def _relative(self) -> Moment:
        sign = 1.0 if self._is("-") else -1.0
        if not (self._take("-") or self._take("+")):
            return Moment()
        if self._token.kind != "span":
            self._fail("a length of time is missing, for example 30m or 7d")
        try:
            length = float(Duration.parse(self._token.text))
        except BadParameter:
            self._fail("this is no length of time, or one of centuries; write for example 30m or 7d")
        self._at += 1
        return Moment(ago=round(sign * length, 3) or 0.0)

    def _quoted(self) -> str:
        text = self._token.text[1:-1].replace("''", "'")
        self._at += 1
        return text


def write(query: EventQuery) -> str:
    """Write a query so that `parse` reads the same."""
    what = ", ".join(query.fields) or "*"
    if query.counts:
        what = f"{query.group}, COUNT(*)" if query.group else "COUNT(*)"
    parts = [f"SELECT {what} FROM events"]  # noqa: S608 - of our own language
    if query.where is not None:
        parts.append(f"WHERE {_written(query.where)}")
    if query.group:
        parts.append(f"GROUP BY {query.group}")
    if not query.counts:
        parts.append(f"ORDER BY time {'DESC' if query.descending else 'ASC'}")
    if query.limit:
        parts.append(f"LIMIT {query.limit}")
    return " ".join(parts)


def _written(condition: Condition) -> str:
    if isinstance(condition, And | Or):
        return (" AND " if isinstance(condition, And) else " OR ").join(f"({_written(p)})" for p in condition.parts)
    if isinstance(condition, Not):
        return f"NOT ({_written(condition.of)})"
    if isinstance(condition, IsNull):
        return f"{condition.field} IS NULL"
    if isinstance(condition, Like):
        return f"{condition.field} LIKE {_literal(condition.pattern)}"
    if isinstance(condition, In):
        return f"{condition.field} IN ({', '.join(_literal(value) for value in condition.values)})"
    if isinstance(condition, Between):
        return f"{condition.field} BETWEEN {_literal(condition.low)} AND {_literal(condition.high)}"
    return f"{condition.field} {condition.operator} {_literal(condition.value)}"


def _literal(value: Value) -> str:
    if isinstance(value, Moment):
        if value.at is not None:
            text = rfc3339(value.at) if not value.at.microsecond % 1000 else value.at.isoformat()
            return f"'{text}'"
        return f"now() {'-' if value.ago >= 0 else '+'} {Duration(abs(value.ago))}" if value.ago else "now()"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    text = repr(value)
    return (f"{value:.20f}".rstrip("0") if "e" in text else text).removesuffix(".0").removesuffix(".")
