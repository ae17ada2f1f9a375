"""The clock of a playback."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.client.recordings.player import FASTEST, LONGEST_IDLE, SLOWEST, Player
from teleport.wire.recording import OUTPUT, Frame


def frames(*times: int) -> list[Frame]:
    return [Frame(at, OUTPUT, str(at).encode()) for at in times]


def shown(player: Player, now: float) -> list[int]:
    return [frame.at for frame in player.due(now)]


def test_frames_come_in_their_time() -> None:
    player = Player(frames(0, 100, 2000), now=50)
    assert shown(player, 50) == [0]
    assert player.wait(50) == pytest.approx(0.1)
    assert shown(player, 50.05) == []
    assert shown(player, 50.1) == [100]
    assert shown(player, 60) == [2000]
    assert player.ended
    assert player.wait(60) is None


def test_speed_changes_what_is_left() -> None:
    player = Player(frames(0, 4000), speed=2)
    assert player.wait(0) == 0
    player.due(0)
    assert player.wait(0) == 2
    player.faster(1)
    player.faster(1)
    assert player.wait(1) == pytest.approx(0.5)
    player.slower(1)
    player.slower(1)
    assert player.wait(1) == pytest.approx(1)
    for _ in range(50):
        player.faster(1)
    assert player.speed == FASTEST
    for _ in range(50):
        player.slower(1)
    assert player.speed == SLOWEST


def test_a_pause_stops_the_clock() -> None:
    player = Player(frames(0, 1000))
    player.due(0)
    player.toggle(0.4)
    assert player.wait(100) is None
    assert shown(player, 100) == []
    assert player.position(100) == 400
    player.toggle(100)
    assert player.wait(100) == pytest.approx(0.6)


def test_idle_time_is_skipped_down_to_a_second() -> None:
    player = Player(frames(0, 60_000), skip_idle=True)
    player.due(0)
    assert player.wait(0) == LONGEST_IDLE / 1000
    assert shown(player, 1) == [60_000]


def test_seeking_both_ways() -> None:
    player = Player(frames(0, 10_000, 20_000, 30_000))
    assert player.seek(20_000, 5) == 3
    assert shown(player, 5) == []
    assert player.wait(5) == 10
    assert player.seek(player.position(5) - 15_000, 5) == 1
    assert player.seek(-50, 5) == 1
    assert player.seek(99_999_999, 5) == 4
    assert player.ended


def test_nothing_to_play() -> None:
    player = Player([])
    assert player.ended
    assert player.length == 0
    assert player.seek(5, 0) == 0


@given(st.lists(st.integers(0, 100_000)).map(sorted), st.lists(st.floats(0, 30), max_size=30), st.booleans())
def test_every_frame_comes_once_and_in_order(times: list[int], steps: list[float], skip: bool) -> None:
    player, now, found = Player(frames(*times), skip_idle=skip), 0.0, list[int]()
    for step in [*steps, 1000.0]:
        now += step
        found += shown(player, now)
    assert found == times
