"""One session of a user at another server: between the channel of the user and the channel to the server.

As `agents.ssh.session` for a command of this machine: what is decided, announced and recorded is the host's matter;
here bytes move, requests go on, and ends are told apart. What the user gets is what is recorded.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

from teleport.agents.forwarding.way import Way
from teleport.agents.ssh.recorder import Tape, Watcher
from teleport.agents.ssh.session import NOT_STARTED, SEALING, Launch, LiveSession, facts_of, signal_name
from teleport.agents.ssh.session_host import SessionHost
from teleport.agents.ssh.spawner_messages import Exited, SignalName
from teleport.base.errors import BadParameter, TeleportError
from teleport.net.ssh import one_line
from teleport.net.ssh_channel import SessionChannel
from teleport.net.ssh_onward import Onward, OnwardSession, Request
from teleport.wire.terminal import Size, Terminal

_SIGNALS = frozenset(get_args(SignalName))
_STARTING = "starting"


class Far(OnwardSession):
    """The server's side of a session: everything goes to the relay."""

    def __init__(self, relay: RelaySession) -> None:
        super().__init__()
        self._relay = relay

    def connection_made(self, chan: Any) -> None:
        super().connection_made(chan)
        self._relay.far_opened()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._relay.far_said(data, error=datatype is not None)

    def eof_received(self) -> bool:
        """Its output has ended; its input goes on until it closes."""
        return True

    def exit_status_received(self, status: int) -> None:
        self._relay.far_exited(Exited(id=0, status=status & 0xFF))

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self._relay.far_exited(Exited(id=0, signal=number_of(signal), core_dumped=core_dumped))

    def connection_lost(self, exc: Exception | None) -> None:
        self._relay.far_closed(exc)

    def crowded(self, crowded: bool) -> None:
        self._relay.far_crowded(crowded)


class RelaySession(LiveSession):
    """A session whose command or shell runs at another server."""

    def __init__(self, host: SessionHost, way: Callable[[], Way]) -> None:
        self._host = host
        self._way = way
        self._channel: SessionChannel | None = None
        self._launch = Launch()
        self._tape: Tape | None = None
        self._far = Far(self)
        self._onward: Onward | None = None
        self._opened = False
        self._closed = False
        self._concluded = False
        self._failure: TeleportError | None = None
        self._exit: Exited | None = None
        self._cut = False
        self._begun = False
        self._ready = False
        self._holds: set[str] = {_STARTING}

    # -- from the user's channel --------------------------------------------------------------------------

    def connection_made(self, chan: Any) -> None:
        self._channel = chan
        super().connection_made(chan)

    def terminal_wanted(self, terminal: Terminal) -> bool:
        self._launch = replace(self._launch, terminal=terminal)
        return True

    def variable_wanted(self, name: str, value: str) -> bool:
        taken = value.isprintable() and self._host.variable_wanted(name)
        if taken:
            self._launch.variables[name] = value
        return taken

    async def run(self, command: bytes | None) -> bool:
        self._launch = replace(self._launch, command=command)
        await asyncio.wait([self._host.background(self._start())])
        return True

    async def _start(self) -> None:
        for line in self._host.notices():
            self._tell(line)
        try:
            self._tape = await self._host.begin(self._launch, Watcher(self._recording_holds, self.end_for))
            if self._tape.notice:
                self._tell(self._tape.notice)
            if not self._cut:
                await self._go_on()
        except TeleportError as error:
            self._failure = error
            self._tell(one_line(error))
        self._ready = True
        if self._channel is None:  # the user has left meanwhile: nobody will say that the session started
            self.session_started()

    async def _go_on(self) -> None:
        launch = self._launch
        if launch.command == b"":
            raise BadParameter("SSH-COMMAND", limit=0)
        self._onward = await self._way().onward()
        await self._onward.open(
            self._far, Request(command=launch.command, terminal=launch.terminal, variables=launch.variables)
        )

    def session_started(self) -> None:
        """The user has their answer: from here on bytes may flow."""
        if self._begun:
            return
        self._begun = True
        if self._failure is not None or not self._opened:
            self._host.background(self._conclude(self._failure))
            return
        if self._cut:
            self._report()
        if self._channel is None or self._cut:
            self._far.abandon()
        self.release(_STARTING)
        if self._closed:
            self._host.background(self._conclude(self._exit or self._lost(None)))

    async def declined(self, request: str, detail: str) -> None:
        error = await self._host.declined_request(request, detail)
        if error is not None:
            self._tell(one_line(error))

    def data_received(self, data: bytes, datatype: Any) -> None:
        self._host.used()
        self._far.send(data)

    def eof_received(self) -> bool:
        """Half-close: the command's input ends, its output goes on."""
        self._far.send_end()
        return True

    def signal_received(self, signal: str) -> None:
        if signal in _SIGNALS and self._exit is None:
            self._far.send_signal(signal)

    def resized(self, size: Size) -> None:
        terminal = self._launch.terminal
        if terminal is None or terminal.size == size:
            return
        self._launch = replace(self._launch, terminal=terminal._replace(size=size))
        self._far.send_size(size)
        if self._tape is not None:
            self._tape.resize(*size)
            self._host.background(self._host.resized(size))

    def connection_lost(self, exc: Exception | None) -> None:
        self._channel = None
        self._host.left()
        if self._begun:
            self._far.abandon()
        elif self._ready:
            self.session_started()

    # -- from the server ----------------------------------------------------------------------------------

    def far_opened(self) -> None:
        """The server has opened the channel."""
        self._opened = True
        self._flow()

    def far_said(self, data: bytes, *, error: bool) -> None:
        """The server sent output."""
        if self._tape is not None:
            self._tape.output(data, error=error)
        self._deliver(data, 1 if error else None)

    def far_exited(self, exited: Exited) -> None:
        """The command has ended; its output may still come."""
        self._exit = exited

    def far_closed(self, error: Exception | None) -> None:
        """The channel to the server is gone, and everything it sent was handed on."""
        self._closed = True
        if self._begun:
            self._host.background(self._conclude(self._exit or self._lost(error)))

    def far_crowded(self, crowded: bool) -> None:
        """The server takes input more slowly than the user sends it, or no more."""
        if self._channel is not None:
            (self._channel.pause_reading if crowded else self._channel.resume_reading)()

    def _lost(self, error: Exception | None) -> TeleportError:
        assert self._onward is not None  # noqa: S101 - nothing is lost that was never opened
        return self._onward.lost(error)

    # -- flow ---------------------------------------------------------------------------------------------

    def hold(self, reason: str) -> None:
        self._holds.add(reason)
        self._flow()

    def release(self, reason: str) -> None:
        self._holds.discard(reason)
        self._flow()

    def _recording_holds(self, held: bool) -> None:
        (self.hold if held else self.release)("recording")

    def _flow(self) -> None:
        self._far.flow(not self._holds)

    def _deliver(self, data: bytes, kind: int | None) -> None:
        self._host.used()
        if self._channel is not None and not self._channel.is_closing():
            self._channel.write(data, kind)

    def _tell(self, line: str) -> None:
        """Say something to the user: at a terminal there, otherwise on standard error."""
        if self._tape is not None:
            self._tape.mark(line)
        at_terminal = self._launch.terminal is not None
        text = f"\r\n{line}\r\n" if at_terminal and self._opened else f"{line}\r\n"
        self._deliver(text.encode(errors="replace"), None if at_terminal else 1)

    def warn(self, text: str) -> bool:
        heard = self._launch.terminal is not None and self._begun and not self.ending
        if heard:
            self._tell(text)
        return heard

    @property
    def ending(self) -> bool:
        return self._cut or self._closed

    # -- ends ---------------------------------------------------------------------------------------------

    def end(self, text: str) -> None:
        """The proxy ends the session: say why, hang up what runs, and close with a status that is none of it."""
        if self.ending:
            return
        self._cut = True
        self._tell(text)
        if self._begun:
            self._report()
            self._far.abandon()

    def end_for(self, error: TeleportError) -> None:
        """End the session because of an error."""
        self.end(one_line(error))

    async def _conclude(self, outcome: Exited | TeleportError | None) -> None:
        """Everything was read: the recording is closed, then the user hears how it ended."""
        self._closed = True
        if self._concluded:
            return
        self._concluded = True
        if isinstance(outcome, TeleportError) and outcome is not self._failure and not self._cut:
            self._tell(one_line(outcome))
        if outcome is not None:
            await self._host.ended(self._launch, outcome)
        tape, self._tape = self._tape, None
        if tape is not None:
            facts = facts_of(outcome) if outcome is not None else {"exit_code": NOT_STARTED}
            closing = self._host.background(tape.close({**facts, "ended_by_server": self._cut}))
            await asyncio.wait([closing], timeout=SEALING)
        self._report()
        if tape is not None:
            await self._host.over()

    def _report(self) -> None:
        channel, outcome = self._channel, self._exit
        if channel is None or channel.is_closing():
            return
        if self._cut or outcome is None:
            channel.exit(NOT_STARTED)
        elif outcome.signal:
            channel.exit_with_signal(signal_name(outcome.signal), outcome.core_dumped)
        else:
            channel.exit(outcome.status)


def number_of(name: str) -> int:
    """Return the number of a signal of RFC 4254 §6.10; SIGKILL's for a name that this system does not know."""
    try:
        return int(signal.Signals[f"SIG{name}"])
    except KeyError:
        return int(signal.SIGKILL)
