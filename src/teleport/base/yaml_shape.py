"""What keeps plain data from having a shape: everything, where msgspec tells the first fault alone.

Theory of operation. Containers are entered along the shape, each once; what has nothing inside that can be entered is
converted by itself. So the work grows with the data, however many faults there are. Keys without a value count as left
out: `labels:` and nothing behind it says nothing.
"""

from __future__ import annotations

import functools
import re
import types
import typing
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec

from teleport.base.struct import convert

Path = tuple[str | int, ...]

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|(\[\.\.\.\])")
_WORDS = {"`object": "`mapping", "`array": "`list"}
"""What msgspec calls by the names that JSON has for them."""


class Wrong(NamedTuple):
    """A value, or a key, that the shape does not have."""

    path: Path
    text: str
    known: Sequence[str] | None = None
    """Of an unknown key: those that are known in its place."""


def faults(value: Any, shape: Any, path: Path = ()) -> list[Wrong]:
    """Return everything that is wrong with `value`, which stands at `path`, in its order."""
    found = list(_walk(value, shape, path))
    return found or list(_converted(without_nulls(value), shape, path))


def without_nulls(value: Any) -> Any:
    """Return plain data without the keys that have no value."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


def part(value: Any, path: Path) -> Any:
    """Return what is at `path` in plain data, None if nothing is."""
    for step in path:
        inside = isinstance(value, dict) or (isinstance(value, list) and isinstance(step, int) and step < len(value))
        value = (value.get(step) if isinstance(value, dict) else value[step]) if inside else None
    return value


def _walk(value: Any, shape: Any, path: Path) -> Iterator[Wrong]:
    inner = _member(value, shape)
    origin, arguments = typing.get_origin(inner), typing.get_args(inner)
    if isinstance(value, dict) and _is_struct(inner):
        yield from _walk_struct(value, inner, path)
    elif isinstance(value, dict) and origin is dict:
        for key, entry in value.items():
            if entry is not None:
                yield from _walk(entry, arguments[1], (*path, key))
    elif isinstance(value, list) and _is_list(inner):
        for index, entry in enumerate(value):
            yield from _walk(entry, arguments[0], (*path, index))
    elif inner is not Any:
        yield from _converted(without_nulls(value), shape, path)


def _walk_struct(value: dict[str, Any], shape: type[msgspec.Struct], path: Path) -> Iterator[Wrong]:
    config, fields = shape.__struct_config__, _fields(shape)
    for key, field in fields.items():
        if field.required and value.get(key) is None:
            yield Wrong(path, f"Object missing required field `{key}`")
    known = [*fields, *([config.tag_field] if config.tag_field else [])]
    for key, entry in value.items():
        if key in fields:
            if entry is not None:
                yield from _walk(entry, fields[key].type, (*path, key))
        elif key not in known and config.forbid_unknown_fields:
            yield Wrong((*path, key), "unknown key", known)


def _converted(value: Any, shape: Any, path: Path) -> Iterator[Wrong]:
    try:
        convert(value, shape)
    except msgspec.ValidationError as error:
        text, _, tail = str(error).partition(" - at `")
        for name, word in _WORDS.items():
            text = text.replace(name, word)
        yield Wrong(path + _steps(tail.removesuffix("`"), value), text)


@functools.lru_cache(maxsize=256)
def _fields(shape: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.encode_name: field for field in msgspec.structs.fields(shape)}


def _member(value: Any, shape: Any) -> Any:
    """Return the shape itself or, of a union, the member that `value` is meant to be: by tag, or by being a map or a
    list; all of them where none is."""
    if typing.get_origin(shape) is Annotated:
        return _member(value, typing.get_args(shape)[0])
    if typing.get_origin(shape) not in (typing.Union, types.UnionType):
        return shape
    for member in (_member(value, each) for each in typing.get_args(shape)):
        if isinstance(value, list) and _is_list(member):
            return member
        if isinstance(value, dict) and (typing.get_origin(member) is dict or _is_tagged(value, member)):
            return member
    return shape


def _is_struct(shape: Any) -> bool:
    return isinstance(shape, type) and issubclass(shape, msgspec.Struct)


def _is_list(shape: Any) -> bool:
    arguments = typing.get_args(shape)
    return typing.get_origin(shape) is list or (typing.get_origin(shape) is tuple and arguments[-1] is Ellipsis)


def _is_tagged(value: dict[str, Any], member: Any) -> bool:
    if not _is_struct(member):
        return False
    config = member.__struct_config__
    return config.tag_field is None or value.get(config.tag_field) == config.tag


def _steps(text: str, value: Any) -> Path:
    """Read msgspec's path `$.a.b[0]`. It names no key inside a free-form map (`[...]`), so the path ends there."""
    steps: list[str | int] = []
    for match in _STEP.finditer(text):
        if match[3] and not isinstance(part(value, tuple(steps)), list):
            break
        steps.append(match[1] if match[1] is not None else int(match[2] or 0))
    return tuple(steps)
