"""Later: fields that are known, and refused until code acts on them.

A field of the product's documents that this build does not enforce is declared with the type `Unacted`
(or another with a `Later` mark). A document in which such a field would change what happens is refused,
with the field's path: nothing is silently ignored. Values that say what happens anyway are let through,
so that ordinary files of other versions still load.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from teleport.base.errors import BadParameter, NotSupported
from teleport.base.struct import Duration, Struct, Switch

Path = tuple[str | int, ...]


@dataclass(frozen=True, eq=False)
class Later:
    """Mark of a field without effect yet. `harmless` are the values that ask for what this build does anyway.

    Marks are compared by identity: `Annotated` shares what is equal, and 0 seconds equal False.
    """

    harmless: tuple[Any, ...] = ()

    def allows(self, value: object) -> bool:
        """Whether `value` changes nothing: nothing at all, a part that is switched off, or a harmless value."""
        if value in (None, "") or (isinstance(value, (list, tuple, dict)) and not value):
            return True
        if isinstance(value, Mapping) and "enabled" in value and is_off(value["enabled"]):
            return True
        return any(_same(value, known) for known in self.harmless)

    @property
    def supported(self) -> str:
        """The harmless values in words, for the error."""
        return " or ".join(_word(value) for value in self.harmless) or "leaving it out"


Unacted = Annotated[Any, Later()]
"""Any value but an empty one is refused."""
UnactedSwitch = Annotated[Any, Later((False,))]
"""A switch that may only be off."""


class Refusal(typing.NamedTuple):
    """A field whose value would change what happens, and does not."""

    path: Path
    later: Later
    beside: tuple[str, ...]
    """Fields of the same part that this build acts on."""


def is_off(value: object) -> bool:
    """Whether `value` is a switch that is off, in any of its spellings."""
    try:
        return not Switch.parse(value)
    except BadParameter:
        return False


def refusals(shape: type[Struct], data: object, path: Path = ()) -> Iterator[Refusal]:
    """Yield every refused field of `data`, which is a `shape` or the plain map it is made from."""
    fields = _fields(shape)
    for key, (attribute, later, inner) in fields.items():
        value = data.get(key) if isinstance(data, Mapping) else getattr(data, attribute, None)
        if later is not None:
            if not later.allows(value):
                yield Refusal((*path, key), later, tuple(k for k, f in fields.items() if f[1] is None))
        elif inner is not None and isinstance(value, (list, tuple)):
            for index, entry in enumerate(value):
                yield from refusals(inner, entry, (*path, key, index))
        elif inner is not None and value is not None:
            yield from refusals(inner, value, (*path, key))


class Leaf(typing.NamedTuple):
    """A field that has no fields inside which this build knows."""

    path: tuple[str, ...]
    """Names in documents; a list's name ends with `[]`."""
    later: Later | None
    """The mark, or None where the build acts on the field."""
    default: object
    """The value of who says nothing, None where it depends."""


def leaves(shape: type[Struct], path: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """Yield every field of `shape` and of the parts in it."""
    hints = typing.get_type_hints(shape)
    defaults = {field.encode_name: field.default for field in msgspec.structs.fields(shape)}
    for key, (attribute, later, inner) in _fields(shape).items():
        if later is None and inner is not None:
            several = "[]" if typing.get_origin(hints[attribute]) is tuple else ""
            yield from leaves(inner, (*path, key + several))
        else:
            default = defaults[key]
            yield Leaf((*path, key), later, None if default is msgspec.NODEFAULT else default)


def check_later(kind: str, spec: Struct) -> None:
    """Raise NotSupported (KIND-FIELD-NOT-SUPPORTED) for the first refused field of a resource's spec."""
    for refusal in refusals(type(spec), spec, ("spec",)):
        raise NotSupported(
            "KIND-FIELD-NOT-SUPPORTED", kind=kind, field=dotted(refusal.path), supported=refusal.later.supported
        )


def dotted(path: Path) -> str:
    """Return a path as people write it: `spec.active_keys.ssh[0]`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


@functools.cache
def _fields(shape: type[Struct]) -> Mapping[str, tuple[str, Later | None, type[Struct] | None]]:
    """Return of each field, by its name in documents: attribute, mark, and the Struct inside it."""
    hints = typing.get_type_hints(shape, include_extras=True)
    found = {}
    for attribute, key in zip(shape.__struct_fields__, shape.__struct_encode_fields__, strict=True):
        marks = [mark for mark in getattr(hints[attribute], "__metadata__", ()) if isinstance(mark, Later)]
        found[key] = (attribute, marks[0] if marks else None, _struct_in(hints[attribute]))
    return found


def _struct_in(hint: Any) -> type[Struct] | None:
    """Return the Struct that a field holds, alone, as one of a list, or beside None."""
    several = typing.get_origin(hint) in (tuple, typing.Union, types.UnionType)
    for candidate in (hint, *(typing.get_args(hint) if several else ())):
        if isinstance(candidate, type) and issubclass(candidate, msgspec.Struct):
            return typing.cast("type[Struct]", candidate)
    return None


def _same(value: object, known: object) -> bool:
    if isinstance(known, bool):
        try:
            return Switch.parse(value).on == known
        except BadParameter:
            return False
    if isinstance(known, Duration):
        try:
            return isinstance(value, (str, int, float)) and Duration.parse(value) == known
        except BadParameter:
            return False
    if isinstance(known, Mapping):
        return isinstance(value, Mapping) and all(k in known and _same(v, known[k]) for k, v in value.items())
    return value == known and not isinstance(value, bool)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_word(entry)}" for key, entry in value.items()) + "}"
    return str(value)
