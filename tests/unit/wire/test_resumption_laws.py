"""Laws: cut anywhere at any time, and fed in any pieces, every byte arrives once and in order; bytes of strangers raise
one class of error; nothing is kept beyond the window."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.wire.buffer import ProtocolError
from teleport.wire.resumption import Duplex

WINDOW = 40


class Side:
    """One end: what it has said and heard, and what of it is on the carrier."""

    def __init__(self) -> None:
        self.duplex = Duplex(WINDOW)
        self.said = self.heard = b""
        self.wire = bytearray()

    def say(self, data: bytes) -> None:
        self.said += data
        self.wire += b"".join(self.duplex.write(data))

    def hear(self, other: Side, size: int) -> None:
        """Take the next bytes from the carrier."""
        piece, other.wire = bytes(other.wire[:size]), other.wire[size:]
        for data in self.duplex.receive(piece):
            self.heard += data
        self.wire += b"".join(self.duplex.more() or self.duplex.acknowledgement())
        assert self.duplex.sent - self.duplex.acknowledged <= WINDOW


def cut(ours: Side, theirs: Side) -> None:
    """Lose the carrier with all that is on it, and go on with another one."""
    for side in (ours, theirs):
        side.wire.clear()
        side.duplex.lose()
    received = ours.duplex.received, theirs.duplex.received
    ours.wire += b"".join(ours.duplex.resume(received[1]))
    theirs.wire += b"".join(theirs.duplex.resume(received[0]))


def drained(ours: Side, theirs: Side) -> Iterator[None]:
    while ours.wire or theirs.wire:
        ours.hear(theirs, 1 << 16)
        theirs.hear(ours, 1 << 16)
        yield


STEP = st.one_of(
    st.tuples(st.just("say"), st.booleans(), st.binary(max_size=60)),
    st.tuples(st.just("hear"), st.booleans(), st.integers(1, 50)),
    st.tuples(st.just("cut"), st.booleans(), st.none()),
)


@settings(max_examples=400)
@given(st.lists(STEP, max_size=40), st.booleans())
def test_cut_anywhere_every_byte_arrives_once(steps: list[tuple[str, bool, object]], ends: bool) -> None:
    sides = Side(), Side()
    for what, first, value in steps:
        one, other = sides if first else sides[::-1]
        if what == "say":
            one.say(value)  # type: ignore[arg-type]
        elif what == "hear":
            one.hear(other, value)  # type: ignore[arg-type]
        else:
            cut(*sides)
    if ends:
        sides[0].wire += b"".join(sides[0].duplex.end())
        cut(*sides)
    assert len(list(drained(*sides))) < 1000
    for one, other in (sides, sides[::-1]):
        assert one.heard == other.said
    assert sides[1].duplex.ended is ends


@settings(max_examples=300)
@given(st.binary(max_size=60), st.integers(1, 9))
def test_strangers_raise_one_error_however_they_are_fed(data: bytes, size: int) -> None:
    def told(pieces: list[bytes]) -> tuple[bytes, str]:
        duplex, found = Duplex(WINDOW), b""
        duplex.write(b"x" * 9)
        try:
            for piece in pieces:
                for view in duplex.receive(piece):
                    found += view
        except ProtocolError as error:
            return b"", error.what
        return found, ""

    assert told([data]) == told([data[at : at + size] for at in range(0, len(data), size)])
    with contextlib.suppress(ProtocolError):
        Duplex().resume(len(data))
