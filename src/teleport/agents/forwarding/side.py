"""What is done for a user at another server instead of by a helper of this machine (`agents.ssh.user_side`).

Files and connections are asked of the server's own sshd, over the connection that is signed in as the user; what sshd
may do is what the account may. Each is handed on as one end of a socket pair, so that all that watches, counts and
records is the same as on a node. What would have to listen at the server is not carried.
"""

from __future__ import annotations

import socket
from typing import NoReturn

from teleport.access.action import Channel
from teleport.agents.forwarding.way import Way
from teleport.agents.ssh.user_side import Display, Listening
from teleport.base.errors import NotSupported

CLOSED: tuple[Channel, ...] = ("remote_forward", "agent", "x11")
"""Channels that are not carried to other servers: refused with a decision."""


class OnwardSide:
    """Implements `agents.ssh.user_side.UserSide`."""

    def __init__(self, way: Way) -> None:
        self._way = way

    async def serve_sftp(self, *, read_only: bool = False) -> socket.socket:
        """Return a socket at whose other end the server's SFTP subsystem serves the account's files."""
        if read_only:
            raise NotSupported("SSH-NOT-SUPPORTED", thing="reading files alone")
        return await (await self._way.onward()).subsystem("sftp")

    async def connect_tcp(self, host: str, port: int) -> socket.socket:
        """Return a socket that the server has connected to `host:port`."""
        return await (await self._way.onward()).connect_tcp(host, port)

    async def connect_unix(self, path: str) -> socket.socket:
        """Return a socket that the server has connected to its unix socket at `path`."""
        return await (await self._way.onward()).connect_unix(path)

    async def listen_tcp(self, host: str, port: int) -> Listening:
        """Refused: see CLOSED."""
        self._refuse("forwarding of a remote port")

    async def listen_unix(self, path: str) -> Listening:
        """Refused: see CLOSED."""
        self._refuse("forwarding of a remote unix socket")

    async def listen_agent(self) -> Listening:
        """Refused: see CLOSED."""
        self._refuse("agent forwarding")

    async def open_display(self, *, offset: int, most: int, protocol: str, cookie: bytes, screen: int) -> Display:
        """Refused: see CLOSED."""
        self._refuse("X11 forwarding")

    async def forget(self, listening: Listening) -> None:
        """Nothing listens."""

    def _refuse(self, thing: str) -> NoReturn:
        raise NotSupported("SSH-NOT-SUPPORTED", thing=thing)
