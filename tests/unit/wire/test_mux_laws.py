"""Laws of the multiplexer: split anywhere it says the same; no bytes crash it; whatever two programs do, every byte
that was sent arrives in order or the stream was reset, and nothing is held beyond its bound."""

from __future__ import annotations

import contextlib
import itertools
from collections import defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.wire import mux_frames as frames
from teleport.wire.buffer import ProtocolError
from teleport.wire.mux import PINGS, Mux
from teleport.wire.mux_events import Answered, Called, Ended, Received, Reset

WINDOW = 50

FRAME = st.builds(
    lambda kind, number, body: frames.write(kind, number, body),
    st.sampled_from(list(frames.NAMES)),
    st.sampled_from([0, 1, 2, frames.THEIRS | 1, frames.THEIRS | 2]),
    st.one_of(st.sampled_from([b"", b"\0\0\0\1", b"\0\0\1\0header"]), st.binary(max_size=70)),
)
LIKELY = st.one_of(
    FRAME,
    st.integers(1, 3).map(lambda number: frames.write_open(number, 9, b"h")),
    st.integers(1, 3).map(lambda number: frames.write(frames.DATA, number, b"some data")),
    st.integers(1, 3).map(lambda number: frames.write(frames.END, number)),
    st.integers(1, 3).map(lambda number: frames.write_count(frames.CREDIT, number, 9)),
)


def told(data: bytes, cuts: list[int]) -> tuple[list[object], str]:
    """What an end says of `data` that comes in pieces; it takes every call."""
    mux, found, places = (
        Mux(window=WINDOW),
        list[object](),
        sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)}),
    )
    try:
        for start, stop in itertools.pairwise(places):
            for event in mux.receive(data[start:stop]):
                found.append(event._replace(data=bytes(event.data)) if isinstance(event, Received) else event)
                if isinstance(event, Called):
                    mux.answer(event.number)
    except ProtocolError as error:
        return found, error.what
    return found, ""


@settings(max_examples=300)
@given(st.lists(LIKELY, max_size=12), st.binary(max_size=9), st.lists(st.integers(0, 10_000), max_size=6))
def test_split_anywhere_it_says_the_same(parts, rest, cuts):
    data = frames.write_hello() + b"".join(parts) + rest
    assert told(data, cuts) == told(data, []) == told(data, list(range(len(data))))


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_no_bytes_crash_it(data):
    for greeting in (b"", frames.write_hello()):
        with contextlib.suppress(ProtocolError):
            list(Mux().receive(greeting + data))


class Program:
    """A program at one end, which notes what it sends and gets."""

    def __init__(self) -> None:
        self.mux = Mux(window=WINDOW, most_window=4 * WINDOW, pool=4 * WINDOW)
        self.live: list[int] = []
        """Streams on which it may send."""
        self.sent: dict[int, bytearray] = defaultdict(bytearray)
        self.got: dict[int, bytearray] = defaultdict(bytearray)
        self.unread: dict[int, int] = defaultdict(int)
        self.ended: set[int] = set()
        self.over: set[int] = set()
        self.wire = b""

    def act(self, what: str, choice: int, size: int) -> None:
        number = self.live[choice % len(self.live)] if self.live else 0
        if what == "open" and self.mux.streams < 6:
            self.mux.open(b"")
        elif what == "read":
            for each, waiting in self.unread.items():
                amount = min(waiting, size)
                self.unread[each] -= amount
                self.mux.read(each, amount)
        elif what == "take":
            self.wire += self.mux.take(size * 10 + 1).data
        elif number and what == "send":
            data = bytes((size + at) % 256 for at in range(size))
            self.sent[number] += data
            self.mux.send(number, data)
        elif number and what == "send now":
            data = bytes((size + at) % 256 for at in range(size))
            if frame := self.mux.send_now(number, data):
                self.sent[number] += data
                self.wire += frame
        elif number:
            self.live.remove(number)
            {"end": self.mux.end, "close": self.mux.close, "reset": lambda each: self.mux.reset(each, "x")}[what](
                number
            )
            if what != "end":
                self.over.add(number)

    def deliver(self, other: Program, size: int) -> None:
        data, self.wire = self.wire[:size], self.wire[size:]
        for event in other.mux.receive(data):
            other.on(event)

    def on(self, event: object) -> None:
        if isinstance(event, Called):
            self.mux.answer(event.number)
            self.live.append(event.number)
        elif isinstance(event, Answered):
            self.live.append(event.number)
        elif isinstance(event, Received):
            assert event.number not in self.over | self.ended
            self.got[event.number] += event.data
            self.unread[event.number] += len(event.data)
            assert self.unread[event.number] <= 4 * WINDOW
        elif isinstance(event, Ended):
            assert event.number not in self.over
            self.ended.add(event.number)
        elif isinstance(event, Reset):
            self.over.add(event.number)
            if event.number in self.live:
                self.live.remove(event.number)


ACTS = st.sampled_from(
    [
        "open",
        "send",
        "send",
        "send now",
        "send now",
        "read",
        "take",
        "take",
        "end",
        "close",
        "reset",
        "deliver",
        "deliver",
    ]
)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.booleans(), ACTS, st.integers(0, 9), st.integers(1, 120)), max_size=60))
def test_whatever_two_programs_do(steps):
    a, b = Program(), Program()
    for first, what, choice, size in steps:
        one, other = (a, b) if first else (b, a)
        if what == "deliver":
            one.deliver(other, size)
        else:
            one.act(what, choice, size)
    settle(a, b)
    check(a, b)
    check(b, a)
    for one in (a, b):
        for number in list(one.mux._streams):
            one.mux.close(number)
    settle(a, b)
    assert (a.mux.streams, b.mux.streams) == (0, 0)
    assert (a.mux._pool, b.mux._pool) == (4 * WINDOW, 4 * WINDOW)


@given(st.integers(1, 200), st.integers(1, 200))
def test_what_is_sent_now_is_what_would_be_taken(size, credit):
    frames_of, accounts = [], []
    for now in (True, False):
        one, other = Mux(), Mux(window=credit)
        for source, target in ((one, other), (other, one)):
            list(target.receive(source.take(1000).data))
        number = one.open(b"")
        list(other.receive(one.take(1000).data))
        other.answer(number | frames.THEIRS)
        list(one.receive(other.take(1000).data))
        if now:
            frame = one.send_now(number, bytes(size))
            assert bool(frame) is (size <= credit)
        if not now or not frame:
            one.send(number, bytes(size))
            frame = one.take(1000).data
        frames_of.append(frame)
        accounts.append((one.backlog(number), one._streams[number].credit, one.has_output))
    assert frames_of[0] == frames_of[1]
    assert accounts[0] == accounts[1]


def settle(a: Program, b: Program) -> None:
    """Carry and read until nothing moves any more."""
    while a.mux.has_output or b.mux.has_output or a.wire or b.wire:
        for one, other in ((a, b), (b, a)):
            one.act("take", 0, 1000)
            one.deliver(other, 1 << 20)
            other.act("read", 0, 1000)


def check(sender: Program, receiver: Program) -> None:
    """Everything has arrived, or was reset by somebody."""
    for number, data in sender.sent.items():
        theirs = number ^ frames.THEIRS
        assert data.startswith(bytes(receiver.got[theirs]))
        if theirs not in receiver.over and number not in sender.over:
            assert receiver.got[theirs] == data


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=64), max_size=PINGS))
def test_pings_come_back_as_they_were(payloads):
    a, b = Mux(), Mux()
    for payload in payloads:
        a.ping(payload)
    list(b.receive(a.take(1 << 20).data))
    back = list(a.receive(b.take(1 << 20).data))
    assert [event.payload for event in back[1:]] == payloads
