"""What a session is told, and what it needs from the connection that it belongs to.

Here: the contract between `session`, which moves the bytes, and `session_host`, which decides and records.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol

from teleport.agents.ssh.joining import Room
from teleport.agents.ssh.recorder import Tape, Watcher
from teleport.agents.ssh.sftp_session import SftpRun
from teleport.agents.ssh.spawner import Process
from teleport.agents.ssh.spawner_messages import Exited
from teleport.base.errors import TeleportError
from teleport.net.ssh_channel import Session
from teleport.net.ssh_x11 import X11Request
from teleport.wire.terminal import Size, Terminal


@dataclass(frozen=True)
class Launch:
    """What a client asks to run."""

    command: bytes | None = None
    """None: a shell, as at a login."""
    terminal: Terminal | None = None
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> bytes:
        """The command; empty for a shell."""
        return self.command or b""


class Host(Protocol):
    """What a session needs from the connection that it belongs to."""

    async def begin(self, launch: Launch, watcher: Watcher) -> Tape:
        """Make the session known and begin its recording, or raise TeleportError: it must not start."""
        ...

    async def start(self, launch: Launch) -> Process:
        """Start the command, or raise TeleportError."""
        ...

    async def ended(self, launch: Launch, outcome: Exited | TeleportError) -> None:
        """Record how the command ended, or why it did not start."""
        ...

    async def closing(self) -> None:
        """Record that the session has ended, whatever it left running: while its recording is closed."""
        ...

    async def over(self) -> None:
        """The client knows of the end: let go of what belongs to the session."""
        ...

    async def resized(self, size: Size) -> None:
        """Record another size of the terminal."""
        ...

    async def declined_request(self, request: str, detail: str) -> TeleportError | None:
        """Record a request that was not accepted; return what to tell the client, if anything."""
        ...

    def variable_wanted(self, name: str, value: str) -> bool:
        """Say whether a client may set this variable."""
        ...

    def background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work`, which the connection waits for before it is forgotten."""
        ...

    def used(self) -> None:
        """Note that data went by."""
        ...

    def left(self) -> None:
        """Note that the channel is gone."""
        ...

    async def serve_sftp(self, failed: Callable[[TeleportError], None]) -> SftpRun:
        """Have the account's files served, or raise TeleportError; the refusal is recorded."""
        ...

    async def sftp_over(self, failure: TeleportError | None) -> None:
        """Record the end of it."""
        ...

    async def take_agent(self) -> TeleportError | None:
        """Let what runs reach the client's agent; return the refusal."""
        ...

    async def take_display(self, wanted: X11Request) -> TeleportError | None:
        """Let what runs reach the client's display; return the refusal."""
        ...

    def room(self) -> Room | None:
        """Return what others find who join the session."""
        ...

    def notices(self) -> list[str]:
        """Return lines to show before the command's own output, once."""
        ...


class LiveSession(Session):
    """A session that the server can end."""

    def warn(self, text: str) -> bool:
        """Say that the session is about to end, at a terminal only; say whether somebody heard it."""
        raise AssertionError("each kind of session says so itself")  # pragma: no cover

    def end(self, text: str) -> None:
        """End it, and tell the client why."""
        raise AssertionError("each kind of session says so itself")  # pragma: no cover

    @property
    def ending(self) -> bool:
        """Whether the server has ended it, or it has come to its own end."""
        raise AssertionError("each kind of session says so itself")  # pragma: no cover
