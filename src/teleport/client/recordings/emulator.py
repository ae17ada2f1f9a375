"""A terminal without a window: frames of a recording in, a screen out.

Output is decoded as UTF-8 across frames and taken apart by `wire.terminal_output`; nothing that a program prints
raises. Much plain output at once is not drawn line by line: what would scroll off within the same
frame goes to the Sink directly, and only what stays is drawn.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable

from pyte import charsets, modes

from teleport.base.errors import TeleportError
from teleport.client.recordings.facts import facts_of, size_in, without_terminal
from teleport.client.recordings.page import Nowhere, Sink
from teleport.client.recordings.screen import Screen
from teleport.wire import recording
from teleport.wire import terminal_output as terminal
from teleport.wire.recording import Frame

_BULK = re.compile("(?:[^\x00-\x08\x0a-\x1f\x7f-\x9f]*\r\n)+")
_PARAMETERS = re.compile("[0-9;:]*")
_ODD = (TypeError, ValueError, IndexError, KeyError, AssertionError)
"""What the library raises for parameters that it does not expect."""

_CONTROLS = {
    "\x08": "backspace", "\t": "tab", "\n": "linefeed", "\x0b": "linefeed", "\x0c": "linefeed",
    "\r": "carriage_return", "\x84": "index", "\x85": "next_line", "\x88": "set_tab_stop", "\x8d": "reverse_index",
}  # fmt: skip
_ESCAPES = {
    "c": "reset", "D": "index", "E": "next_line", "M": "reverse_index", "H": "set_tab_stop", "7": "save_cursor",
    "8": "restore_cursor", "#8": "alignment_display",
}  # fmt: skip
_SEQUENCES = {
    "@": ("insert_characters", 1), "A": ("cursor_up", 1), "B": ("cursor_down", 1), "C": ("cursor_forward", 1),
    "D": ("cursor_back", 1), "E": ("cursor_down1", 1), "F": ("cursor_up1", 1), "G": ("cursor_to_column", 1),
    "H": ("cursor_position", 2), "J": ("erase_in_display", 1), "K": ("erase_in_line", 1), "L": ("insert_lines", 1),
    "M": ("delete_lines", 1), "P": ("delete_characters", 1), "S": ("scroll_up", 1), "T": ("scroll_down", 1),
    "X": ("erase_characters", 1), "a": ("cursor_forward", 1), "d": ("cursor_to_line", 1), "e": ("cursor_down", 1),
    "f": ("cursor_position", 2), "g": ("clear_tab_stop", 1), "h": ("set_mode", 32), "l": ("reset_mode", 32),
    "m": ("select_graphic_rendition", 32), "r": ("set_margins", 2), "s": ("save_cursor", 0),
    "u": ("restore_cursor", 0), "`": ("cursor_to_column", 1),
}  # fmt: skip
"""Finals of sequences: the method, and how many parameters it takes."""


class Emulator:
    """A terminal of the size that the recording says."""

    def __init__(
        self, columns: int = 80, rows: int = 25, sink: Sink | None = None, *, every_state: bool = True
    ) -> None:
        """`every_state`: as in Screen."""
        self._sink: Sink = sink or Nowhere()
        self.screen = Screen(columns, rows, self._sink, every_state=every_state)
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._tokens = terminal.Tokenizer()
        self._charsets: list[str | None] = [None, None]
        self._shift = 0
        self._last = " "

    def frame(self, frame: Frame) -> None:
        """Let a frame happen. Frames that change nothing on the screen only move the time."""
        self.screen.now = max(frame.at, self.screen.now)
        if frame.kind in (recording.OUTPUT, recording.ERROR):
            self.output(frame.data)
        elif frame.kind == recording.HEADER:
            facts = facts_of(frame.data)
            columns, rows = size_in(facts)
            self.screen.resize(rows, columns)
            if without_terminal(facts):
                self.screen.set_mode(modes.LNM)
        elif frame.kind == recording.RESIZE:
            try:
                columns, rows = recording.size_of(frame.data)
            except TeleportError:
                return  # a frame that our own recorder does not write
            self.screen.resize(rows, columns)

    def output(self, data: bytes) -> None:
        """Draw what a program printed, at `screen.now`."""
        text = self._decode(data)
        if len(text) > 4096:
            text = self._bulk(text)
        self._feed(text)

    def finish(self) -> None:
        """The recording is over: tell what still stands."""
        self.screen.tell_all()

    def _bulk(self, text: str) -> str:
        """Hand many plain lines to the Sink; return what is to be drawn."""
        first = text.find("\n") + 1
        found = _BULK.match(text, first) if first else None
        screen, size = self.screen, len(self.screen.rows)
        if found is None or found.end() - first < 4096:
            return text
        self._feed(text[:first])
        lines = found[0].split("\r\n")
        if len(lines) <= 2 * size or not self._plainly():
            return text[first:]
        screen.scroll_up(size)
        stay = len(lines) - size
        self._sink.plain((line.expandtabs() for line in lines[:stay]), screen.now)
        screen.cursor.y = 0
        return "\r\n".join(lines[stay:]) + text[found.end() :]

    def _plainly(self) -> bool:
        """Whether lines that are printed now only push others up."""
        screen = self.screen
        return (
            self._tokens.ground
            and self._charsets[self._shift] is None
            and screen.margins is None
            and screen.cursor.x == 0
            and modes.DECAWM in screen.mode
            and modes.IRM not in screen.mode
            and not any(line.cells for line in screen.rows[screen.cursor.y :])
        )

    def _feed(self, text: str) -> None:
        screen = self.screen
        for kind, body, final in self._tokens.feed(text):
            if kind == terminal.TEXT:
                charset = self._charsets[self._shift]
                screen.draw(body if charset is None else body.translate(charset))
                self._last = body[-1]
            elif kind == terminal.CONTROL:
                self._control(body)
            elif kind == terminal.SEQUENCE:
                self._sequence(body, final)
            elif kind == terminal.ESCAPE:
                self._escape(body, final)

    def _control(self, char: str) -> None:
        if char in "\x0e\x0f":
            self._shift = int(char == "\x0e")
        else:
            self._do(_CONTROLS.get(char, ""))

    def _escape(self, intermediates: str, final: str) -> None:
        if intermediates in ("(", ")"):
            self._charsets[int(intermediates == ")")] = charsets.VT100_MAP if final == "0" else None
            return
        if final == "c" and not intermediates:
            self._charsets, self._shift = [None, None], 0
        self._do(_ESCAPES.get(intermediates + final, ""))

    def _sequence(self, body: str, final: str) -> None:
        private = body[:1] == "?"
        if private:
            body = body[1:]
        if body and not _PARAMETERS.fullmatch(body):
            return  # prefixes and intermediates of which none changes what is written
        parameters = terminal.numbers(body) if body else []
        if final == "b" and not private:
            repeated = min(max(parameters[0] if parameters else 1, 1), self.screen.columns * len(self.screen.rows))
            self.screen.draw(self._last * repeated)
            return
        name, most = _SEQUENCES.get(final, ("", 0))
        if private and final not in "hlJK":
            return
        if final in "hl":
            self._do(name, *parameters, private=private)
        else:
            self._do(name, *parameters[:most])

    def _do(self, name: str, *arguments: int, **options: bool) -> None:
        screen = self.screen
        if name == "next_line":
            screen.carriage_return()
            screen.index()
        elif name:
            method: Callable[..., None] = getattr(screen, name)
            try:
                method(*arguments, **options)
            except _ODD:
                return
