"""What a session of the SSH Service needs of its recording.

The session tells what its client's terminal got, as it goes by; where it is kept, how it is sealed and
when it is durable is the recorder's matter. Recording never waits in the way of a keystroke: it asks the
session to hold its output when more is unacknowledged than may be lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from teleport.base.errors import TeleportError

OnFailure = Literal["deny", "best_effort"]


@dataclass(frozen=True)
class Facts:
    """What a recording says of its session."""

    session_id: str
    user: str
    login: str
    server_id: str
    hostname: str
    cluster: str
    client: str
    """Address of the client, host and port."""
    command: str = ""
    """Empty for a shell."""
    columns: int = 80
    rows: int = 25
    interactive: bool = False
    """Whether the session has a terminal."""
    participants: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    """Labels of the node."""
    on_failure: OnFailure = "best_effort"
    """What the user's roles say should happen when the session cannot be recorded."""


@dataclass(frozen=True)
class Watcher:
    """How a recording speaks to its session. Both are called in the event loop."""

    hold: Callable[[bool], None]
    """`hold(True)`: too much is unacknowledged, produce no more output; `hold(False)`: go on."""
    failed: Callable[[TeleportError], None]
    """Called at most once, when the recording of a session that must be recorded fails: end the session
    and tell the user. A session that need not be is not told; the failure is audited."""


class Tape(Protocol):
    """The recording of one session, running."""

    @property
    def notice(self) -> str:
        """A line for the user before anything else; empty: none. Said when a session is not recorded."""
        ...

    @property
    def mode(self) -> str:
        """How the session is recorded, in the words of `session_recording_config`; `off` when it is not."""
        ...

    def output(self, data: bytes, *, error: bool = False) -> None:
        """Record what the client gets; `error`: on standard error. Returns at once."""
        ...

    def resize(self, columns: int, rows: int) -> None:
        """Record that the terminal has a new size."""
        ...

    def mark(self, text: str) -> None:
        """Record what the service itself said to the user."""
        ...

    async def close(self, outcome: dict[str, str | int | bool]) -> None:
        """End the recording; returns when everything is durable. Never raises: `Watcher.failed` has been told."""
        ...


class Recorder(Protocol):
    """Makes the recordings of a service."""

    async def begin(self, facts: Facts, watcher: Watcher) -> Tape:
        """Begin a recording; returns when it is certain that it can be kept, or that the session goes
        unrecorded by policy. Raises Unavailable (REC-*): the session must not start."""
        ...


class NoTape:
    """What stands for the recording of a session that is not recorded."""

    notice = ""
    mode = "off"

    def output(self, data: bytes, *, error: bool = False) -> None:
        """Forget it."""

    def resize(self, columns: int, rows: int) -> None:
        """Forget it."""

    def mark(self, text: str) -> None:
        """Forget it."""

    async def close(self, outcome: dict[str, str | int | bool]) -> None:
        """Nothing is to be kept."""


class NoRecorder:
    """The recorder of a service that records nothing."""

    async def begin(self, facts: Facts, watcher: Watcher) -> Tape:
        """Return a tape that keeps nothing."""
        return NoTape()
