"""Messages between the processes of a node: one bounded, closed set of NamedTuples a direction, as datagrams.

A message is a JSON object whose `kind` is the name of its class and whose other fields are the class's own; bytes
are base64 there. A field called `command`, which may be large and is any bytes but NUL, follows the object after
a NUL instead. Both ends of each channel import this file, so it knows neither sockets nor the event loop.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin, get_type_hints

from teleport.base.errors import BadParameter

TAIL = "command"
"""The field that stands behind the object."""


class Book:
    """The messages that may come from one side."""

    def __init__(self, *shapes: type[Any], limit: int) -> None:
        """`shapes` are NamedTuples with fields of int, str, bool, bytes, dict[str, str], or a Literal of texts;
        `limit` is the largest datagram in bytes."""
        self._limit = limit
        self._shapes = {shape.__name__: shape for shape in shapes}
        self._readers = {
            shape.__name__: {name: _reader(name, hint) for name, hint in get_type_hints(shape).items()}
            for shape in shapes
        }

    def encode(self, message: Any) -> bytes:
        """Write one message. Raises BadParameter (SSH-SPAWN-MESSAGE) when it is larger than one may be."""
        fields = message._asdict()
        tail = fields.pop(TAIL, None)
        texts = {name: base64.b64encode(v).decode() if type(v) is bytes else v for name, v in fields.items()}
        data = json.dumps({"kind": type(message).__name__, **texts}).encode()
        if tail is not None:
            data += b"\0" + tail
        if len(data) > self._limit:
            raise _bad(f"{len(data)} bytes, at most {self._limit}")
        return data

    def decode(self, data: bytes) -> Any:
        """Read one message. Raises BadParameter (SSH-SPAWN-MESSAGE) and nothing else."""
        if len(data) > self._limit:
            raise _bad(f"more than {self._limit} bytes")
        head, mark, tail = data.partition(b"\0")
        try:
            fields = json.loads(head)
        except (ValueError, RecursionError) as error:
            raise _bad(f"it is not JSON: {error}") from None
        kind = fields.pop("kind", None) if isinstance(fields, dict) else None
        shape = self._shapes.get(kind) if isinstance(kind, str) else None
        if shape is None:
            raise _bad(f"no message of the kind {ascii(kind)[:40]} is known here")
        if mark:
            fields[TAIL] = tail
        readers = self._readers[shape.__name__]
        if not readers.keys() - shape._field_defaults.keys() <= fields.keys() <= readers.keys():
            raise _bad(f"its fields are not those of {kind}")
        try:
            return shape(**{name: readers[name](value) for name, value in fields.items()})
        except _OtherType:
            raise _bad(f"a field of {kind} has another type") from None


class _OtherType(ValueError):
    """A value is not of its field's type."""


def _reader(name: str, hint: Any) -> Callable[[Any], Any]:
    """Return what takes a value of the JSON object for this field; it raises _OtherType."""
    if get_origin(hint) is Literal:
        known = frozenset(get_args(hint))
        return lambda value: _only(type(value) is str and value in known, value)
    if get_origin(hint) is dict:
        return lambda value: _only(isinstance(value, dict) and all(type(v) is str for v in value.values()), value)
    if hint is bytes and name != TAIL:
        return _unpacked
    return lambda value: _only(type(value) is hint, value)  # exactly: JSON's `true` is no number here


def _only(good: bool, value: Any) -> Any:
    if not good:
        raise _OtherType
    return value


def _unpacked(value: Any) -> bytes:
    try:
        return base64.b64decode(_only(type(value) is str, value), validate=True)
    except (binascii.Error, ValueError):
        raise _OtherType from None


def _bad(problem: str) -> BadParameter:
    return BadParameter("SSH-SPAWN-MESSAGE", problem=problem[:200])
