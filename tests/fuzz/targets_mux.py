"""Target on floor 1: what the other end of a tunnel says."""

from __future__ import annotations

from teleport.wire import mux_frames as frames
from teleport.wire.buffer import ProtocolError
from teleport.wire.mux import PINGS, STREAMS, Mux
from teleport.wire.mux_events import Called, Event, Received
from tests.fuzz.engine import Target, plain, register

_WINDOW = 64


def _talk() -> list[bytes]:
    """Return what a caller, a server that answers, and an end that does a bit of everything say."""
    opening = frames.write_open(1, 100, b"header") + frames.write(frames.DATA, 1, b"some data")
    everything = [
        frames.write_open(1, 5, b"a"), frames.write_open(2, 9, b"b"), frames.write(frames.DATA, 2, b"x" * _WINDOW),
        frames.write(frames.PING, body=b"12345678"), frames.write_count(frames.CREDIT, 1, 77),
        frames.write_text(frames.RESET, 1, "why"), frames.write(frames.END, 2), frames.write(frames.DRAIN),
        frames.write_count(frames.ANSWER, frames.THEIRS | 1, 50), frames.write(frames.DATA, frames.THEIRS | 1, b"data"),
        frames.write(frames.PONG, body=b"ping"), frames.write_text(frames.BYE, 0, "over"),
    ]  # fmt: skip
    hello = frames.write_hello()
    return [hello, hello + opening + frames.write(frames.END, 1), hello + b"".join(everything)]


def _listen(data: bytes, size: int) -> list[Event]:
    """Tell one end `data` in pieces of `size`; it takes every call and answers everything."""
    mux, found = Mux(window=_WINDOW), list[Event]()
    mux.open(b"ours")
    mux.ping(b"ping")
    for at in range(0, len(data), size):
        for event in mux.receive(data[at : at + size]):
            found.append(event._replace(data=memoryview(bytes(event.data))) if isinstance(event, Received) else event)
            if isinstance(event, Called) and mux.answer(event.number):
                mux.send(event.number, b"welcome")
            elif isinstance(event, Received):
                mux.read(event.number, len(event.data))
    assert mux.streams <= 2 * STREAMS
    assert len(mux.take(1 << 30).data) <= 64 * (mux.streams + len(found) + PINGS)
    return found


def _mux(data: bytes) -> object:
    try:
        found = _listen(data, len(data) or 1)
    except ProtocolError as error:
        try:
            _listen(data, 7)
        except ProtocolError as again:
            assert again.what == error.what  # noqa: PT017 - a law, not a test of the exception
            raise
        raise AssertionError("in pieces it was accepted") from error
    assert _listen(data, 7) == found
    return tuple(type(event).__name__ for event in found[-3:]), len(found)


register(
    Target(
        "wire.mux", plain(_mux), _talk, (ProtocolError,), widths=(2,),
        dictionary=(frames.MAGIC, b"\x80\0\0\1", b"\0\0\0\1", b"\0\0\0\2",
                    *(bytes([kind, 0]) for kind in frames.NAMES)),
    )
)  # fmt: skip
