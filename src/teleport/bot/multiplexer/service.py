"""Service `ssh-multiplexer`: `v1.sock` leads to nodes, `agent.sock` signs in there, `ssh_config` tells `ssh` of them.

A client of `v1.sock` sends `host:port` and a NUL byte; what follows is SSH. For `ssh` a command does that: it
connects and hands over the socket (ProxyUseFdpass), so that no process stands between `ssh` and the bot.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Mapping

from teleport.api.bot_messages import Output
from teleport.base.disk import Disk
from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter
from teleport.bot import ssh_files
from teleport.bot.multiplexer import sockets, templates
from teleport.bot.multiplexer.keys import KeyAgent
from teleport.bot.multiplexer.templates import Template
from teleport.bot.multiplexer.upstream import Upstream, acting
from teleport.bot.outputs.certified import Certified
from teleport.bot.parts import Bot, Destination, Held, ProxyFacts
from teleport.client.profile import between, host_of
from teleport.client.ssh_config import Hosts, SshFiles, command_line, document
from teleport.model.config.tbot_services import SshMultiplexer

SOCKET, AGENT = "v1.sock", "agent.sock"
CONNECTIONS = 512
"""Clients at one time; more wait."""
_CLIENTS_OF_AGENT = 64
LONGEST_TARGET = 1024
"""Bytes of `host:port`."""
_PATIENCE = 10.0
"""Seconds within which a client has to say where it wants to go."""


class Multiplexer:
    """Implements `bot.parts.Service`."""

    runs_once = False

    def __init__(
        self, section: SshMultiplexer, destination: Destination, certified: Certified, *, name: str, interval: float,
        tbot: str, environment: Mapping[str, str], entropy: Entropy, disk: Disk,
    ) -> None:  # fmt: skip
        """`disk` has the file of proxy templates, if one is configured."""
        self.name = name
        self.interval = interval
        self._section = section
        self._destination = destination
        self._certified = certified
        self._command = section.proxy_command or (tbot, "ssh-multiplexer-proxy-command")
        self._between = between(environment)
        self._agent = KeyAgent()
        self._upstream = Upstream(resume=bool(section.enable_resumption), entropy=entropy)
        self._generated = asyncio.Event()
        self._disk = disk
        self._templates: tuple[Template, ...] = ()

    async def prepare(self) -> None:
        """See Service.prepare. Raises what `templates.read` raises."""
        if self._section.proxy_templates_path:
            self._templates = templates.read(self._disk, self._section.proxy_templates_path)
        await self._destination.prepare([ssh_files.CONFIG, ssh_files.KNOWN_HOSTS])

    async def generate(self, bot: Bot) -> None:
        """Take new certificates into use. Raises what `Bot.issue` and `Bot.proxy` raise, and the destination."""
        await self._destination.check()
        wanted = Output(ssh_public_key="", tls_public_key="", roles=self._section.roles)
        held = await self._certified.renew(bot, wanted)
        proxy = await bot.proxy()
        self._agent.take(held)
        self._upstream.take(acting(held, proxy, self._between))
        await self._destination.write(self._files(held, proxy, bot.cluster))
        self._certified.tell(held)
        self._generated.set()

    def _files(self, held: Held, proxy: ProxyFacts, cluster: str) -> dict[str, bytes]:
        folder = self._destination.folder
        mux, agent, known = (os.path.join(folder, name) for name in (SOCKET, AGENT, ssh_files.KNOWN_HOSTS))
        command = command_line(self._command[0], [*self._command[1:], mux], "%h:%p")
        hosts = Hosts(cluster, SshFiles("", "", known, agent=agent), command, hands_over=True)
        return {
            ssh_files.CONFIG: document("tbot", host_of(proxy.address), [hosts]).encode(),
            ssh_files.KNOWN_HOSTS: ssh_files.trusted(proxy, cluster, held, [cluster]),
        }

    async def serve(self, bot: Bot, ready: Callable[[], None]) -> None:
        """Listen until cancelled. Raises AlreadyExists (MUX-SOCKET-TAKEN), Unavailable (MUX-SOCKET)."""
        await self._generated.wait()
        folder = self._destination.folder
        with sockets.listening(folder, SOCKET) as mux, sockets.listening(folder, AGENT) as agent:
            ready()
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(sockets.serve(mux, self._carry, most=CONNECTIONS))
                    group.create_task(sockets.serve(agent, self._agent.serve, most=_CLIENTS_OF_AGENT))
            except ExceptionGroup as failed:
                raise failed.exceptions[0] from None
            finally:
                self._upstream.close()

    async def _carry(self, sock: socket.socket) -> None:
        """Serve one client. Raises OSError, BadParameter (MUX-TARGET)."""
        try:
            target, first = await asyncio.wait_for(_target(sock), _PATIENCE)
        except TimeoutError:
            raise BadParameter("MUX-TARGET", problem="nothing was said in time") from None
        meant = templates.apply(self._templates, target)
        loop, over = asyncio.get_running_loop(), asyncio.Event()

        def ended() -> None:
            with contextlib.suppress(RuntimeError):  # the bot has stopped
                loop.call_soon_threadsafe(over.set)

        self._upstream.start(sock, meant.target, meant.cluster, first, ended)
        await over.wait()


async def _target(sock: socket.socket) -> tuple[str, bytes]:
    """Return where a client wants to go, and what it has sent after that."""
    loop, received = asyncio.get_running_loop(), b""
    while b"\0" not in received:
        data = await loop.sock_recv(sock, LONGEST_TARGET)
        if not data or len(received) > LONGEST_TARGET:
            raise BadParameter("MUX-TARGET", problem="it has no end")
        received += data
    said, _, first = received.partition(b"\0")
    try:
        return said.decode("ascii"), first
    except UnicodeDecodeError:
        raise BadParameter("MUX-TARGET", problem="it is not ASCII") from None
