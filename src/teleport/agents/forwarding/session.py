"""One session of a user at another server: between the channel of the user and the channel to the server.

What is decided, announced and recorded, and how SFTP is watched, is as for a command of this machine
(`agents.ssh.session`); here the command's bytes move to another server, requests go on, and ends are told apart. What
the user gets is what is recorded.
"""

from __future__ import annotations

import signal
from typing import Any, get_args

from teleport.agents.forwarding.way import Way
from teleport.agents.ssh.recorder import Watcher
from teleport.agents.ssh.session import NOT_STARTED, ProcessSession, facts_of
from teleport.agents.ssh.session_host import SESSION_ID, SessionHost
from teleport.agents.ssh.spawner_messages import Exited, SignalName
from teleport.base.errors import BadParameter, TeleportError
from teleport.net.ssh import one_line
from teleport.net.ssh_carried import OnwardSession
from teleport.net.ssh_far import Request
from teleport.net.ssh_onward import Onward
from teleport.wire.terminal import Size

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


class RelaySession(ProcessSession):
    """A session whose command or shell runs at another server."""

    def __init__(self, host: SessionHost, way: Way) -> None:
        super().__init__(host)
        self._keeper = host
        self._way = way
        self._far = Far(self)
        self._way.sessions[host.id] = self._far
        self._onward: Onward | None = None
        self._launched = self._opened = False
        self._finished = False
        self._holds.add(_STARTING)

    # -- from the user's channel --------------------------------------------------------------------------

    async def _start(self) -> None:
        self._launched = True
        for line in self._host.notices():
            self._tell(line)
        try:
            self._tape = await self._host.begin(self._launch, Watcher(self._recording_holds, self.end_for))
            if self._tape.notice:
                self._tell(self._tape.notice)
            if not self._cut:
                await self._go_on()
                await self._keeper.announced()
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
        way = self._way
        variables = {**launch.variables, SESSION_ID: self._keeper.id} if way.names_sessions else launch.variables
        self._onward, _ = await way.session(self._keeper.id)
        self._opened = True
        await self._onward.start(
            self._far, Request(command=launch.command, terminal=launch.terminal, variables=variables)
        )

    def session_started(self) -> None:
        self._holds.discard(_STARTING)
        if self._sftp is not None:
            super().session_started()
            return
        if self._begun:
            return
        self._begun = True
        if self._failure is not None or not self._opened:
            self._host.background(self._finish(self._failure))
            return
        self._open_room()
        if self._cut:
            self._report()
        if self._channel is None or self._cut:
            self._far.abandon()
        self._flow()
        if self._drained.is_set():
            self._host.background(self._finish(self._exit or self._lost(None)))

    def data_received(self, data: bytes, datatype: Any) -> None:
        if self._sftp is not None:
            super().data_received(data, datatype)
            return
        self.typed(data)

    def typed(self, data: bytes) -> None:
        """Pass keys to the server: the user's, or those of somebody who has joined."""
        self._host.used()
        self._far.send(data)

    def eof_received(self) -> bool:
        if self._sftp is None:
            self._far.send_end()
            return True
        return super().eof_received()

    def signal_received(self, signal: str) -> None:
        if signal in _SIGNALS and self._exit is None:
            self._far.send_signal(signal)

    def resized(self, size: Size) -> None:
        terminal = self._launch.terminal
        if terminal is not None and terminal.size != size:
            super().resized(size)
            self._far.send_size(size)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if not self._launched:  # there may be a channel for what was offered to a session
            self._forget()
        if self._begun or not self._launched:
            self._far.abandon()

    def _forget(self) -> None:
        self._way.sessions.pop(self._keeper.id, None)

    # -- from the server ----------------------------------------------------------------------------------

    def far_opened(self) -> None:
        """The server has opened the channel."""
        self._flow()

    def far_said(self, data: bytes, *, error: bool) -> None:
        """The server sent output."""
        (self._error_output if error else self._output)(data)

    def far_exited(self, exited: Exited) -> None:
        """The command has ended; its output may still come."""
        self._exit = exited

    def far_closed(self, error: Exception | None) -> None:
        """The channel to the server is gone, and everything it sent was handed on."""
        if self._sftp is not None:
            return
        self._drained.set()
        if self._begun:
            self._host.background(self._finish(self._exit or self._lost(error)))

    def far_crowded(self, crowded: bool) -> None:
        """The server takes input more slowly than the user sends it, or no more."""
        self._input_crowded(crowded)

    def _lost(self, error: Exception | None) -> TeleportError:
        assert self._onward is not None  # noqa: S101 - nothing is lost that was never opened
        return self._onward.lost(error)

    # -- flow and ends ------------------------------------------------------------------------------------

    def _flow(self) -> None:
        self._far.flow(not self._holds)

    def warn(self, text: str) -> bool:
        heard = self._launch.terminal is not None and self._begun and not self.ending
        if heard:
            self._tell(text)
        return heard

    def end(self, text: str) -> None:
        if self._sftp is not None:
            super().end(text)
            return
        if self.ending:
            return
        self._cut = True
        self._tell(text)
        if self._begun:
            self._report()
            self._far.abandon()

    async def _finish(self, outcome: Exited | TeleportError | None) -> None:
        """Record how it ended; then the user hears of it."""
        if self._finished:
            return
        self._finished = True
        self._forget()
        if isinstance(outcome, TeleportError) and outcome is not self._failure and not self._cut:
            self._tell(one_line(outcome))
        if outcome is None:
            await self._conclude({"exit_code": NOT_STARTED})
        else:
            telling = self._host.background(self._host.ended(self._launch, outcome))
            await self._conclude(facts_of(outcome), telling)


def number_of(name: str) -> int:
    """Return the number of a signal of RFC 4254 §6.10; SIGKILL's for a name that this system does not know."""
    try:
        return int(signal.Signals[f"SIG{name}"])
    except KeyError:
        return int(signal.SIGKILL)
