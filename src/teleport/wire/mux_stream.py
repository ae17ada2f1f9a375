"""One stream of the multiplexer: which frame may follow which, and the accounts of both directions.

What is here: the table of states, and what one end remembers of a stream. What is not: frames (`wire.mux_frames`)
and the order in which streams are served (`wire.mux`).

Theory of operation
===================

A stream has two directions; END ends one of them, RESET ends both at once. Each end keeps a stream in its table until
nothing can come for it any more:

* Both ENDs have passed: neither end sends DATA or END any more. CREDIT and RESET may still be under way, because they
  were sent before the last END was seen; there, and only there, a frame for an unknown stream is passed over.
* A RESET is answered with a RESET, unless the end that gets it has already forgotten the stream because of both ENDs.
  Until then whoever has reset drops what comes. So a number is free only when both ends know that it is, each end can
  count the other's streams, and one more than allowed is a violation and no accident of timing.

To refuse is to reset what was not answered. To close is END, and then RESET unless the peer has ended too: it should
stop sending.

The tables are the law: `RECEIVE[state]` has each kind of frame that may come and the state after it, `SEND[state]`
those that may be sent. A stream that the peer has reset stays, DONE, until our answer to that leaves.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

from teleport.base.errors import Internal
from teleport.wire.mux_frames import ANSWER, CREDIT, DATA, END, FRAME, NAMES, RESET, broken


class State(Enum):
    """How far a stream is, as one end sees it."""

    __hash__ = object.__hash__  # that of Enum is written in Python, and asked for each frame

    ASKED = "asked"
    """We opened it; no answer yet."""
    CALLED = "called"
    """The peer opened it; we have not answered."""
    OPEN = "open"
    ENDED = "ended by us"
    HEARD = "ended by the peer"
    CANCELLED = "cancelled before an answer"
    REFUSED = "refused"
    RESET = "reset"
    RESET_ENDED = "reset after our end"
    RESET_HEARD = "reset after the peer's end"
    DONE = "done"


S = State

RECEIVE: dict[State, dict[int, State]] = {
    S.ASKED: {ANSWER: S.OPEN, RESET: S.DONE},
    S.CALLED: {RESET: S.DONE},
    S.OPEN: {DATA: S.OPEN, CREDIT: S.OPEN, END: S.HEARD, RESET: S.DONE},
    S.ENDED: {DATA: S.ENDED, CREDIT: S.ENDED, END: S.DONE, RESET: S.DONE},
    S.HEARD: {CREDIT: S.HEARD, RESET: S.DONE},
    S.CANCELLED: {ANSWER: S.RESET, RESET: S.DONE},
    S.REFUSED: {RESET: S.DONE},
    S.RESET: {DATA: S.RESET, CREDIT: S.RESET, END: S.RESET_HEARD, RESET: S.DONE},
    S.RESET_ENDED: {DATA: S.RESET_ENDED, CREDIT: S.RESET_ENDED, END: S.DONE, RESET: S.DONE},
    S.RESET_HEARD: {CREDIT: S.RESET_HEARD, RESET: S.DONE},
    S.DONE: {},
}

SEND: dict[State, dict[int, State]] = {
    S.ASKED: {RESET: S.CANCELLED},
    S.CALLED: {ANSWER: S.OPEN, RESET: S.REFUSED},
    S.OPEN: {DATA: S.OPEN, CREDIT: S.OPEN, END: S.ENDED, RESET: S.RESET},
    S.ENDED: {CREDIT: S.ENDED, RESET: S.RESET_ENDED},
    S.HEARD: {DATA: S.HEARD, END: S.DONE, RESET: S.RESET_HEARD},
    S.CANCELLED: {}, S.REFUSED: {}, S.RESET: {}, S.RESET_ENDED: {}, S.RESET_HEARD: {},
    S.DONE: {},
}  # fmt: skip

SILENT = frozenset({S.CANCELLED, S.REFUSED, S.RESET, S.RESET_ENDED, S.RESET_HEARD, S.DONE})
"""States in which nobody wants to hear of the stream."""

JOINED = 1024
"""Bytes up to which small pieces are joined while they wait: each would cost some 200 bytes on its own."""
MOST_CREDIT = (1 << 31) - 1
"""Most bytes that an end may ever be allowed to send at once."""


class MuxStream:
    """What one end remembers of a stream."""

    __slots__ = (
        "backlog", "closing", "credit", "ending", "number", "owed", "queue", "room", "scheduled", "state", "unread",
        "window",
    )  # fmt: skip

    def __init__(self, number: int, state: State, *, window: int, credit: int = 0) -> None:
        """`window`: bytes that the peer may send before some were read; `credit`: what it allows us."""
        self.number = number
        self.state = state
        self.queue: deque[memoryview] | None = None
        """Data that waits to be sent; made with the first of it."""
        self.backlog = 0
        """Bytes in the queue."""
        self.credit = credit
        """Bytes that the peer lets us send."""
        self.ending = False
        """Whether END follows the queue."""
        self.closing = False
        """Whether nobody wants to hear of it any more."""
        self.scheduled = False
        """Whether it waits for its turn to send."""
        self.window = window
        """`room + unread + owed` at any time."""
        self.room = window
        """Bytes that the peer may send yet."""
        self.unread = 0
        """Bytes that came and were not read."""
        self.owed = 0
        """Bytes that were read, and for which no credit was given yet."""

    @property
    def silent(self) -> bool:
        """Whether events of it are kept from the program."""
        return self.closing or self.state in SILENT

    @property
    def can_send(self) -> bool:
        """Whether there is something to send that the peer allows."""
        if self.backlog:
            return self.credit > 0 and DATA in SEND[self.state]
        return self.ending and END in SEND[self.state]

    def received(self, kind: int) -> State:
        """Move on for a frame that came; return the state before. Raises ProtocolError (WIRE-MUX)."""
        before = self.state
        after = RECEIVE[before].get(kind)
        if after is None:
            raise broken(f"{NAMES[kind]} on a stream that is {before.value}")
        self.state = after
        return before

    def sent(self, kind: int) -> None:
        """Move on for a frame that is being sent. Raises Internal (WIRE-MUX-USE): a defect of the caller."""
        after = SEND[self.state].get(kind)
        if after is None:
            raise Internal("WIRE-MUX-USE", action=NAMES[kind], state=self.state.value)
        self.state = after

    def arrived(self, size: int) -> None:
        """Account for data of the peer. Raises ProtocolError (WIRE-MUX) when that is more than it was allowed."""
        if size > self.room:
            raise broken(f"{size} bytes on a stream that has credit for {self.room}")
        self.room -= size
        self.unread += size

    def credited(self, size: int) -> None:
        """Account for credit from the peer. Raises ProtocolError (WIRE-MUX) when it is none, or absurd."""
        if not 0 < size <= MOST_CREDIT - self.credit:
            raise broken(f"credit of {size} bytes beside {self.credit}")
        self.credit += size

    def read(self, size: int) -> bool:
        """Account for data that the program has read; return whether it is time to give credit for it."""
        self.unread -= size
        self.owed += size
        return self.owed * 2 >= self.window and CREDIT in SEND[self.state] and not self.closing

    def grow(self, most: int) -> int:
        """Let the window of a reader that keeps up grow by at most `most` bytes; return by how much."""
        if self.unread:
            return 0
        extra = min(self.window, most)
        self.window += extra
        self.owed += extra
        return extra

    def put(self, data: bytes) -> None:
        """Queue data. Raises Internal (WIRE-MUX-USE) where none may follow."""
        if self.ending or DATA not in SEND[self.state]:
            raise Internal("WIRE-MUX-USE", action=NAMES[DATA], state=self.state.value)
        if self.queue is None:
            self.queue = deque()
        self.backlog += len(data)
        if self.queue and len(self.queue[-1]) + len(data) <= JOINED:
            data = b"".join((self.queue.pop(), data))
        self.queue.append(memoryview(data))

    def pass_by(self, size: int) -> bool:
        """Account for data that is sent now, past the queue; False when that may not be: some waits there, or one frame
        of it is not allowed."""
        if self.backlog or self.ending or not 0 < size <= min(FRAME, self.credit) or DATA not in SEND[self.state]:
            return False
        self.credit -= size
        return True

    @property
    def next_size(self) -> int:
        """How many bytes the next frame of data may have."""
        return min(FRAME, self.credit, self.backlog)

    def cut(self, size: int, parts: list[bytes | memoryview]) -> None:
        """Move `size` bytes, for which there is credit, from the queue to `parts`."""
        self.backlog -= size
        self.credit -= size
        queue = self.queue
        while size and queue:
            piece = queue.popleft()
            if len(piece) > size:
                queue.appendleft(piece[size:])
                piece = piece[:size]
            parts.append(piece)
            size -= len(piece)

    def drop(self) -> None:
        """Forget what waits to be sent."""
        self.queue = None
        self.backlog = 0
