"""Predicates: the small language of `where`, of label expressions and of resource filters.

`labels["env"] == "prod" && contains(user.spec.traits["teams"], "ops")`. The text becomes a tree once, with
every name checked, so that a typing error is told with its column; evaluating is a walk over plain
data. There are no loops and no definitions: cost is bounded by the sizes of text and data.

Precedence, weakest first: `||`, `&&`, `==` and `!=`, `!`. A missing field is an empty text and an empty list.

Not here: what the names stand for in a rule (`access.rules`) or a selector (`access.roleset`).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Union

from teleport.access.labels import matcher
from teleport.access.traits import email_local
from teleport.base import regexp
from teleport.base.errors import BadParameter

MAX_LENGTH = 4096
"""Characters of an expression."""
MAX_DEPTH = 32
"""Parentheses, calls and negations within each other."""
MAX_TEXT = 4096
"""Characters of a value that a regular expression is tried on."""

Value = Any
"""Text, number, truth, list of texts, mapping, or None for a missing field."""


class Language(NamedTuple):
    """Where a predicate stands, and with it the names it may use."""

    name: str
    roots: frozenset[str]
    functions: frozenset[str]


class Literal(NamedTuple):
    value: Value


class Path(NamedTuple):
    """A field of the data: `user.spec.traits["x"]`."""

    root: str
    fields: tuple[str, ...]


class Call(NamedTuple):
    function: str
    arguments: tuple[Node, ...]


class Not(NamedTuple):
    of: Node


class Chain(NamedTuple):
    """Two or more parts joined by `&&` or by `||`."""

    every: bool
    parts: tuple[Node, ...]


class Equal(NamedTuple):
    left: Node
    right: Node
    wanted: bool


Node = Union[Literal, Path, Call, Not, Chain, Equal]  # noqa: UP007 - evaluated at run time, with forward references


class Predicate(NamedTuple):
    """A parsed expression."""

    text: str
    tree: Node
    roots: frozenset[str]
    """The names of data that it mentions."""


_TOKEN = re.compile(
    r"""\s*(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<number>[0-9]{1,15}(?:\.[0-9]{1,15})?)"""
    r"""|(?P<text>"(?:[^"\\]|\\.)*"|`[^`]*`|'(?:[^'\\]|\\.)*')|(?P<sign>&&|\|\||==|!=|[!().,\[\]]))"""
)
_ESCAPES = {"n": "\n", "t": "\t"}


class _Token(NamedTuple):
    sort: str
    text: str
    column: int


@functools.lru_cache(maxsize=4096)
def parse(text: str, language: Language) -> Predicate:
    """Read an expression. Raises BadParameter (POL-PREDICATE) with the column."""
    parser = _Parser(text, language)
    tree = parser.whole()
    return Predicate(text, tree, frozenset(parser.roots))


def _refused(text: str, problem: str, column: int) -> BadParameter:
    return BadParameter("POL-PREDICATE", text=text[:120], problem=problem, column=column)


def _tokens(text: str) -> list[_Token]:
    if len(text) > MAX_LENGTH:
        raise _refused(text, f"it is longer than {MAX_LENGTH} characters", MAX_LENGTH)
    tokens: list[_Token] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            at = len(text) - len(text[at:].lstrip())
            raise _refused(text, f"unexpected {text[at]!r}", at + 1)
        sort = match.lastgroup
        tokens.append(_Token(sort, match[sort], match.start(sort) + 1))
        at = match.end()
    return [*tokens, _Token("end", "the end", len(text) + 1)]


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, text: str, language: Language) -> None:
        self.text = text
        self.language = language
        self.tokens = _tokens(text)
        self.at = 0
        self.depth = 0
        self.roots: set[str] = set()

    def whole(self) -> Node:
        tree = self._either()
        if self._token.sort != "end":
            raise self._unexpected()
        return tree

    @property
    def _token(self) -> _Token:
        return self.tokens[self.at]

    def _unexpected(self) -> BadParameter:
        return _refused(self.text, f"unexpected {self._token.text}", self._token.column)

    def _take(self, sign: str) -> bool:
        if self._token.sort == "sign" and self._token.text == sign:
            self.at += 1
            return True
        return False

    def _expect(self, sign: str) -> None:
        if not self._take(sign):
            raise _refused(self.text, f"expected {sign} and found {self._token.text}", self._token.column)

    def _either(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _refused(self.text, "it is nested too deeply", self._token.column)
        parts = [self._both()]
        while self._take("||"):
            parts.append(self._both())
        self.depth -= 1
        return parts[0] if len(parts) == 1 else Chain(False, tuple(parts))

    def _both(self) -> Node:
        parts = [self._comparison()]
        while self._take("&&"):
            parts.append(self._comparison())
        return parts[0] if len(parts) == 1 else Chain(True, tuple(parts))

    def _comparison(self) -> Node:
        left = self._negation()
        if self._take("=="):
            return Equal(left, self._negation(), True)
        return Equal(left, self._negation(), False) if self._take("!=") else left

    def _negation(self) -> Node:
        negations = 0
        while self._take("!"):
            negations += 1
        primary = self._primary()
        # two negations of a truth are none; of anything else they are an error, which one of them reports too
        return primary if negations == 0 else Not(primary) if negations % 2 else Not(Not(primary))

    def _primary(self) -> Node:
        token = self._token
        if self._take("("):
            inner = self._either()
            self._expect(")")
            return inner
        if token.sort not in ("text", "number", "name"):
            raise self._unexpected()
        self.at += 1
        if token.sort == "text":
            return Literal(_unquoted(token.text))
        if token.sort == "number":
            return Literal(float(token.text))
        if token.text in ("true", "false"):
            return Literal(token.text == "true")
        return self._named(token)

    def _named(self, first: _Token) -> Node:
        """Read a path or a call; which of both shows at its end."""
        names, plain = [first.text], True
        while True:
            if self._take("."):
                if self._token.sort != "name":
                    raise self._unexpected()
                names.append(self._token.text)
                self.at += 1
            elif self._take("["):
                if self._token.sort != "text":
                    raise _refused(self.text, "expected a text in [ ]", self._token.column)
                names.append(_unquoted(self._token.text))
                self.at += 1
                self._expect("]")
                plain = False
            else:
                break
        if plain and self._take("("):
            return self._call(".".join(names), first)
        if first.text not in self.language.roots:
            raise _refused(self.text, f"unknown name {first.text} in {self.language.name}", first.column)
        self.roots.add(first.text)
        return Path(first.text, tuple(names[1:]))

    def _call(self, function: str, first: _Token) -> Call:
        if function not in self.language.functions:
            raise _refused(self.text, f"unknown function {function} in {self.language.name}", first.column)
        arguments: list[Node] = []
        while not self._take(")"):
            if arguments:
                self._expect(",")
            arguments.append(self._either())
        least, most, _ = _FUNCTIONS[function]
        if not least <= len(arguments) <= most:
            raise _refused(self.text, f"{function} has {least} arguments or more, up to {most}", first.column)
        return Call(function, tuple(arguments))


def _unquoted(token: str) -> str:
    if token[0] == "`":
        return token[1:-1]
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1] if m[1] in "\\\"'" else m[0]), token[1:-1])


def evaluate(predicate: Predicate, data: Mapping[str, Value]) -> bool:
    """Say whether the expression is true of the data. Raises BadParameter (POL-PREDICATE-VALUE)."""
    try:
        return _truth(_value(predicate.tree, data))
    except (_TypeProblem, BadParameter) as error:
        raise BadParameter("POL-PREDICATE-VALUE", text=predicate.text[:120], problem=error) from None


class _TypeProblem(Exception):
    """A value is not of the type that its place needs."""


def _truth(value: Value) -> bool:
    if not isinstance(value, bool):
        raise _TypeProblem("a truth was expected, for example a comparison")
    return value


def _value(node: Node, data: Mapping[str, Value]) -> Value:
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Path):
        return _field(node, data)
    if isinstance(node, Call):
        return _FUNCTIONS[node.function][2](data, *(_value(argument, data) for argument in node.arguments))
    if isinstance(node, Not):
        return not _truth(_value(node.of, data))
    if isinstance(node, Equal):
        return _equal(_value(node.left, data), _value(node.right, data)) == node.wanted
    return any(_truth(_value(part, data)) != node.every for part in node.parts) != node.every


def _field(path: Path, data: Mapping[str, Value]) -> Value:
    if path.root not in data:
        raise _TypeProblem(f"there is no {path.root} here")
    value = data[path.root]
    for name in path.fields:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return tuple(value) if isinstance(value, list) else value


def _equal(left: Value, right: Value) -> bool:
    return bool(("" if left is None else left) == ("" if right is None else right)) and (
        isinstance(left, bool) == isinstance(right, bool)
    )


def _list(value: Value) -> tuple[str, ...]:
    if value is None:
        return ()
    values = value if isinstance(value, tuple) else (value,)
    if not all(isinstance(entry, str) for entry in values):
        raise _TypeProblem("a list of texts was expected")
    return values


def _text(value: Value) -> str:
    if value is not None and not isinstance(value, str):
        raise _TypeProblem("a text was expected")
    return value or ""


def _lists(values: tuple[Value, ...]) -> tuple[str, ...]:
    return tuple(entry for value in values for entry in _list(value))


def _short(values: tuple[str, ...]) -> tuple[str, ...]:
    if any(len(value) > MAX_TEXT for value in values):
        raise _TypeProblem(f"a value is longer than {MAX_TEXT} characters")
    return values


def _replaced(values: Value, pattern: Value, replacement: Value) -> tuple[str, ...]:
    compiled = regexp.compile(_text(pattern))
    found = (compiled.replace(value, _text(replacement)) for value in _short(_list(values)))
    return tuple(value for value in found if value)


def _searched(data: Mapping[str, Value], terms: tuple[Value, ...]) -> bool:
    labels = data.get("labels") or {}
    places = [str(data.get("name", "")), *labels, *labels.values()]
    return all(any(_text(term).lower() in place.lower() for place in places) for term in terms)


def _all_end_with(values: tuple[str, ...], end: str) -> bool:
    return bool(values) and all(value.endswith(end) for value in values)


def _mapped(change: Callable[[str], str]) -> Callable[..., Value]:
    return lambda data, values: tuple(changed for value in _list(values) if (changed := change(value)))


_MANY = 64
_FUNCTIONS: Mapping[str, tuple[int, int, Callable[..., Value]]] = {
    "equals": (2, 2, lambda data, a, b: _equal(a, b)),
    "exists": (1, 1, lambda data, a: a is not None),
    "contains": (2, 2, lambda data, values, x: _text(x) in _list(values)),
    "contains_all": (2, _MANY, lambda data, values, *xs: {*_lists(xs)} <= {*_list(values)} and bool(_lists(xs))),
    "contains_any": (2, _MANY, lambda data, values, *xs: not {*_lists(xs)}.isdisjoint(_list(values))),
    "all_end_with": (2, 2, lambda data, values, end: _all_end_with(_list(values), _text(end))),
    "set": (0, _MANY, lambda data, *xs: _lists(xs)),
    "regexp.match": (2, 2, lambda data, values, p: any(matcher(_text(p))(v) for v in _short(_list(values)))),
    "regexp.replace": (3, 3, lambda data, values, pattern, text: _replaced(values, pattern, text)),
    "email.local": (1, 1, _mapped(email_local)),
    "strings.upper": (1, 1, _mapped(str.upper)),
    "strings.lower": (1, 1, _mapped(str.lower)),
    "labels_matching": (
        1, 1, lambda data, p: tuple(v for k, v in sorted(data.get("labels", {}).items()) if matcher(_text(p))(k)),
    ),
    "search": (1, _MANY, lambda data, *terms: _searched(data, terms)),
    "hasPrefix": (2, 2, lambda data, text, start: _text(text).startswith(_text(start))),
    "split": (2, 2, lambda data, text, by: tuple(_text(text).split(_text(by))) if by else (_text(text),)),
}  # fmt: skip
"""Least and most arguments of each function, and the function; its first parameter is the data."""

WHERE = Language(
    "a rule's where",
    frozenset({
        "user", "resource", "session", "session_tracker", "ssh_session", "impersonate_role", "impersonate_user",
    }),
    frozenset({"equals", "contains", "contains_all", "contains_any", "all_end_with", "set"}),
)  # fmt: skip
LABELS = Language(
    "a label expression",
    frozenset({"labels", "user"}),
    frozenset({
        "contains", "contains_any", "contains_all", "set", "regexp.match", "regexp.replace", "email.local",
        "strings.upper", "strings.lower", "labels_matching",
    }),
)  # fmt: skip
QUERY = Language(
    "a resource filter",
    frozenset({"labels", "name", "resource"}),
    frozenset({"equals", "exists", "search", "hasPrefix", "split", "contains", "contains_any", "contains_all", "set"}),
)
