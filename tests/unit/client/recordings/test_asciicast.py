"""asciicast version 2: written and read again."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.base.errors import BadParameter
from teleport.client.recordings import asciicast
from teleport.wire.recording import END, ERROR, HEADER, MARKER, OUTPUT, RESIZE, Frame

V2 = b'{"version": 2}'
FACTS = {"login": "root", "hostname": "node-1", "command": "top", "start": "2026-01-02T03:04:05+00:00", "columns": 90,
         "rows": 30}  # fmt: skip


def test_the_header_says_what_players_want_to_know() -> None:
    lines = list(asciicast.write([Frame(0, HEADER, json.dumps(FACTS).encode()), Frame(5, OUTPUT, b"x")]))
    header = json.loads(lines[0])
    assert (header["version"], header["width"], header["height"]) == (2, 90, 30)
    assert (header["timestamp"], header["command"], header["title"]) == (1767323045, "top", "root@node-1")
    assert header["env"]["TERM"]
    assert lines[1] == '[0.005, "o", "x"]\n'


def test_the_first_size_is_that_of_the_header() -> None:
    lines = list(asciicast.write([Frame(0, RESIZE, b"70x20"), Frame(1, END, b"{}")]))
    assert json.loads(lines[0])["width"] == 70
    assert json.loads(next(iter(asciicast.write([]))))["width"] == 80


def test_characters_that_frames_share_come_whole() -> None:
    lines = list(
        asciicast.write([Frame(1, OUTPUT, b"\xed\x95"), Frame(2, ERROR, b"!"), Frame(3, OUTPUT, b"\x9cx\xff")])
    )
    assert [json.loads(line) for line in lines[1:]] == [[0.002, "o", "!"], [0.003, "o", "한x�"], [0.003, "o", ""]]


def test_a_session_without_a_terminal_has_lines_that_begin_at_the_left() -> None:
    frames = [Frame(0, HEADER, b'{"session_id": "x"}'), Frame(1, OUTPUT, b"one\ntwo\r\n")]
    assert json.loads(list(asciicast.write(frames))[1]) == [0.001, "o", "one\r\ntwo\r\n"]


def test_sizes_and_markers() -> None:
    frames = [Frame(0, OUTPUT, b"a"), Frame(1500, RESIZE, b"100x40"), Frame(2000, MARKER, b"locked")]
    assert [json.loads(line)[1:] for line in list(asciicast.write(frames))[2:4]] == [["r", "100x40"], ["m", "locked"]]


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 5000),
        st.one_of(
            st.tuples(st.just(OUTPUT), st.text(min_size=1).map(str.encode)),
            st.tuples(
                st.just(RESIZE), st.builds(lambda c, r: f"{c}x{r}".encode(), st.integers(1, 999), st.integers(1, 999))
            ),
            st.tuples(st.just(MARKER), st.text(st.characters(codec="utf-8"), min_size=1).map(str.encode)),
        ),
    )
)


@given(EVENTS)
def test_what_is_written_is_read(events: list[tuple[int, tuple[str, bytes]]]) -> None:
    at, frames = 0, [Frame(0, HEADER, b"{}")]
    for gap, (kind, data) in events:
        at += gap
        frames.append(Frame(at, kind, data))
    lines = [line.encode() for line in asciicast.write(frames)]
    found = [frame for frame in asciicast.read(lines) if frame.kind != HEADER][1:]
    assert [frame for frame in found if frame.data] == frames[1:]


@pytest.mark.parametrize(
    "lines",
    [[], [b"{}"], [b'{"version": 3}'], [b"nonsense"], [V2, b"[1]"], [V2, b'[-1, "o", "x"]'],
     [V2, b'[true, "o", "x"]'], [V2, b"{"], [V2, b'[1, "o", "' + b"x" * 9000000]],
)  # fmt: skip
def test_what_is_no_recording_is_refused(lines: list[bytes]) -> None:
    with pytest.raises(BadParameter) as caught:
        list(asciicast.read(lines))
    assert caught.value.code == "CLIENT-CAST"


def test_events_of_other_kinds_are_passed_over() -> None:
    lines = [
        b'{"version": 2, "width": 10, "height": 5}',
        b'[0.5, "i", "typed"]',
        b"",
        b'[1, "r", "wide"]',
        b'[0.2, "o", "x"]',
    ]
    assert list(asciicast.read(lines))[1:] == [Frame(0, RESIZE, b"10x5"), Frame(200, OUTPUT, b"x")]
