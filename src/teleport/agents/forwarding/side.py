"""What is done for a user at another server instead of by a helper of this machine (`agents.ssh.user_side`).

Files, connections and listeners are asked of the server's own sshd, over the connection that is signed in as the user;
what sshd may do is what the account may. Each connection is handed on as one end of a socket pair, so that all that
watches, counts and records is the same as on a node.
"""

from __future__ import annotations

import socket

from teleport.agents.forwarding.way import Way
from teleport.agents.ssh.user_side import Display, Listening
from teleport.base.entropy import Entropy
from teleport.base.errors import NotSupported
from teleport.net.ssh_x11 import X11Request


class OnwardSide:
    """Implements `agents.ssh.user_side.UserSide`."""

    def __init__(self, way: Way, entropy: Entropy) -> None:
        self._way = way
        self._entropy = entropy

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
        """Let the server listen at `host:port`."""
        incoming, port = await (await self._way.onward()).listen_tcp(host, port)
        return Listening(incoming, port=port)

    async def listen_unix(self, path: str) -> Listening:
        """Let the server listen at `path`."""
        return Listening(await (await self._way.onward()).listen_unix(path), path=path)

    async def listen_agent(self, session_id: str) -> Listening:
        """Let the session's programs at the server reach the agent. Only the server knows the path of its socket."""
        onward, far = await self._way.session(session_id)
        return Listening(await onward.lend_agent(far))

    async def open_display(self, session_id: str, wanted: X11Request, *, offset: int, most: int) -> Display:
        """Let the session's programs at the server reach the display, with a cookie that is made up for the session.
        Only the server knows the number of its display."""
        onward, far = await self._way.session(session_id)
        cookie = self._entropy.token(len(wanted.cookie))
        return Display((Listening(await onward.lend_display(far, wanted, cookie)),), "")

    async def forget(self, listening: Listening) -> None:
        """The server removes what it made when its listener ends."""
