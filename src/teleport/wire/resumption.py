"""Resumption: bytes that outlive the connection which carries them, as two sides count and keep them.

What is here: frames, acknowledgements, the window, and what is sent again on the next carrier. What is not: how both
sides agree on it (`wire.resumption_opening`), sockets, and how long anybody waits.

A frame is a number of bytes received since the last frame, a length, and so many bytes; numbers are varints (7 bits to
a byte, least first). The number 2^64-1 in the first place ends the sender's direction and has nothing behind it. Each
carrier begins with both sides knowing what the other has, so counting begins anew.
"""

from __future__ import annotations

from teleport.base.lean import deque
from teleport.wire.buffer import ProtocolError

WINDOW = 2 * 1024 * 1024
"""Bytes that one side may send before they are acknowledged: what each side keeps at most."""
_MUCH = 5 / 8
"""What part of the window is received before that is said at once; less goes along with the next frame. A little more
than half: then SSH opens its own window, and takes it along."""
_LAST = (1 << 64) - 1

Piece = bytes | memoryview


def number(value: int) -> bytes:
    """Return a varint."""
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


_END = number(_LAST)


class Duplex:
    """Both directions of one connection, seen from one side."""

    def __init__(self, window: int = WINDOW) -> None:
        self._window = window
        self.attached = True
        """Whether there is a carrier."""
        self.sent = 0
        """Bytes of ours that were framed; all counts are of the life of the connection."""
        self.acknowledged = 0
        """How many of them the other side is known to have."""
        self.received = 0
        """Bytes of the other side that were handed on."""
        self.ended = False
        """Whether the other side has said that it sends no more."""
        self.closed = False
        """Whether the other side has been told, on this carrier, that we send no more."""
        self._told = 0  # of `received`, what the other side has been told
        self._kept: deque[Piece] = deque()
        self._waiting: deque[Piece] = deque()
        self.waiting = 0
        """Bytes that wait for room, or for a carrier."""
        self._closing = False
        self._values: list[int] = []  # of the head of a frame, what is complete
        self._value = self._shift = 0
        self._left = 0

    # -- out ----------------------------------------------------------------------------------------------

    @property
    def kept(self) -> int:
        """Bytes of ours that are held in memory."""
        return self.sent - self.acknowledged + self.waiting

    def write(self, data: bytes | bytearray | memoryview) -> list[Piece]:
        """Return what goes to the carrier for `data` now; what has no room waits for `more` or `resume`. Bytes are kept
        as they are, anything else is copied, once."""
        if data:
            self._waiting.append(data if isinstance(data, bytes) else bytes(data))
            self.waiting += len(data)
        return self.more()

    def more(self) -> list[Piece]:
        """Return what goes to the carrier now of what waited; to be asked after `receive`."""
        parts: list[Piece] = []
        while self._waiting and self.attached and (room := self._window - (self.sent - self.acknowledged)):
            data = self._waiting.popleft()
            if len(data) > room:
                view = memoryview(data)
                self._waiting.appendleft(view[room:])
                data = view[:room]
            self.waiting -= len(data)
            parts += self._frame(data)
        if self._closing and self.attached and not self._waiting and not self.closed:
            self.closed = True
            parts.append(_END)
        return parts

    def _frame(self, data: Piece) -> tuple[Piece, Piece]:
        head = number(self.received - self._told) + number(len(data))
        self._told = self.received
        self.sent += len(data)
        self._kept.append(data)
        return head, data

    def end(self) -> list[Piece]:
        """Return what says that nothing more is written; where something waits, `more` says it behind that."""
        self._closing = True
        return self.more()

    def acknowledgement(self) -> list[Piece]:
        """Return a frame without data if much was received that has not been acknowledged; else nothing."""
        unsaid = self.received - self._told
        if not unsaid or unsaid < self._window * _MUCH or not self.attached:
            return []
        self._told = self.received
        return [number(unsaid) + b"\0"]

    # -- in -----------------------------------------------------------------------------------------------

    def receive(self, data: bytes | memoryview) -> list[memoryview]:
        """Return what a piece from the carrier holds of the other side's bytes: views into it.

        Raises ProtocolError (WIRE-RESUME)."""
        found: list[memoryview] = []
        view = memoryview(data)
        while view:
            if self._left:
                piece = view[: self._left]
                self._left -= len(piece)
                self.received += len(piece)
                found.append(piece)
                view = view[len(piece) :]
            else:
                view = view[self._head(view) :]
        return found

    def _head(self, view: memoryview) -> int:
        """Read on in the head of a frame; return how many bytes of it were there."""
        for index, byte in enumerate(view):
            self._value |= (byte & 0x7F) << self._shift
            self._shift += 7
            if byte < 0x80:
                if self._complete():
                    return index + 1
            elif self._shift > 63:
                raise bad("a number has no end")
        return len(view)

    def _complete(self) -> bool:
        """Take a number; say whether it was the last one of the head."""
        value, self._value, self._shift = self._value, 0, 0
        if not self._values:
            if value == _LAST:
                self._other_end()
                return True
            self._acknowledge(value)
            self._values.append(value)
            return False
        self._values.clear()
        if value and self.ended:
            raise bad("data behind the end")
        if value > self._window - (self.received - self._told):
            raise bad("more data than the window has room for")
        self._left = value
        return True

    def _other_end(self) -> None:
        if self.ended:
            raise bad("a second end")
        self.ended = True

    def _acknowledge(self, size: int) -> None:
        if size > self.sent - self.acknowledged:
            raise bad("an acknowledgement of what was not sent")
        self.acknowledged += size
        while size:
            data = self._kept.popleft()
            if len(data) > size:
                self._kept.appendleft(memoryview(data)[size:])
                return
            size -= len(data)

    # -- carriers -----------------------------------------------------------------------------------------

    def lose(self) -> None:
        """The carrier is gone: a frame that came in part will be sent again from where it was cut."""
        self.attached = False
        self._values.clear()
        self._value = self._shift = self._left = 0

    def resume(self, theirs: int) -> list[Piece]:
        """Go on with a new carrier; return what goes there first. `theirs` is what the other side has received; it must
        have been told `received` as it is now. Raises ProtocolError (WIRE-RESUME)."""
        if not self.acknowledged <= theirs <= self.sent:
            raise bad("the other side has counted otherwise")
        self.lose()
        self._acknowledge(theirs - self.acknowledged)
        self.attached, self.ended, self.closed, self._told = True, False, False, self.received
        kept, self._kept = self._kept, deque()
        self.sent = theirs
        parts: list[Piece] = []
        for data in kept:
            parts += self._frame(data)
        return parts + self.more()


def bad(problem: str) -> ProtocolError:
    """Return the error of a peer that breaks the protocol."""
    return ProtocolError("WIRE-RESUME", problem=problem)
