"""The screen: what a terminal shows, and when it came there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pyte
from hypothesis import given
from hypothesis import strategies as st

from teleport.client.recordings.emulator import Emulator
from teleport.client.recordings.page import Nowhere
from teleport.client.recordings.screen import MOST_COLUMNS, MOST_ROWS, SETTLED_MS
from teleport.wire.recording import OUTPUT, RESIZE, Frame


class Told:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, int, int]] = []

    def line(self, cells: Sequence[str], times: Sequence[int], last: int) -> None:
        text = "".join(cells).rstrip()
        if text:
            self.lines.append((text, max(at for at, cell in zip(times, cells, strict=True) if cell.strip()), last))

    def plain(self, lines: Iterable[str], at: int) -> None:
        self.lines += [(line, at, at) for line in lines]

    @property
    def texts(self) -> list[str]:
        return [text for text, _, _ in self.lines]


def play(*outputs: tuple[int, str], columns: int = 20, rows: int = 4) -> tuple[Emulator, Told]:
    told = Told()
    emulator = Emulator(columns, rows, told)
    for at, text in outputs:
        emulator.frame(Frame(at, OUTPUT, text.encode()))
    return emulator, told


def test_a_wrapped_line_is_one_line_with_the_time_of_its_last_character() -> None:
    emulator, told = play((5, "a" * 15), (9, "b" * 15), (11, "\r\n"))
    emulator.finish()
    assert told.lines == [("a" * 15 + "b" * 15, 9, 11)]


def test_a_wrapped_line_that_scrolls_off_row_by_row_stays_one() -> None:
    emulator, told = play((5, "x" * 70 + "\r\n"), (9, "1\r\n2\r\n3\r\n"))
    assert told.lines == [("x" * 70, 5, 9)]
    assert emulator.screen.display == ["1", "2", "3", ""]


def test_a_character_that_is_printed_again_keeps_its_time() -> None:
    emulator, told = play((1, "abc"), (7, "\rabc"))
    emulator.finish()
    assert told.lines == [("abc", 1, 7)]


def test_overwriting_tells_what_had_settled_and_only_that() -> None:
    _, told = play((0, "10 %"), (SETTLED_MS - 1, "\r20 %"), (2 * SETTLED_MS, "\r30 %"))
    assert told.lines == [("20 %", SETTLED_MS - 1, 2 * SETTLED_MS)]


def test_clearing_tells_the_whole_screen() -> None:
    emulator, told = play((1, "one\r\ntwo"), (2, "\x1b[2J\x1b[Hthree"))
    assert told.texts == ["one", "two"]
    assert emulator.screen.display[0] == "three"


def test_the_alternate_screen_comes_and_goes() -> None:
    emulator, told = play((1, "$ vi\r\n"), (2, "\x1b[?1049h\x1b[2;3Hinside"))
    assert emulator.screen.alternate
    assert emulator.screen.display[1] == "  inside"
    emulator.frame(Frame(3, OUTPUT, b"\x1b[?1049l"))
    assert told.lines == [("  inside", 2, 3)]
    assert emulator.screen.display[0] == "$ vi"


def test_a_region_that_scrolls_tells_what_goes() -> None:
    emulator, told = play((1, "top\x1b[2;3r\x1b[2;1Ha\r\nb\r\nc"))
    assert emulator.screen.display == ["top", "b", "c", ""]
    assert told.texts == ["a"]


def test_characters_split_between_frames() -> None:
    told = Told()
    emulator = Emulator(20, 4, told)
    for at, data in enumerate((b"\xed\x95", b"\x9c\xea", b"\xb8\x80", b"e\xcc", b"\x81")):
        emulator.frame(Frame(at, OUTPUT, data))
    emulator.finish()
    assert told.lines == [("한글é", 4, 4)]


def test_wide_characters_wrap_whole_and_halves_are_blanked() -> None:
    emulator, _ = play((1, "가나다라"), columns=5)
    assert emulator.screen.display[:2] == ["가나", "다라"]
    emulator, _ = play((1, "가나\x1b[2Gx"), columns=5)
    assert emulator.screen.display[0] == " x나"


def test_resize_keeps_the_bottom_and_tells_what_stood() -> None:
    emulator, told = play((1, "1\r\n2\r\n3\r\n4"))
    emulator.frame(Frame(2, RESIZE, b"10x2"))
    assert emulator.screen.display == ["3", "4"]
    assert told.texts == ["1", "2", "3", "4"]
    emulator.frame(Frame(3, RESIZE, b"nonsense"))
    emulator.frame(Frame(3, RESIZE, b"9999x9999"))
    assert (emulator.screen.columns, len(emulator.screen.rows)) == (MOST_COLUMNS, MOST_ROWS)


def test_editing_within_a_line() -> None:
    emulator, _ = play((1, "abcdef\x1b[3D\x1b[2@\x1b[P"))
    assert emulator.screen.display[0] == "abc def"
    emulator, _ = play((1, "abcdef\x1b[3G\x1b[2X\x1b[1K"))
    assert emulator.screen.display[0] == "    ef"
    emulator, _ = play((1, "ac\x1b[2G\x1b[4hb\x1b[4l"))
    assert emulator.screen.display[0] == "abc"
    emulator, _ = play((1, "ab\x1b[3b"))
    assert emulator.screen.display[0] == "abbbb"


def test_line_drawing_characters() -> None:
    emulator, _ = play((1, "\x1b(0lqk\x1b(B lqk"))
    assert emulator.screen.display[0] == "┌─┐ lqk"


def test_much_output_at_once_is_as_if_it_were_drawn() -> None:
    text = (
        "before\r\n" + "".join(f"line {number}\twide 한글 {'x' * (number % 40)}\r\n" for number in range(400)) + "after"
    )
    whole, told = play((1, text))
    pieces, slowly = play(*((1, text[at : at + 1000]) for at in range(0, len(text), 1000)))
    assert whole.screen.display == pieces.screen.display
    whole.finish()
    pieces.finish()
    assert len(told.lines) == 402
    assert [" ".join(text.split()) for text in told.texts] == [" ".join(text.split()) for text in slowly.texts]


SEQUENCES = st.one_of(
    st.text("abc XYZ", min_size=1, max_size=12),
    st.sampled_from(["\r", "\n", "\r\n", "\b", "\t", "\x1bM", "\x1bD", "\x1b7", "\x1b8"]),
    st.builds("\x1b[{}{}".format, st.integers(0, 9), st.sampled_from("ABCDGdLMPX@")),
    st.builds("\x1b[{}{}".format, st.integers(0, 2), st.sampled_from("JK")),
    st.builds("\x1b[{};{}H".format, st.integers(1, 6), st.integers(1, 14)),
    st.builds("\x1b[{};{}r".format, st.integers(1, 3), st.integers(4, 6)),
)


@given(st.lists(SEQUENCES, max_size=40))
def test_the_screen_is_that_of_the_library(parts: list[str]) -> None:
    """pyte with its own cells is the judge of ours. Saving the cursor twice is left out: pyte keeps a stack."""
    saved, kept = 0, []
    for part in parts:
        saved += (part == "\x1b7") - (part == "\x1b8")
        saved, keep = (max(min(saved, 1), 0), 0 <= saved <= 1)
        if keep:
            kept.append(part)
    ours, theirs = Emulator(12, 6), pyte.Screen(12, 6)
    stream = pyte.Stream(theirs)
    for part in kept:
        ours.frame(Frame(0, OUTPUT, part.encode()))
        for row in range(6):
            theirs.buffer[row]
        stream.feed(part)
    assert ours.screen.display == [line.rstrip() for line in theirs.display]
    assert (ours.screen.cursor.x, ours.screen.cursor.y) == (theirs.cursor.x, theirs.cursor.y)


HOSTILE = st.one_of(
    st.binary(max_size=60),
    st.builds(
        lambda prefix, numbers, final: f"\x1b[{prefix}{';'.join(map(str, numbers))}{final}".encode(),
        st.sampled_from(["", "?", ">", "!", " "]),
        st.lists(st.integers(0, 10**12), max_size=6),
        st.characters(min_codepoint=64, max_codepoint=126),
    ),
    st.sampled_from(["\x1b[?1049h", "\x1b[?1049l", "\x1bc", "가", "é", "\x1b#8", "\x1b[4h"]).map(str.encode),
)  # fmt: skip


@given(st.lists(st.tuples(HOSTILE, st.sampled_from([b"", b"1x1", b"2x3", b"9999x9999"])), max_size=30))
def test_nothing_that_is_printed_ends_anything(parts: list[tuple[bytes, bytes]]) -> None:
    emulator = Emulator(10, 3, Nowhere())
    for at, (data, size) in enumerate(parts):
        emulator.frame(Frame(at * 300, OUTPUT, data))
        if size:
            emulator.frame(Frame(at * 300, RESIZE, size))
    screen = emulator.screen
    assert len(screen.rows) == screen.lines
    for line in screen.rows:
        assert len(line.cells) == len(line.times) == len(line.attrs) <= screen.columns
    emulator.finish()
