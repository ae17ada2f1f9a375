"""The session channel of an SSH connection that we made: what a user asks of a session, asked of the server.

asyncssh would send everything at once and take displays and agents of this machine; here each request is sent when the
user makes it, and its answer is theirs. Private names of asyncssh used here stand in `ssh_private`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import asyncssh
from asyncssh.channel import SSHClientChannel
from asyncssh.connection import SSHClientConnection
from asyncssh.constants import OPEN_REQUEST_SESSION_FAILED

from teleport.net.ssh_carried import OnwardSession
from teleport.net.ssh_x11 import X11Request
from teleport.wire import ssh_channel
from teleport.wire.terminal import Terminal

WINDOW = 2 * 1024 * 1024
PACKET = 32 * 1024


@dataclass(frozen=True)
class Request:
    """What is to run on a channel."""

    command: bytes | None = None
    """None: a shell, or the subsystem."""
    subsystem: str | None = None
    terminal: Terminal | None = None
    variables: dict[str, str] | None = None


class FarChannel(SSHClientChannel[bytes]):
    """A session channel. Every method raises asyncssh.ChannelOpenError when the server declines, and other errors of
    asyncssh and OSError when the connection is gone."""

    def __init__(self, connection: SSHClientConnection) -> None:
        super().__init__(connection, asyncio.get_running_loop(), "strict", None, "strict", WINDOW, PACKET)

    async def begin(self, session: OnwardSession) -> None:
        """Open the channel; `session` hears the server from here on."""
        packet = await self._open(b"session")
        packet.check_end()
        self._session = session
        session.connection_made(self)

    async def offer_agent(self) -> None:
        """Offer an agent to what will run."""
        await self._ask(b"auth-agent-req@openssh.com", b"", "agent forwarding")

    async def offer_display(self, wanted: X11Request) -> None:
        """Offer a display to what will run."""
        body = ssh_channel.x11(wanted.single_connection, wanted.protocol, wanted.cookie.hex(), wanted.screen)
        await self._ask(b"x11-req", body, "X11 forwarding")

    async def start(self, request: Request) -> None:
        """Ask for what is to run, and for all that it is to have."""
        for name, value in (request.variables or {}).items():
            self._send_request(b"env", ssh_channel.variable(name, value))
        if request.terminal is not None:
            await self._ask(b"pty-req", ssh_channel.terminal(request.terminal), "a terminal")
        if request.command is not None:
            await self._ask(b"exec", ssh_channel.text(request.command), "the command")
        elif request.subsystem is not None:
            await self._ask(b"subsystem", ssh_channel.text(request.subsystem), f"the subsystem {request.subsystem}")
        else:
            await self._ask(b"shell", b"", "a shell")
        if self._session is not None:  # it has ended already otherwise
            self._session.session_started()
            self.get_connection().create_task(self._start_reading(), self.logger)

    async def _ask(self, name: bytes, body: bytes, thing: str) -> None:
        if not await self._make_request(name, body):
            raise asyncssh.ChannelOpenError(OPEN_REQUEST_SESSION_FAILED, f"it declines {thing}")
