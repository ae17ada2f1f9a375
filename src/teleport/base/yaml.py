"""YAML that people write: plain data with positions, so that every complaint names file, line and column.

Here: reading documents within bounds, telling everything that is wrong in the order of the text, turning a
document into a Struct. Not here: what is wrong (`yaml_shape`), what fields mean (`model`), writing (`cli.common`).

Theory of operation. The text is read twice. First as a flat stream of events, which costs no stack, to
bound depth; then composed into nodes, which are built into plain data by this file and not by PyYAML, so
that no tag can make an object and each expansion of an alias is counted. Scalars follow YAML 1.1, where
`yes`, `no`, `on` and `off` are booleans, with three exceptions that protect people: keys are always text
as written, times stay text, and `22:22` is text, not a number of base 60.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import yaml

from teleport.base import yaml_shape
from teleport.base.errors import BadParameter
from teleport.base.escape import escape
from teleport.base.struct import convert
from teleport.base.text import did_you_mean
from teleport.base.yaml_shape import without_nulls

T = TypeVar("T")
Path = yaml_shape.Path

MAX_BYTES, MAX_DEPTH, MAX_NODES = 1_000_000, 64, 100_000
"""Bounds of one text: size, nesting, and nodes after aliases are expanded. Expanded text: twice MAX_BYTES."""

MANY = 50
"""Problems that are listed, and unknown keys for which a likely word is looked for."""
_MAX_DIGITS = 80
"""Digits of an integer. Python refuses to write very large ones, so they must not come in."""
_TAG = "tag:yaml.org,2002:"
_WORDS = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}
_PLACED = re.compile(r":(\d+):(\d+): ")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class _Place:
    """Where a value's key (or the value itself, in a list) stands, counted from 0, and what is inside it."""

    line: int
    column: int
    inside: dict[str | int, _Place] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a text."""

    data: Any
    """None, bool, int, float, str, list, or dict with text keys."""
    source: str
    _place: _Place = field(repr=False)

    def where(self, path: Path = ()) -> str:
        """Return `file:line:col` of the value at `path`, or of the nearest thing around it that exists."""
        line, column = self.position(path)
        return f"{self.source}:{line}:{column}"

    def position(self, path: Path = ()) -> tuple[int, int]:
        """Return line and column that `where` names."""
        place = self._place
        for step in path:
            if step not in place.inside:
                break
            place = place.inside[step]
        return place.line + 1, place.column + 1


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a document: where, in which field, and what."""

    where: str
    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.path}: {self.text}" if self.path else f"{self.where}: {self.text}"


def documents(text: str, source: str) -> list[Document]:
    """Read every document of `text`; empty ones are left out. `source` is the name shown in errors.

    Raises BadParameter: CFG-YAML-BOMB beyond the bounds, CFG-YAML-SYNTAX for everything else.
    """
    text = text.removeprefix("\ufeff")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise BadParameter("CFG-YAML-SYNTAX", where=source, problem="the text is not valid Unicode") from None
    if size > MAX_BYTES:
        raise BadParameter("CFG-YAML-BOMB", where=source, problem=f"it is larger than {MAX_BYTES} bytes")
    try:
        _bound(text, source)
        builder = _Builder(source)
        roots = list(yaml.compose_all(text, Loader=_Loader))
    except yaml.YAMLError as error:
        raise _syntax(error, text, source) from None
    found = [builder.document(root) for root in roots if root is not None]
    return [document for document in found if document.data is not None]


def _bound(text: str, source: str) -> None:
    """Refuse what is too deep or too much before any of it is composed."""
    depth, nodes = 0, 0
    for event in yaml.parse(text, Loader=_Loader):
        nodes += isinstance(event, yaml.NodeEvent)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            problem = f"it has more than {MAX_DEPTH} levels" if depth > MAX_DEPTH else f"more than {MAX_NODES} nodes"
            raise BadParameter("CFG-YAML-BOMB", where=_where(event.start_mark, source), problem=problem)


def _where(mark: Any, source: str) -> str:
    """Return `file:line:col` of a mark of PyYAML, whose counts start at 0."""
    return f"{source}:{mark.line + 1}:{mark.column + 1}"


def _syntax(error: yaml.YAMLError, text: str, source: str) -> BadParameter:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    position = getattr(error, "position", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it is not YAML"
    if mark is not None:
        where = _where(mark, source)
    elif isinstance(position, int):
        before = text.encode()[:position].decode(errors="replace")
        where = f"{source}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
    else:
        where = source
    return BadParameter("CFG-YAML-SYNTAX", where=where, problem=escape(str(problem)))


class _Builder:
    """Turns nodes into plain data and counts what that costs, over all documents of a text."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._nodes = 0
        self._characters = 0

    def document(self, root: yaml.Node) -> Document:
        """Build one document."""
        place = self._place(root)
        return Document(self._build(root, place, 0), self._source, place)

    def _build(self, node: yaml.Node, place: _Place, depth: int) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH or self._characters > 2 * MAX_BYTES:
            raise BadParameter(
                "CFG-YAML-BOMB",
                where=_where(node.start_mark, self._source),
                problem="its aliases expand beyond all bounds",
            )
        if isinstance(node, yaml.ScalarNode):
            self._characters += len(node.value)
            return self._scalar(node)
        wanted = "seq" if isinstance(node, yaml.SequenceNode) else "map"
        if node.tag != _TAG + wanted:
            raise self._wrong(node, f"the tag {node.tag} is not allowed")
        return self._list(node, place, depth) if wanted == "seq" else self._dict(node, place, depth)

    def _list(self, node: yaml.Node, place: _Place, depth: int) -> list[Any]:
        result = []
        for index, entry in enumerate(node.value):
            place.inside[index] = self._place(entry)
            result.append(self._build(entry, place.inside[index], depth + 1))
        return result

    def _dict(self, node: yaml.Node, place: _Place, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: list[yaml.Node] = []
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._wrong(key, "a key must be a single word or text")
            if key.tag == _TAG + "merge":
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
                continue
            self._characters += len(key.value)
            if key.value in result:
                first = place.inside[key.value].line + 1
                raise self._wrong(key, f"the key {key.value[:60]!r} is given twice, first in line {first}")
            place.inside[key.value] = self._place(key)
            result[key.value] = self._build(value, place.inside[key.value], depth + 1)
        for other in merged:
            self._merge(other, result, place, depth)
        return result

    def _merge(self, node: yaml.Node, into: dict[str, Any], place: _Place, depth: int) -> None:
        """`<<: *other`: keys of another map, where this one has none (https://yaml.org/type/merge.html)."""
        if not isinstance(node, yaml.MappingNode):
            raise self._wrong(node, "only maps can be merged")
        other = self._place(node)
        for key, value in self._build(node, other, depth + 1).items():
            if key not in into:
                into[key], place.inside[key] = value, other.inside[key]

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        kind = node.tag.removeprefix(_TAG)
        try:
            match kind:
                case "str" | "timestamp" | "value" | "merge":
                    return node.value
                case "null":
                    return None
                case "bool":
                    return _WORDS[node.value.lower()]
                case "int":
                    return _integer(node.value)
                case "float":
                    return _float(node.value)
        except (ValueError, KeyError):
            raise self._wrong(node, f"{node.value[:60]!r} is not a value of type {kind}") from None
        raise self._wrong(node, f"the tag {node.tag} is not allowed")

    def _place(self, node: yaml.Node) -> _Place:
        return _Place(node.start_mark.line, node.start_mark.column)

    def _wrong(self, node: yaml.Node, problem: str) -> BadParameter:
        return BadParameter("CFG-YAML-SYNTAX", where=_where(node.start_mark, self._source), problem=escape(problem))


def _integer(text: str) -> int | str:
    if ":" in text:
        return text
    digits = text.replace("_", "")
    sign, digits = (-1, digits[1:]) if digits.startswith("-") else (1, digits.removeprefix("+"))
    if len(digits) > _MAX_DIGITS:
        raise ValueError("beyond every number that means something here")
    for prefix, base in (("0b", 2), ("0x", 16), ("0", 8)):
        if digits.startswith(prefix) and len(digits) > len(prefix):
            return sign * int(digits[len(prefix) :], base)
    return sign * int(digits)


def _float(text: str) -> float | str:
    if ":" in text:
        return text
    digits = text.replace("_", "").lower()
    return float(digits.replace(".inf", "inf").replace(".nan", "nan"))


def problems(document: Document, struct_type: Any, path: Path = ()) -> list[Problem]:
    """Return everything that keeps the part of `document` at `path` from being a `struct_type`: unknown keys, each with
    a suggestion, values that are wrong and values that are missing, in the order of the text."""
    found = sorted(
        yaml_shape.faults(yaml_shape.part(document.data, path), struct_type, path),
        key=lambda fault: document.position(fault.path),
    )
    looked_for, told = 0, []
    for fault in found:
        text = escape(fault.text)
        if fault.known is not None:
            # what looking for a likely word costs is bounded: a text may have a hundred thousand wrong keys
            text += did_you_mean(str(fault.path[-1]), fault.known if looked_for < MANY else ())
            looked_for += 1
        told.append(Problem(document.where(fault.path), _dotted(fault.path), text))
    return told


def listed(source: str, problems: Iterable[str]) -> str:
    """Return problems that begin with their place as lines in the order of the text, those beyond MANY as a number."""

    def place(line: str) -> tuple[int, ...]:
        match = _PLACED.match(line, len(source))
        return tuple(map(int, match.groups())) if match else ()

    lines = sorted(problems, key=place)
    if len(lines) > MANY:
        lines[MANY:] = [f"{source}: and {len(lines) - MANY} more"]
    return "\n".join(lines)


def read(document: Document, struct_type: type[T]) -> T:
    """Turn a document into `struct_type`. Raises BadParameter (CFG-YAML-FIELDS) that lists every problem."""
    if found := problems(document, struct_type):
        raise BadParameter("CFG-YAML-FIELDS", problems=listed(document.source, map(str, found)))
    return convert(without_nulls(document.data), struct_type)


def _dotted(path: Path) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{escape(step)}" for step in path)
    return text.removeprefix(".")
