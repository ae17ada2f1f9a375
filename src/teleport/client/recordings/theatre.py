"""A playback on somebody's terminal: output, keys, jumps.

Keys: blank pauses, right and left jump ten seconds, up and down (or + and -) change the speed, q or Ctrl-C ends.
What is written is filtered (`sanitize`). After a jump the screen of that moment is drawn anew (`paint`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Protocol

from teleport.client.recordings import paint
from teleport.client.recordings.emulator import Emulator
from teleport.client.recordings.facts import facts_of, without_terminal
from teleport.client.recordings.player import Player
from teleport.client.recordings.sanitize import Sanitizer
from teleport.wire import recording
from teleport.wire.recording import Frame

JUMP = 10_000
"""Milliseconds."""
_KEY = re.compile(rb"\x1b[\[O][ABCD]|\x1b[\[O]?[0-9;]*[ -~]?|.", re.DOTALL)
_NAMES = {b"A": "faster", b"B": "slower", b"C": "right", b"D": "left"}
_PLAIN = {b" ": "pause", b"+": "faster", b"=": "faster", b"-": "slower", b"q": "quit", b"Q": "quit", b"\x03": "quit"}


class Terminal(Protocol):
    """Where a playback is watched."""

    def wait(self, seconds: float | None) -> bytes | None:
        """Wait for keys, so long at most (`None`: until there is one); return them, or `None` when no more can
        come."""
        ...

    def write(self, data: bytes) -> None:
        """Write all of it."""
        ...


def keys(data: bytes) -> list[str]:
    """Return what pressed keys mean: `pause`, `right`, `left`, `faster`, `slower`, `quit`."""
    found = []
    for match in _KEY.finditer(data):
        key = match[0]
        arrow = len(key) == 3 and key[:1] == b"\x1b"
        meaning = _NAMES.get(key[2:]) if arrow else _PLAIN.get(key)
        if meaning:
            found.append(meaning)
    return found


class Theatre:
    """One playback."""

    def __init__(self, player: Player, terminal: Terminal, clock: Callable[[], float]) -> None:
        """`clock`: seconds, steady."""
        self._player, self._terminal, self._clock = player, terminal, clock
        self._sanitizer = Sanitizer()
        self._emulator: Emulator | None = None
        first = player.frames[0] if player.frames else None
        self._bare = first is not None and first.kind == recording.HEADER and without_terminal(facts_of(first.data))
        self._drawn = 0
        """Frames that the emulator has seen."""

    def play(self, start: int = 0) -> None:
        """Play from a position, in milliseconds, to the end or until the viewer has seen enough."""
        if start:
            self._seek(start)
        else:
            self._player.begin(self._clock())
        while self._show():
            pressed = self._terminal.wait(self._player.wait(self._clock()))
            if pressed is None and self._player.paused:
                return
            if any(self._press(key) for key in keys(pressed or b"")):
                return

    def _show(self) -> bool:
        """Write what is due; say whether there is more to wait for."""
        for frame in self._player.due(self._clock()):
            data = self._visible(frame)
            if data:
                self._terminal.write(data)
        return not self._player.ended

    def _visible(self, frame: Frame) -> bytes:
        if frame.kind in (recording.OUTPUT, recording.ERROR):
            return self._sanitizer.feed(frame.data.replace(b"\n", b"\r\n") if self._bare else frame.data)
        if frame.kind == recording.MARKER:
            return b"\x1b[0m\r\n" + self._sanitizer.feed(frame.data) + b"\r\n"
        return b""

    def _press(self, key: str) -> bool:
        """Obey a key; say whether it ends the playback."""
        player, now = self._player, self._clock()
        if key == "pause":
            player.toggle(now)
        elif key == "faster":
            player.faster(now)
        elif key == "slower":
            player.slower(now)
        elif key in ("left", "right"):
            self._seek(player.position(now) + (JUMP if key == "right" else -JUMP))
        return key == "quit"

    def _seek(self, position: int) -> None:
        count = self._player.seek(position, self._clock())
        self._terminal.write(paint.paint(self._screen(count).screen))
        self._sanitizer = Sanitizer()
        self._player.seek(position, self._clock())  # drawing took its time, which is not the recording's

    def _screen(self, count: int) -> Emulator:
        """Return the screen after so many frames; jumps ahead go on from the one before."""
        if self._emulator is None or count < self._drawn:
            self._emulator, self._drawn = Emulator(), 0
        for frame in self._player.frames[self._drawn : count]:
            self._emulator.frame(frame)
        self._drawn = count
        return self._emulator


def size_of(frames: Sequence[Frame]) -> tuple[int, int]:
    """Return the largest columns and rows that the terminal of a recording had."""
    columns, rows = 0, 0
    emulator = Emulator()
    for frame in frames:
        if frame.kind in (recording.HEADER, recording.RESIZE):
            emulator.frame(frame)
            columns, rows = max(columns, emulator.screen.columns), max(rows, emulator.screen.lines)
    return columns or 80, rows or 25
