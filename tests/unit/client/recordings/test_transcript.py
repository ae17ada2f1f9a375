"""Recordings for reading."""

from __future__ import annotations

from teleport.client.recordings import transcript
from teleport.wire.recording import END, ERROR, HEADER, MARKER, OUTPUT, RESIZE, Frame

FRAMES = [
    Frame(0, HEADER, b'{"columns": 20, "rows": 3}'), Frame(10, OUTPUT, b"$ lz\b \bs\r\n"),
    Frame(1500, ERROR, b"a\r\nb\r\n"),
    Frame(2000, RESIZE, b"30x3"), Frame(3000, OUTPUT, b"\xed"), Frame(3001, OUTPUT, b"\x95\x9c\x1b[31mred"),
    Frame(4000, MARKER, b"ended"), Frame(4000, END, b'{"exit": 0}'),
]  # fmt: skip


def test_text_is_what_stood_on_the_screen_each_line_once() -> None:
    assert list(transcript.text(FRAMES)) == ["$ ls", "a", "b", "한red"]


def test_text_from_a_time_on() -> None:
    assert list(transcript.text(FRAMES, start=2000)) == ["a", "b", "한red"]


def test_much_output_is_all_there() -> None:
    lines = [f"line {number}" for number in range(3000)]
    assert list(transcript.text([Frame(0, OUTPUT, "\r\n".join(lines).encode())])) == lines


def test_events() -> None:
    found = list(transcript.events(FRAMES, start=2000))
    assert [event["kind"] for event in found] == ["header", "resize", "output", "output", "marker", "end"]
    assert found[1] == {"at": 2000, "kind": "resize", "size": "30x3"}
    assert [event.get("text") for event in found[2:5]] == ["", "한\x1b[31mred", "ended"]
    assert found[5]["facts"] == {"exit": 0}


def test_a_session_without_a_terminal_has_lines_that_begin_at_the_left() -> None:
    frames = [Frame(0, HEADER, b'{"session_id": "x"}'), Frame(1, OUTPUT, b"one\ntwo\n")]
    assert list(transcript.text(frames)) == ["one", "two"]
    frames[0] = Frame(0, HEADER, b'{"session_id": "x", "interactive": true}')
    assert list(transcript.text(frames)) == ["one", "   two"]
