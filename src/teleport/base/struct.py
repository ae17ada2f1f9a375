"""Shapes of data: the base of every message, kind, event and configuration section.

One declaration language (msgspec) for all of them. The custom types here say what a plain `str` or
`int` would hide: a duration, a secret, a switch that people write as a word.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, TypeVar

import msgspec

from teleport.base.errors import BadParameter

T = TypeVar("T")


class Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """An immutable record. Unknown fields are refused, default values are not written."""


_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ns|us|µs|ms|s|m|h|d)")


class Duration(float):
    """A length of time in seconds, written `30m`, `1h30m0s`, `20s`. `never` and `no` are 0."""

    @classmethod
    def parse(cls, text: str | float) -> Duration:
        """Read a duration. Raises BadParameter (CFG-DURATION)."""
        if not isinstance(text, str):
            if not abs(text) <= 1e10:  # NaN too
                raise BadParameter("CFG-DURATION", value=repr(text)[:40])
            return cls(text)
        if text in ("never", "no", "0", ""):
            return cls(0)
        seconds, end = 0.0, 0
        for match in _PART.finditer(text):
            if match.start() != end:
                break
            seconds += float(match[1]) * _UNITS[match[2]]
            end = match.end()
        if end != len(text) or seconds > 1e10:
            raise BadParameter("CFG-DURATION", value=text[:40])
        return cls(seconds)

    def __str__(self) -> str:
        whole, thousandths = divmod(round(float(self) * 1000), 1000)
        hours, rest = divmod(whole, 3600)
        minutes, seconds = divmod(rest, 60)
        fraction = f".{thousandths:03}".rstrip("0") if thousandths else ""
        if hours:
            return f"{hours}h{minutes}m{seconds}{fraction}s"
        return f"{minutes}m{seconds}{fraction}s" if minutes else f"{seconds}{fraction}s"

    def __repr__(self) -> str:
        return f"Duration({str(self)!r})"

    @property
    def delta(self) -> dt.timedelta:
        """The same length as a timedelta."""
        return dt.timedelta(seconds=float(self))


class Secret:
    """A value that must not be shown: it prints as stars, compares only with itself, and is written
    to JSON only by `encode(..., secrets=True)`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself. Callers hand it on at once and keep no copy."""
        return self._value

    def __str__(self) -> str:
        return "******" if self._value else ""

    def __repr__(self) -> str:
        return "Secret(******)"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class Switch:
    """A yes/no field as people write it: yes, no, on, off, true, false, 1, 0, as word or string."""

    __slots__ = ("on",)
    _WORDS = {"yes": True, "on": True, "true": True, "1": True, "no": False, "off": False, "false": False, "0": False}

    def __init__(self, on: bool) -> None:
        self.on = on

    @classmethod
    def parse(cls, value: object) -> Switch:
        """Read a switch. Raises BadParameter (CFG-SWITCH)."""
        if isinstance(value, bool):
            return cls(value)
        word = str(value).lower()
        if word not in cls._WORDS:
            raise BadParameter("CFG-SWITCH", value=str(value)[:40])
        return cls(cls._WORDS[word])

    def __bool__(self) -> bool:
        return self.on

    def __eq__(self, other: object) -> bool:
        return bool(self) == other if isinstance(other, (bool, Switch)) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.on)

    def __repr__(self) -> str:
        return f"Switch({'yes' if self.on else 'no'})"


def _decode_custom(wanted: type, value: object) -> Any:
    """Read one custom value. A ValueError or TypeError gets its path from msgspec; other errors would not."""
    try:
        return _custom(wanted, value)
    except BadParameter as error:
        raise ValueError(f"{error.what}: {error.why}") from error


def _custom(wanted: type, value: object) -> Any:
    if wanted is Duration:
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise BadParameter("CFG-DURATION", value=repr(value)[:40])
        return Duration.parse(value)
    if wanted is Switch:
        return Switch.parse(value)
    if wanted is Secret:
        if not isinstance(value, str):
            raise TypeError("expected text")
        return Secret(value)
    raise TypeError(f"unsupported type {wanted.__name__}")


def _encode_custom(value: object) -> Any:
    if isinstance(value, Duration):
        return str(value)
    if isinstance(value, Switch):
        return value.on
    if isinstance(value, Secret):
        return ""
    raise TypeError(f"cannot encode {type(value).__name__}")


def _encode_revealing(value: object) -> Any:
    return value.reveal() if isinstance(value, Secret) else _encode_custom(value)


def convert(value: object, shape: type[T]) -> T:
    """Turn plain data (from JSON or YAML) into `shape`. Raises msgspec.ValidationError with the path."""
    return msgspec.convert(value, shape, dec_hook=_decode_custom, strict=True)


def decode(data: bytes | str, shape: type[T]) -> T:
    """Read JSON into `shape`. Raises msgspec.ValidationError or msgspec.DecodeError."""
    try:
        return msgspec.json.decode(data, type=shape, dec_hook=_decode_custom)
    except (UnicodeError, RecursionError) as error:  # the decoder says these two in Python's own words
        problem = "it is nested too deeply" if isinstance(error, RecursionError) else "it is not UTF-8"
        raise msgspec.DecodeError(problem) from None


def encode(value: object, *, secrets: bool = False) -> bytes:
    """Write JSON; keys in order of declaration. Secrets become empty unless asked for."""
    return msgspec.json.encode(value, enc_hook=_encode_revealing if secrets else _encode_custom)


def plain(value: object, *, secrets: bool = False) -> Any:
    """Turn a Struct into plain dicts, lists and scalars, as `encode` would write them."""
    return msgspec.to_builtins(value, enc_hook=_encode_revealing if secrets else _encode_custom)
