"""Recordings for reading: the lines that stood on the screen, and events for programs."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from teleport.client.recordings.emulator import Emulator
from teleport.client.recordings.facts import facts_of
from teleport.wire import recording
from teleport.wire.recording import Frame

_KINDS = {
    recording.HEADER: "header", recording.OUTPUT: "output", recording.ERROR: "error", recording.RESIZE: "resize",
    recording.MARKER: "marker", recording.END: "end",
}  # fmt: skip


class _Lines:
    """Keeps lines until they are taken."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def line(self, cells: Sequence[str], times: Sequence[int], last: int) -> None:
        self.found.append("".join(cells).rstrip())

    def plain(self, lines: Iterable[str], at: int) -> None:
        self.found.extend(line.rstrip() for line in lines)


def text(frames: Iterable[Frame], *, start: int = 0) -> Iterator[str]:
    """Yield the lines as they left the screen, and those that stood at its end. With `start`, only those that left
    later than that many milliseconds. Nothing in them controls a terminal."""
    lines = _Lines()
    emulator = Emulator(sink=lines, every_state=False)
    for frame in frames:
        emulator.frame(frame)
        if lines.found:
            if frame.at >= start:
                yield from lines.found
            lines.found = []
    emulator.finish()
    yield from lines.found


def events(frames: Iterable[Frame], *, start: int = 0) -> Iterator[dict[str, Any]]:
    """Yield each frame as plain data: `at` in milliseconds, `kind`, and what it holds."""
    decoders = {kind: codecs.getincrementaldecoder("utf-8")("replace") for kind in (recording.OUTPUT, recording.ERROR)}
    for at, kind, data in frames:
        told: dict[str, Any] = {"at": at, "kind": _KINDS.get(kind, kind)}
        if kind in decoders:
            told["text"] = decoders[kind].decode(data)
        elif kind in (recording.HEADER, recording.END):
            told["facts"] = facts_of(data)
        elif kind == recording.RESIZE:
            told["size"] = data.decode("ascii", "replace")
        else:
            told["text"] = data.decode("utf-8", "replace")
        if at >= start or kind == recording.HEADER:
            yield told
