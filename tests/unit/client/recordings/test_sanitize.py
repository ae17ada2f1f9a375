"""What of a recording reaches a viewer's terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.client.recordings.emulator import Emulator
from teleport.client.recordings.sanitize import Sanitizer
from teleport.wire.recording import OUTPUT, Frame


@pytest.mark.parametrize(
    "harmless",
    ["text 한글\r\n\t\b\a", "\x1b[1;38;5;12mred\x1b[0m", "\x1b[?1049h\x1b[2J\x1b[3;4H\x1b[K", "\x1b7\x1b(0q\x1b(B\x1b8",
     "\x1b[2;5r\x1bM\x1b[4h\x1b[?25l", "\x1b[4:3m"],
)  # fmt: skip
def test_what_draws_stays(harmless: str) -> None:
    assert Sanitizer().feed(harmless.encode()) == harmless.encode()


@pytest.mark.parametrize(
    "harmful",
    [
        "\x1b]52;c;cm0gLXJmIH4=\x07", "\x1b]0;title\x1b\\", "\x1b]8;;http://x\x1b\\", "\x9d52;c;eA==\x9c",
        "\x1b[6n", "\x1b[5n", "\x1b[?6n", "\x1b[c", "\x1b[>c", "\x1b[=c", "\x05", "\x1bZ", "\x1b[x", "\x1b[18t",
        "\x1b[21t", "\x1bP$qm\x1b\\", "\x1bP+q544e\x1b\\", "\x1b[?1000h", "\x1b[?1004h", "\x1b[?2004h", "\x1b[?1h",
        "\x1b=", "\x1b>", "\x1b[>4;2m", "\x1b[>1u", "\x1b[?u", "\x1b[5i", "\x1b[?5i", "\x1b_Gi=1,a=q;AA\x1b\\",
        "\x1b[?996n", "\x1b]10;?\x07", "\x1b]4;1;?\x07", "\x1b[?12$p", "\x1b[2*y", "\x1bX secret\x1b\\", "\x1b^x\x1b\\",
        "\x9b6n", "\x1b[8;50;200t", "\x1b%@", "\x1bn", "\x1b[?3h", "\x1b[12h",
    ],
)  # fmt: skip
def test_what_asks_sets_or_types_goes(harmful: str) -> None:
    assert Sanitizer().feed(f"a{harmful}b".encode()) == b"ab"
    by_character = Sanitizer()
    assert b"".join(by_character.feed(bytes([byte])) for byte in f"a{harmful}b".encode()) == b"ab"


def test_of_several_modes_the_harmless_stay() -> None:
    assert Sanitizer().feed(b"\x1b[?25;1000;1049h") == b"\x1b[?25;1049h"


def test_bytes_that_are_no_text_become_replacement_characters() -> None:
    assert Sanitizer().feed(b"a\x9b6nb").decode() == "a\ufffd6nb"


@given(st.lists(st.binary(max_size=40)))
def test_what_is_left_is_left_again(parts: list[bytes]) -> None:
    first, again = Sanitizer(), Sanitizer()
    once = b"".join(first.feed(part) for part in parts)
    assert again.feed(once) == once
    assert not set(once.decode()) & {"\x05", "\x9b", "\x9d", "\x90"}
    assert b"\x1b]" not in once
    assert b"\x1bP" not in once


def test_the_screen_is_the_same() -> None:
    data = b"\x1b]0;t\x07\x1b[?1049h\x1b[1;31mone\x1b[6n\r\ntwo\x1b[5;5Hthree"
    whole, filtered = Emulator(20, 6), Emulator(20, 6)
    whole.frame(Frame(0, OUTPUT, data))
    filtered.frame(Frame(0, OUTPUT, Sanitizer().feed(data)))
    assert whole.screen.display == filtered.screen.display
