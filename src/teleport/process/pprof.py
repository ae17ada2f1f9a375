"""The pprof format: stacks with numbers, which `go tool pprof`, speedscope and others open.

A file is one gzip-compressed `Profile` message of Protocol Buffers. Only what profiles of Python need is
written: samples, locations, functions, strings. Source of the field numbers: the published format,
github.com/google/pprof/blob/main/proto/profile.proto.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from teleport.process.stacks import Frame


@dataclass(frozen=True)
class Sample:
    """A stack, innermost frame first, with one number for each type of value."""

    frames: tuple[Frame, ...]
    values: tuple[int, ...]
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Profile:
    """What was measured. `types` are pairs of what is counted and its unit: `("cpu", "nanoseconds")`."""

    types: tuple[tuple[str, str], ...]
    samples: Sequence[Sample]
    time_nanos: int = 0
    """When, since 1970."""
    duration_nanos: int = 0
    period: int = 0
    """Units of the last type between two samples; 0 where nothing was sampled."""
    comment: str = ""


def encode(profile: Profile) -> bytes:
    """Return the file."""
    return gzip.compress(_Writer().profile(profile), mtime=0)


class _Writer:
    """One message and its tables. Entries get numbers in the order in which they are first used."""

    def __init__(self) -> None:
        self._strings: dict[str, int] = {"": 0}  # the format demands that number 0 is the empty one
        self._functions: dict[tuple[str, str], int] = {}
        self._locations: dict[Frame, int] = {}

    def profile(self, profile: Profile) -> bytes:
        types = [_message(1, self._type(*pair)) for pair in profile.types]
        samples = [_message(2, self._sample(sample)) for sample in profile.samples]
        period = b""
        if profile.period:
            period = _message(11, self._type(*profile.types[-1])) + _number(12, profile.period)
        comment = _number(13, self._string(profile.comment)) if profile.comment else b""
        locations = [_message(4, self._location(number, frame)) for frame, number in self._locations.items()]
        functions = [_message(5, self._function(number, *key)) for key, number in self._functions.items()]
        times = _number(9, profile.time_nanos) + _number(10, profile.duration_nanos)
        strings = [_message(6, text.encode(errors="replace")) for text in self._strings]
        return b"".join([*types, *samples, *locations, *functions, *strings, times, period, comment])

    def _type(self, kind: str, unit: str) -> bytes:
        return _number(1, self._string(kind)) + _number(2, self._string(unit))

    def _sample(self, sample: Sample) -> bytes:
        places = _packed(1, [self._locations.setdefault(f, len(self._locations) + 1) for f in sample.frames])
        labels = [
            _message(3, _number(1, self._string(key)) + _number(2, self._string(value)))
            for key, value in sample.labels
        ]  # fmt: skip
        return places + _packed(2, sample.values) + b"".join(labels)

    def _location(self, number: int, frame: Frame) -> bytes:
        function = self._functions.setdefault((frame.function, frame.file), len(self._functions) + 1)
        return _number(1, number) + _message(4, _number(1, function) + _number(2, frame.line))

    def _function(self, number: int, name: str, file: str) -> bytes:
        shown = self._string(name.replace(":", ".", 1))
        return _number(1, number) + _number(2, shown) + _number(3, shown) + _number(4, self._string(file))

    def _string(self, text: str) -> int:
        return self._strings.setdefault(text, len(self._strings))


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # negative numbers are written as the 64 bits that they have
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _message(field: int, body: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(body)) + body


def _packed(field: int, values: Iterable[int]) -> bytes:
    return _message(field, b"".join(_varint(value) for value in values))
