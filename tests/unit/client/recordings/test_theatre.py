"""A playback in virtual time, with keys."""

from __future__ import annotations

import pytest

from teleport.client.recordings.emulator import Emulator
from teleport.client.recordings.player import Player
from teleport.client.recordings.theatre import Theatre, keys, size_of
from teleport.wire.recording import HEADER, MARKER, OUTPUT, RESIZE, Frame


class Stage:
    """A terminal and its clock. Keys are pressed at their time."""

    def __init__(self, *presses: tuple[float, bytes]) -> None:
        self.now = 0.0
        self.presses = list(presses)
        self.written: list[tuple[float, bytes]] = []

    def wait(self, seconds: float | None) -> bytes | None:
        until = float("inf") if seconds is None else self.now + seconds
        if self.presses and self.presses[0][0] <= until:
            at, data = self.presses.pop(0)
            self.now = max(at, self.now)
            return data
        if until == float("inf"):
            return None
        self.now = until
        return b""

    def write(self, data: bytes) -> None:
        self.written.append((round(self.now, 3), data))


def play(
    stage: Stage, *frames: Frame, start: int = 0, speed: float = 1, skip: bool = False
) -> list[tuple[float, bytes]]:
    Theatre(Player(frames, speed=speed, skip_idle=skip), stage, lambda: stage.now).play(start)
    return stage.written


ONE_TWO = (Frame(0, OUTPUT, b"one"), Frame(2000, OUTPUT, b"\r\ntwo"), Frame(30_000, OUTPUT, b"\r\nthree"))


def screen_of(data: bytes) -> list[str]:
    """What a terminal shows after this."""
    emulator = Emulator(80, 25)
    emulator.frame(Frame(0, OUTPUT, data))
    return [line for line in emulator.screen.display if line]


def test_output_in_its_time() -> None:
    assert play(Stage(), *ONE_TWO) == [(0, b"one"), (2, b"\r\ntwo"), (30, b"\r\nthree")]
    assert play(Stage(), *ONE_TWO, speed=2) == [(0, b"one"), (1, b"\r\ntwo"), (15, b"\r\nthree")]
    assert play(Stage(), *ONE_TWO, skip=True) == [(0, b"one"), (1, b"\r\ntwo"), (2, b"\r\nthree")]


def test_pause_and_quit() -> None:
    assert play(Stage((1, b" "), (11, b" ")), *ONE_TWO)[1] == (12, b"\r\ntwo")
    assert play(Stage((1, b"q")), *ONE_TWO) == [(0, b"one")]
    assert play(Stage((1, b"\x03")), *ONE_TWO) == [(0, b"one")]
    assert play(Stage((1, b" ")), *ONE_TWO) == [(0, b"one")]


def test_faster_and_slower() -> None:
    assert play(Stage((1, b"\x1b[A\x1b[A")), *ONE_TWO)[1] == (1.5, b"\r\ntwo")
    assert play(Stage((1, b"--")), *ONE_TWO)[1] == (3, b"\r\ntwo")


def test_jumps_draw_the_screen_of_that_moment() -> None:
    written = play(Stage((5, b"\x1b[C"), (6, b"\x1bOD"), (6.5, b"\x1b[D")), *ONE_TWO)
    assert [screen_of(data) for _, data in written[2:5]] == [["one", "two"], ["one", "two"], ["one"]]
    assert written[5:] == [(8.5, b"\r\ntwo"), (36.5, b"\r\nthree")]


def test_playing_from_a_position() -> None:
    written = play(Stage(), *ONE_TWO, start=2500)
    assert screen_of(written[0][1]) == ["one", "two"]
    assert written[1] == (27.5, b"\r\nthree")


def test_what_is_written_is_filtered_and_markers_are_told() -> None:
    written = play(Stage(), Frame(0, OUTPUT, b"a\x1b]52;c;eA==\x07\x1b[6n"), Frame(1, MARKER, b"locked\x1b[6n"))
    assert b"".join(data for _, data in written) == b"a\x1b[0m\r\nlocked\r\n"


def test_a_session_without_a_terminal_has_lines_that_begin_at_the_left() -> None:
    frames = (Frame(0, HEADER, b'{"session_id": "x"}'), Frame(1, OUTPUT, b"one\ntwo\n"))
    assert play(Stage(), *frames) == [(0.001, b"one\r\ntwo\r\n")]


@pytest.mark.parametrize(
    ("data", "meanings"),
    [(b" q", ["pause", "quit"]), (b"\x1b[C\x1b[D\x1bOA\x1b[B", ["right", "left", "faster", "slower"]),
     (b"+=-", ["faster", "faster", "slower"]), (b"x\x1b\x1b[5~\x00", [])],
)  # fmt: skip
def test_keys(data: bytes, meanings: list[str]) -> None:
    assert keys(data) == meanings


def test_the_size_of_a_recording_is_its_largest() -> None:
    frames = [Frame(0, HEADER, b'{"columns": 100, "rows": 20}'), Frame(0, OUTPUT, b"x"), Frame(1, RESIZE, b"90x50")]
    assert size_of(frames) == (100, 50)
    assert size_of([]) == (80, 25)
