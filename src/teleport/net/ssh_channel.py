"""A session channel of an SSH connection that we serve, and the session behind it.

asyncssh moves the bytes and the windows; which requests of a client reach a session is decided here, by
a closed list. A request that is not in it is answered with failure, whatever asyncssh could do with it.
Private names of asyncssh used here stand in `ssh_private`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar

from asyncssh import SSHServerSession
from asyncssh.channel import SSHServerChannel
from asyncssh.constants import MSG_CHANNEL_CLOSE, MSG_CHANNEL_REQUEST
from asyncssh.misc import ProtocolError
from asyncssh.packet import SSHPacket

from teleport.net.ssh_packets import PacketChannel
from teleport.net.ssh_x11 import X11Request, read_x11
from teleport.wire.buffer import ProtocolError as Malformed
from teleport.wire.terminal import Size, Terminal, read_size, read_terminal

if TYPE_CHECKING:
    from teleport.net.ssh_doors import Doors

WINDOW = 2 * 1024 * 1024
"""Bytes that a client may send on a channel before we have taken them."""
PACKET = 32 * 1024
"""Largest payload of one packet, both ways: what every client can take."""
REFUSED = 255
"""Exit status of a channel whose purpose was refused: what `ssh` uses for its own failures."""
ENVIRONMENT_ENTRIES = 256
"""Variables that a client may set on all channels of a connection, and their size together."""
ENVIRONMENT_BYTES = 32 * 1024
QUEUED_REQUESTS = ENVIRONMENT_ENTRIES + 16
"""Requests on one channel that may wait while an earlier one is being decided."""
QUEUED_BYTES = 512 * 1024


class Session(SSHServerSession[bytes]):
    """What stands behind a session channel. Subclasses run the command.

    Of asyncssh's own methods these are called: `connection_made(channel)`, `session_started()` after `run`,
    `data_received(data, _)`, `eof_received()`, `connection_lost(error)`, `signal_received(name)`.
    """

    async def run(self, command: bytes | None) -> bool:
        """Start `command`, or a shell, and say whether the request succeeded. A failure is told on standard error."""
        raise AssertionError("a session runs something")  # pragma: no cover

    def terminal_wanted(self, terminal: Terminal) -> bool:
        """What runs is to have a terminal; say whether it will. Asked at most once, and before `run`."""
        return False

    def resized(self, size: Size) -> None:
        """The client's terminal has another size."""

    def variable_wanted(self, name: str, value: str) -> bool:
        """The client asks for an environment variable before `run`; say whether it is taken."""
        return False

    async def agent_wanted(self) -> bool:
        """The client offers its agent to what will run; say whether that has it. Asked at most once, before `run`.
        A refusal is told on standard error."""
        await self.declined("auth-agent-req@openssh.com", "")
        return False

    async def x11_wanted(self, wanted: X11Request) -> bool:
        """The client offers a display; the same."""
        await self.declined("x11-req", "")
        return False

    async def declined(self, request: str, detail: str) -> None:
        """A request of the client is not accepted: `request` as in RFC 4254, `detail` what it asked for."""

    async def start_subsystem(self, name: str) -> bool:
        """Start a subsystem and say whether that succeeded; False declines the request."""
        return False

    def connection_made(self, chan: Any) -> None:
        """The channel is open. A connection that can take nothing at the moment holds it from the start."""
        if chan.get_connection().output_held:
            self.hold("carrier")

    def hold(self, reason: str) -> None:
        """Stop producing output: `channel` (its window or buffer is full) or `carrier` (the connection is)."""

    def release(self, reason: str) -> None:
        """The reason of an earlier `hold` is gone."""

    def pause_writing(self) -> None:
        self.hold("channel")

    def resume_writing(self) -> None:
        self.release("channel")


class SessionChannel(PacketChannel):
    """A channel that accepts terminals, commands, shells, signals and subsystems of its session, which hears of
    everything declined."""

    def __init__(self, connection: Doors) -> None:
        """Raises asyncssh.ChannelOpenError when the connection has as many channels as it may."""
        super().__init__(
            connection, asyncio.get_running_loop(), allow_pty=False, line_editor=False, line_echo=False,
            line_history=0, max_line_length=1024, encoding=None, errors="strict", window=WINDOW, max_pktsize=PACKET,
        )  # fmt: skip
        self._serving = connection
        self._used = False
        self._has_terminal = False
        self._offered: set[str] = set()

    def process_open(self, send_chan: int, send_window: int, send_pktsize: int, session: Any) -> None:
        """Bound what the client says it can take: neither number may decide how much we hold."""
        super().process_open(send_chan, send_window, min(send_pktsize, PACKET), session)

    def hold_output(self, held: bool) -> None:
        """The connection cannot take more now, or can again."""
        session = self._session
        if isinstance(session, Session):
            (session.hold if held else session.release)("carrier")

    def _bounded_request(self, pkttype: int, pktid: int, packet: SSHPacket) -> None:
        waiting = sum(len(request.get_full_payload()) for _, request, _ in self._request_queue)
        if len(self._request_queue) >= QUEUED_REQUESTS or waiting > QUEUED_BYTES:
            raise ProtocolError("too many requests on one channel")
        self._process_request(pkttype, pktid, packet)

    def _closed_by_client(self, pkttype: int, pktid: int, packet: SSHPacket) -> None:
        """Nobody is there any more. Input that the command has not taken must not delay that news."""
        self._process_close(pkttype, pktid, packet)
        self.resume_reading()

    def _service_next_request(self) -> None:
        """Answer the oldest request; asyncssh would call any method named after it."""
        name, packet, _ = self._request_queue[0]
        if self.is_closing():
            self._report_response(False)
            return
        answer = self._known_requests.get(name)
        if answer is None:
            self._answer_later(self._decline(name, ""))
        elif (result := answer(self, packet)) is not None:
            self._report_response(result)

    def _answer_later(self, work: Coroutine[Any, Any, bool]) -> None:
        async def report() -> None:
            result = await work
            if self._request_queue and self._session is not None:
                self._report_response(result)

        self.get_connection().create_task(report(), self.logger)

    async def _decline(self, name: str, detail: str) -> bool:
        """Refuse. Without the terminal, shell or subsystem that was asked for the channel is of no use: it is
        closed instead of answered, because OpenSSH's client ends at once on that answer and would not show
        the reason that it has just received."""
        session = self._session
        if isinstance(session, Session):
            await session.declined(name, detail)
        if name in ("pty-req", "shell", "subsystem") and not self._used:
            self._used = True
            self.exit(REFUSED)
        return False

    def _answer_exec(self, packet: SSHPacket) -> bool | None:
        command = packet.get_string()
        packet.check_end()
        return self._run(command)

    def _answer_shell(self, packet: SSHPacket) -> bool | None:
        packet.check_end()
        return self._run(None)

    def _run(self, command: bytes | None) -> bool | None:
        session = self._session
        if self._used or not isinstance(session, Session):
            return False
        self._used = True
        self._answer_later(session.run(command))
        return None

    def _answer_terminal(self, packet: SSHPacket) -> bool | None:
        """A second terminal, or one for what runs already, is refused without a word: no honest client asks."""
        session = self._session
        if self._used or self._has_terminal or not isinstance(session, Session):
            return False
        try:
            wanted = read_terminal(packet.get_remaining_payload())
        except Malformed:
            return False
        if not session.terminal_wanted(wanted):
            self._answer_later(self._decline("pty-req", wanted.name))
            return None
        self._has_terminal = True
        return True

    def _answer_size(self, packet: SSHPacket) -> bool | None:
        try:
            size = read_size(packet.get_remaining_payload())
        except Malformed:
            return False
        if self._has_terminal and isinstance(self._session, Session):
            self._session.resized(size)
        return self._has_terminal

    def _answer_environment(self, packet: SSHPacket) -> bool | None:
        """A connection may set as much as a process could be given; more is refused like an unwanted name."""
        name, value = packet.get_string(), packet.get_string()
        packet.check_end()
        text, session = name.decode(errors="replace"), self._session
        if (
            not self._used
            and isinstance(session, Session)
            and self._serving.take_variable(name, value)
            and session.variable_wanted(text, value.decode(errors="replace"))
        ):
            return True
        self._answer_later(self._decline("env", text))
        return None

    def _answer_signal(self, packet: SSHPacket) -> bool | None:
        name = packet.get_string()
        packet.check_end()
        if isinstance(self._session, Session):
            self._session.signal_received(name.decode(errors="replace"))
        return True

    def _answer_subsystem(self, packet: SSHPacket) -> bool | None:
        name = packet.get_string()
        self._answer_later(self._start_subsystem(name.decode(errors="replace")))
        return None

    async def _start_subsystem(self, name: str) -> bool:
        session = self._session
        if not self._used and isinstance(session, Session) and await session.start_subsystem(name):
            self._used = True
            return True
        return await self._decline("subsystem", name)

    def _answer_agent(self, packet: SSHPacket) -> bool | None:
        packet.check_end()
        return self._offer("agent", lambda session: session.agent_wanted())

    def _answer_x11(self, packet: SSHPacket) -> bool | None:
        wanted = read_x11(packet)
        if wanted is None:
            self._answer_later(self._decline("x11-req", ""))
            return None
        return self._offer("x11", lambda session: session.x11_wanted(wanted))

    def _offer(self, what: str, ask: Callable[[Session], Coroutine[Any, Any, bool]]) -> bool | None:
        """Ask the session whether it takes what the client offers: once, and before anything runs."""
        session = self._session
        if self._used or what in self._offered or not isinstance(session, Session):
            return False
        self._offered.add(what)
        self._answer_later(ask(session))
        return None

    def _answer_nothing(self, packet: SSHPacket) -> bool | None:
        """Requests that ask for no service and need no audit."""
        return False

    _known_requests: ClassVar[dict[str, Callable[[SessionChannel, SSHPacket], bool | None]]] = {
        "exec": _answer_exec,
        "shell": _answer_shell,
        "pty-req": _answer_terminal,
        "window-change": _answer_size,
        "env": _answer_environment,
        "signal": _answer_signal,
        "subsystem": _answer_subsystem,
        "auth-agent-req@openssh.com": _answer_agent,
        "x11-req": _answer_x11,
        "keepalive@openssh.com": _answer_nothing,
        "eow@openssh.com": _answer_nothing,
    }
    _packet_handlers = {
        **SSHServerChannel._packet_handlers,
        MSG_CHANNEL_REQUEST: _bounded_request,
        MSG_CHANNEL_CLOSE: _closed_by_client,
    }
