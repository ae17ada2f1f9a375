"""`agent.sock`: an SSH agent that has the key and certificate of the output, and never lets the key out.

After a renewal the certificate before it still signs: a client may have been told of it a moment ago.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque

from teleport.base.errors import TeleportError
from teleport.bot.parts import Held
from teleport.client.ssh_client.trust import UserKey
from teleport.pki import keys
from teleport.wire import ssh_agent, ssh_agent_answers
from teleport.wire.buffer import NeedMore, ProtocolError
from teleport.wire.ssh_agent import Identity

_CHUNK = 65536
_KEPT = 2


class KeyAgent:
    """Answers clients of the agent protocol."""

    def __init__(self) -> None:
        self._keys: deque[UserKey] = deque(maxlen=_KEPT)
        self._comment = ""

    def take(self, held: Held) -> None:
        """Use these from now on. Raises BadParameter (PKI-KEY)."""
        key = UserKey(keys.load_private(held.key.encode()), keys.load_ssh_line(held.ssh_certificate))
        self._keys.append(key)
        self._comment = f"teleport:{held.identity.cluster}:{held.identity.name}"

    def answer(self, body: bytes) -> bytes:
        """Return the answer to one message. Raises ProtocolError (WIRE-AGENT)."""
        match ssh_agent_answers.read(body):
            case ssh_agent_answers.Listing():
                newest = list(self._keys)[-1:]
                return ssh_agent_answers.identities([Identity(key.certificate, self._comment) for key in newest])
            case ssh_agent_answers.Signing(blob, data):
                for key in self._keys:
                    if key.certificate == blob:
                        return ssh_agent_answers.signature(key.sign(data))
        return ssh_agent_answers.refusal()

    async def serve(self, sock: socket.socket) -> None:
        """Serve one connection until it ends. Raises OSError."""
        loop, received = asyncio.get_running_loop(), b""
        with sock:
            while data := await loop.sock_recv(sock, _CHUNK):
                received += data
                try:
                    while True:
                        body, size = ssh_agent.frame(received)
                        received = received[size:]
                        await loop.sock_sendall(sock, self._answered(body))
                except NeedMore:
                    continue
                except ProtocolError:
                    return

    def _answered(self, body: bytes) -> bytes:
        try:
            return self.answer(body)
        except ProtocolError:
            raise
        except TeleportError:
            return ssh_agent_answers.refusal()
