"""Frames of the multiplexer: bytes to frames and back, every length bounded by the frame's kind.

What is here: the header, the kinds, their bounds, and a reader that may be fed in pieces. What is not: streams and
what may follow what (`wire.mux_stream`, `wire.mux`).

Frame: kind (8 bits), flags (8 bits, zero), length of the body (16 bits), number of the stream (32 bits), body.
A number's highest bit says who opened the stream: clear, the sender of this frame; set, its receiver. So both ends
number from 1 on, and neither has to know which one it is. Frames about the tunnel itself carry the number 0.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from teleport.wire.buffer import ProtocolError

HELLO, OPEN, ANSWER, DATA, CREDIT, END, RESET, PING, PONG, DRAIN, BYE = range(1, 12)
"""Kinds of frames; `wire.mux` says what each means."""

FRAME = 32768
"""Most bytes of data in one frame."""
HEADER = 16384
"""Most bytes of the header with which a stream is opened."""
TEXT = 1024
"""Most bytes (UTF-8) of a reason."""
PAYLOAD = 64
"""Most bytes of the payload of a ping."""

MAGIC = b"TPTUNNEL"
"""With this a greeting begins."""
OLDEST, NEWEST = 1, 1
"""Versions of the protocol that this build speaks."""

THEIRS = 1 << 31
"""Bit of a number that the receiver of the frame has given."""
NUMBERS = THEIRS - 1
"""Highest number of a stream."""

_HEAD = struct.Struct(">BBHI")
HEAD = _HEAD.size
"""Bytes of what stands before each body."""
_GREETING = struct.Struct(">8sHH")
_COUNT = struct.Struct(">I")

_BOUNDS: dict[int, tuple[int, int, bool]] = {
    HELLO: (_GREETING.size, TEXT, False),
    OPEN: (_COUNT.size, _COUNT.size + HEADER, True),
    ANSWER: (_COUNT.size, _COUNT.size, True),
    DATA: (1, FRAME, True),
    CREDIT: (_COUNT.size, _COUNT.size, True),
    END: (0, 0, True),
    RESET: (0, TEXT, True),
    PING: (0, PAYLOAD, False),
    PONG: (0, PAYLOAD, False),
    DRAIN: (0, 0, False),
    BYE: (0, TEXT, False),
}
"""Least and most bytes of the body, and whether the frame is about one stream."""

NAMES = {
    HELLO: "HELLO", OPEN: "OPEN", ANSWER: "ANSWER", DATA: "DATA", CREDIT: "CREDIT", END: "END", RESET: "RESET",
    PING: "PING", PONG: "PONG", DRAIN: "DRAIN", BYE: "BYE",
}  # fmt: skip


def broken(problem: str) -> ProtocolError:
    """Return the error for a peer that breaks the protocol."""
    return ProtocolError("WIRE-MUX", problem=problem)


class FrameReader:
    """Cuts a stream of bytes into frames. Keeps at most one unfinished frame."""

    __slots__ = ("_partial",)

    def __init__(self) -> None:
        self._partial = bytearray()

    def feed(self, data: bytes | memoryview) -> Iterator[tuple[int, int, memoryview]]:
        """Yield kind, number and body of each frame that is complete now. The body is a view of `data` where that
        is possible: who keeps it keeps all of `data`. Raises ProtocolError (WIRE-MUX). Must be used to the end."""
        view, at = memoryview(data), 0
        if self._partial:
            at = self._complete(view)
            if at < 0:
                return
            whole = bytes(self._partial)
            self._partial = bytearray()
            kind, _, number = _head(whole, 0)
            yield kind, number, memoryview(whole)[HEAD:]
        end = len(view)
        while end - at >= HEAD:
            kind, size, number = _head(view, at)
            begin = at + HEAD
            if end - begin < size:
                break
            at = begin + size
            yield kind, number, view[begin:at]
        if at < end:
            self._partial += view[at:]

    def _complete(self, view: memoryview) -> int:
        """Move what the unfinished frame lacks to it; return how much that was, -1 if there is not enough."""
        at = max(HEAD - len(self._partial), 0)
        self._partial += view[:at]
        if len(self._partial) < HEAD:
            return -1
        lacking = HEAD + _head(self._partial, 0)[1] - len(self._partial)
        self._partial += view[at : at + lacking]
        return at + lacking if at + lacking <= len(view) else -1


def _head(data: bytes | bytearray | memoryview, at: int) -> tuple[int, int, int]:
    """Return kind, size of the body and number. Raises ProtocolError (WIRE-MUX)."""
    kind, flags, size, number = _HEAD.unpack_from(data, at)
    bounds = _BOUNDS.get(kind)
    if bounds is None:
        raise broken(f"there is no frame of kind {kind}")
    least, most, of_stream = bounds
    if flags:
        raise broken(f"{NAMES[kind]} with flags {flags:#x}, of which this version has none")
    if not least <= size <= most:
        raise broken(f"{NAMES[kind]} of {size} bytes, where {least} to {most} may be")
    if bool(number & NUMBERS) != of_stream or (number and not of_stream):
        raise broken(f"{NAMES[kind]} with the number {number:#x}")
    return kind, size, number


# -- writing


def write(kind: int, number: int = 0, body: bytes | memoryview = b"") -> bytes:
    """Return a frame whose body is within its bounds."""
    return _HEAD.pack(kind, 0, len(body), number) + body


def write_head(kind: int, number: int, size: int) -> bytes:
    """Return the header of a frame whose body of `size` bytes follows separately."""
    return _HEAD.pack(kind, 0, size, number)


def write_hello() -> bytes:
    """Return our greeting."""
    return write(HELLO, body=_GREETING.pack(MAGIC, OLDEST, NEWEST))


def write_open(number: int, window: int, header: bytes) -> bytes:
    """Open a stream, on which the peer may send `window` bytes once it has answered."""
    return write(OPEN, number, _COUNT.pack(window) + header)


def write_count(kind: int, number: int, count: int) -> bytes:
    """Return ANSWER or CREDIT: `count` bytes (more) may be sent."""
    return write(kind, number, _COUNT.pack(count))


def write_text(kind: int, number: int, text: str) -> bytes:
    """Return RESET or BYE with a reason, cut to what may stand there."""
    return write(kind, number, text.encode("utf-8", "replace")[:TEXT])


# -- reading bodies


def read_hello(body: memoryview) -> int:
    """Return the version that both ends speak. What follows the versions is for later ones and passed over.

    Raises ProtocolError (WIRE-MUX) when there is none.
    """
    magic, oldest, newest = _GREETING.unpack_from(body)
    if magic != MAGIC:
        raise broken("the first bytes are not a greeting")
    agreed = min(int(newest), NEWEST)
    if agreed < max(int(oldest), OLDEST):
        raise broken(f"the other end speaks versions {oldest} to {newest}, this one {OLDEST} to {NEWEST}")
    return agreed


def read_open(body: memoryview) -> tuple[int, bytes]:
    """Return the window and the header of OPEN."""
    return read_count(body), bytes(body[_COUNT.size :])


def read_count(body: memoryview) -> int:
    """Return the number of bytes in ANSWER and CREDIT."""
    return int(_COUNT.unpack_from(body)[0])


def read_text(body: memoryview) -> str:
    """Return a reason as printable text, whatever the peer has put there."""
    text = bytes(body).decode("utf-8", "replace")
    return "".join(each if each.isprintable() else "\ufffd" for each in text)
