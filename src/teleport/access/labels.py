"""Label selectors: which resources a side of a role speaks of.

A selector maps keys to values. All keys must be on the resource; of one key's values one must fit:
`*` any, `^...$` a regular expression, otherwise a glob in which `*` stands for any text. The empty
selector matches nothing and `{"*": "*"}` everything. Selectors are compiled once for a user's traits,
so that deciding does no parsing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

from teleport.access.traits import expand
from teleport.base import regexp
from teleport.base.errors import BadParameter
from teleport.model.identity import Traits
from teleport.model.role_spec import Labels, values_of


@functools.lru_cache(maxsize=4096)
def matcher(value: str) -> Callable[[str], bool]:
    """Return the test for one value of a selector. Raises BadParameter (POL-REGEXP)."""
    if value == "*":
        return lambda text: True
    if value.startswith("^") and value.endswith("$"):
        return regexp.compile(value).matches
    if value.endswith("*") and value.count("*") == 1:
        return functools.partial(_prefixed, value[:-1])
    if "*" in value:
        return functools.partial(_glob, tuple(value.split("*")))
    return value.__eq__


def _prefixed(start: str, text: str) -> bool:
    return text.startswith(start)


def _glob(pieces: tuple[str, ...], text: str) -> bool:
    """Match fixed pieces with any text between them: each at its first possible place, without going back."""
    first, *middle, last = pieces
    if len(text) < len(first) + len(last) or not (text.startswith(first) and text.endswith(last)):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in middle:
        at = text.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


class Miss(NamedTuple):
    """A key of a selector that does not fit."""

    key: str
    wanted: tuple[str, ...]
    found: str | None
    """The resource's value; None if it has no such label."""


class Selector:
    """A compiled selector."""

    __slots__ = ("_everything", "_keys", "wanted")

    def __init__(self, labels: Labels, traits: Traits) -> None:
        self.wanted = {key: _values(values_of(labels[key]), traits) for key in sorted(labels)}
        """Key to values, templates filled in; for explanations."""
        self._everything = self.wanted.get("*") == ("*",)
        self._keys = [
            (key, frozenset(v for v in values if "*" not in v and v[:1] != "^"), _patterns(values))
            for key, values in self.wanted.items()
        ]

    def __bool__(self) -> bool:
        return bool(self._keys)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether a resource with these labels is selected."""
        if self._everything:
            return True
        for key, literals, patterns in self._keys:
            found = labels.get(key)
            if found is None or (found not in literals and not (patterns and _fits_one(found, patterns))):
                return False
        return bool(self._keys)

    def misses(self, labels: Mapping[str, str]) -> tuple[Miss, ...]:
        """Return every key that keeps the resource from being selected; none for the empty selector."""
        if self._everything:
            return ()
        return tuple(
            Miss(key, self.wanted[key], labels.get(key))
            for key, literals, patterns in self._keys
            if (found := labels.get(key)) is None or (found not in literals and not _fits_one(found, patterns))
        )

    def __str__(self) -> str:
        return show(self.wanted)


def _fits_one(found: str, patterns: tuple[Callable[[str], bool], ...]) -> bool:
    for fits in patterns:  # noqa: SIM110 - a plain loop: this is the innermost part of every decision
        if fits(found):
            return True
    return False


def _values(values: tuple[str, ...], traits: Traits) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filled for value in values for filled in expand(value, traits)))


def _patterns(values: tuple[str, ...]) -> tuple[Callable[[str], bool], ...]:
    """Return the tests that need more than equality. A pattern that came from a trait may be no pattern:
    it then stands for itself and nothing else."""
    found: list[Callable[[str], bool]] = []
    for value in values:
        if "*" in value or value[:1] == "^":
            try:
                found.append(matcher(value))
            except BadParameter:
                found.append(value.__eq__)
    return tuple(found)


def show(labels: Mapping[str, tuple[str, ...]] | Mapping[str, str]) -> str:
    """Write labels or a selector as people read them: `env=prod, team=[a b]`."""
    if not labels:
        return "none"
    return ", ".join(f"{key}={_shown(labels[key])}" for key in sorted(labels))


def _shown(values: tuple[str, ...] | str) -> str:
    if isinstance(values, str):
        return values
    return values[0] if len(values) == 1 else f"[{' '.join(values)}]"
