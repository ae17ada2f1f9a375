"""What the multiplexer tells the program: events, and what is to be sent.

What is here: values, no more. What is not: when they come (`wire.mux`). `number` names a stream; it is
valid at one end only.
"""

from __future__ import annotations

from typing import NamedTuple


class Hello(NamedTuple):
    """The other end's greeting came: from now on the tunnel is known to be one."""

    version: int


class Called(NamedTuple):
    """The peer opens a stream; `answer` or `reset` it."""

    number: int
    header: bytes


class Answered(NamedTuple):
    """The peer has taken a stream of ours."""

    number: int


class Received(NamedTuple):
    """Data; call `read` when the program has taken it. A view of what was fed may be kept for a short time only."""

    number: int
    data: memoryview


class Ended(NamedTuple):
    """The peer sends no more on this stream."""

    number: int


class Reset(NamedTuple):
    """The peer has reset the stream, or refused it; nothing more comes, and nothing may be sent."""

    number: int
    text: str
    refused: bool
    """Whether it had not been answered."""


class Pong(NamedTuple):
    """A ping of ours came back."""

    payload: bytes


class Draining(NamedTuple):
    """The peer takes no new streams."""


class Bye(NamedTuple):
    """The peer ends the tunnel."""

    text: str


Event = Hello | Called | Answered | Received | Ended | Reset | Pong | Draining | Bye


class Outgoing(NamedTuple):
    """What is to be sent now."""

    data: bytes
    eased: list[int]
    """Streams whose backlog fell to what the caller of `take` calls low."""
