"""A screen, drawn anew."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from teleport.client.recordings.emulator import Emulator
from teleport.client.recordings.paint import paint
from teleport.client.recordings.sanitize import Sanitizer
from teleport.wire.recording import OUTPUT, Frame

PARTS = st.one_of(
    st.text("ab 한", min_size=1, max_size=9),
    st.sampled_from(["\r\n", "\x1b[1;31m", "\x1b[0m", "\x1b[38;5;200;44m", "\x1b[48;2;1;2;3m", "\x1b[7m", "\x1b[93m",
                     "\x1b[3;4H", "\x1b[?1049h", "\x1b[?25l", "\x1b[K", "\x1b[2;4r"]),
)  # fmt: skip


@given(st.lists(PARTS, max_size=25))
def test_what_is_painted_looks_the_same(parts: list[str]) -> None:
    seen, painted = Emulator(12, 6), Emulator(12, 6)
    seen.frame(Frame(0, OUTPUT, "".join(parts).encode()))
    painted.frame(Frame(0, OUTPUT, b"left over\x1b[5;6r\x1b[1m" + paint(seen.screen)))
    assert painted.screen.display == seen.screen.display
    for ours, theirs in zip(seen.screen.rows, painted.screen.rows, strict=True):
        visible = [i for i, cell in enumerate(ours.cells) if cell.strip()]
        assert [ours.attrs[i] for i in visible] == [theirs.attrs[i] for i in visible]
    assert painted.screen.alternate == seen.screen.alternate
    assert painted.screen.cursor.y == seen.screen.cursor.y
    assert painted.screen.cursor.attrs == seen.screen.cursor.attrs
    assert painted.screen.cursor.hidden == seen.screen.cursor.hidden
    assert painted.screen.margins == seen.screen.margins


def test_painting_asks_nothing() -> None:
    emulator = Emulator(12, 6)
    emulator.frame(Frame(0, OUTPUT, b"\x1b[1;35mhello"))
    data = paint(emulator.screen)
    assert Sanitizer().feed(data).replace(b"\x1b[!p", b"") == data.replace(b"\x1b[!p", b"")
