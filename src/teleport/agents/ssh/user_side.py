"""What is done for a user on the file system and on sockets, by a process that *is* that user.

The process that parses network bytes asks through `UserSide` and gets descriptors: connected sockets, listening
sockets, one end of a connection on which SFTP is spoken. It copies bytes, and nothing else. Whatever the account
may not open, the kernel refuses there, and the refusal comes back as an error.

Here: the contract. The process itself is another file's matter.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Protocol

from teleport.net.ssh_x11 import X11Request


class Source(Protocol):
    """Where connections for the user come from."""

    async def accept(self) -> tuple[socket.socket, str]:
        """Wait for a connection; return it, non-blocking, and the address it comes from, if it has one. Raises OSError
        when the system has no room for it, and TeleportError for one that was refused; both may be asked again."""
        ...

    def close(self) -> None:
        """Take no more."""
        ...


@dataclass(frozen=True)
class Listening:
    """Something that listens as the user; whoever gets it accepts on it and closes it."""

    source: Source
    port: int = 0
    """Its TCP port, the one chosen by the system if 0 was asked for; 0 for a unix socket."""
    path: str = ""
    """Path of a unix socket; empty for TCP, and where it is not known."""


@dataclass(frozen=True)
class Display:
    """An X11 display of a session: what its programs are told, and where they connect."""

    listening: tuple[Listening, ...]
    name: str
    """Value of DISPLAY, for example `localhost:10.0`; empty where it is not known."""


class UserSide(Protocol):
    """One account on one connection. Every method raises TeleportError with the account's own refusal:
    NotFound, AccessDenied, Unavailable or BadParameter (SSH-USER-*), and Unavailable (SSH-SPAWNER-GONE)."""

    async def serve_sftp(self, *, read_only: bool = False) -> socket.socket:
        """Return a connected non-blocking socket (stream) on which the account's files are served by SFTP version 3."""
        ...

    async def connect_tcp(self, host: str, port: int) -> socket.socket:
        """Return a non-blocking socket connected to `host:port` from this machine."""
        ...

    async def connect_unix(self, path: str) -> socket.socket:
        """Return a non-blocking socket connected to the unix socket at an absolute path."""
        ...

    async def listen_tcp(self, host: str, port: int) -> Listening:
        """Listen at `host:port`; an empty host or `*` means every address. Ports below 1024 are root's."""
        ...

    async def listen_unix(self, path: str) -> Listening:
        """Listen at an absolute path that does not exist yet, mode 0600."""
        ...

    async def listen_agent(self, session_id: str) -> Listening:
        """Listen at a fresh path for SSH_AUTH_SOCK of a session, in a folder of mode 0700 that is the account's."""
        ...

    async def open_display(self, session_id: str, wanted: X11Request, *, offset: int, most: int) -> Display:
        """Listen at the first free X11 display from `offset`, at most number `most`, and write the cookie for it
        into the account's X authority file with xauth(1). The cookie never stands in an argument."""
        ...

    async def forget(self, listening: Listening) -> None:
        """Remove what a listener left on disk (its socket file and folder, its cookie). Never raises."""
        ...
