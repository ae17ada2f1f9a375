"""One command or shell of one client: from the request to the exit status.

Between the channel (`net.ssh_channel`) and the process (`spawner`). What may run, and what is recorded, is
decided by the service through `session_contract.Host`; here bytes move and ends are told apart: the client's end
of input, the command's end of output, its exit, the loss of the client, and the end that the server itself makes.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, get_args

from teleport.agents.ssh.joining import Room
from teleport.agents.ssh.pipes import InputPipe, OutputPipe, TerminalInput
from teleport.agents.ssh.recorder import Tape, Watcher
from teleport.agents.ssh.session_contract import Host, Launch, LiveSession
from teleport.agents.ssh.sftp_session import SftpRun
from teleport.agents.ssh.spawner import Process
from teleport.agents.ssh.spawner_messages import Exited, SignalName
from teleport.base.errors import TeleportError
from teleport.net import terminal as terminal_device
from teleport.net.ssh import one_line
from teleport.net.ssh_channel import SessionChannel
from teleport.net.ssh_x11 import X11Request
from teleport.wire.terminal import Size, Terminal

NOT_STARTED = 255
"""Exit status when no command ran or the server ended it: what `ssh` itself uses for its own failures."""
SEALING = 10.0
"""Seconds that a client waits at most for its exit status because the recording is not durable yet."""
_SIGNALS = frozenset(get_args(SignalName))
_KEYS = {"INT": signal.SIGINT, "QUIT": signal.SIGQUIT}
"""Signals that a terminal sends to whatever is in its foreground."""


class ProcessSession(LiveSession):
    """A session that runs one command or shell, with a terminal or without."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._channel: SessionChannel | None = None
        self._launch = Launch()
        self._tape: Tape | None = None
        self._process: Process | None = None
        self._sftp: SftpRun | None = None
        self._failure: TeleportError | None = None
        self._exit: Exited | None = None
        self._room: Room | None = None
        self._cut = False
        self._hung_up = False
        self._over = False
        """Whether the command has ended and all of its output was read: what it left running is on its own."""
        self._ready = False
        self._begun = False
        self._holds: set[str] = set()
        self._input: InputPipe | None = None
        self._outputs: list[OutputPipe] = []
        self._drained = asyncio.Event()

    # -- from the channel ---------------------------------------------------------------------------------

    def connection_made(self, chan: Any) -> None:
        self._channel = chan
        super().connection_made(chan)

    def terminal_wanted(self, terminal: Terminal) -> bool:
        self._launch = replace(self._launch, terminal=terminal)
        return True

    def variable_wanted(self, name: str, value: str) -> bool:
        taken = value.isprintable() and self._host.variable_wanted(name, value)
        if taken:
            self._launch.variables[name] = value
        return taken

    async def start_subsystem(self, name: str) -> bool:
        if name == "sftp":
            await asyncio.wait([self._host.background(self._start_sftp())])
        return self._sftp is not None

    async def _start_sftp(self) -> None:
        for line in self._host.notices():
            self._tell(line)
        try:
            self._sftp = await self._host.serve_sftp(self._sftp_failed)
        except TeleportError as error:
            self._failure = error
        if self._channel is None and self._sftp is not None:
            self.session_started()

    def _sftp_failed(self, error: TeleportError) -> None:
        self._tell(one_line(error))

    def _carry_sftp(self, run: SftpRun) -> None:
        for reason in self._holds:
            run.stream.hold(reason)
        if self._channel is None:
            run.stream.connection_lost(None)
        else:
            run.stream.connection_made(self._channel)
        if self._cut:
            run.end()
        self._host.background(self._watch_sftp(run))

    async def _watch_sftp(self, run: SftpRun) -> None:
        await self._host.sftp_over(await run.run())

    async def agent_wanted(self) -> bool:
        return self._given(await self._host.take_agent())

    async def x11_wanted(self, wanted: X11Request) -> bool:
        return self._given(await self._host.take_display(wanted))

    def _given(self, refusal: TeleportError | None) -> bool:
        if refusal is not None:
            self._tell(one_line(refusal))
        return refusal is None

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
                self._process = await self._host.start(self._launch)
        except TeleportError as error:
            self._failure = error
            self._tell(one_line(error))
        self._ready = True
        if self._channel is None:  # the client has left meanwhile: nobody will say that the session started
            self.session_started()

    def session_started(self) -> None:
        """The client has its answer: from here on bytes may flow."""
        if self._begun:
            return
        self._begun = True
        if self._sftp is not None:
            self._carry_sftp(self._sftp)
        elif self._process is not None:
            self._attach(self._process)
        else:
            self._host.background(self._not_started())

    async def _not_started(self) -> None:
        if self._failure is not None:
            await self._host.ended(self._launch, self._failure)
        await self._conclude({"exit_code": NOT_STARTED})

    def _attach(self, process: Process) -> None:
        if self._launch.terminal is None:
            self._input = InputPipe(process.stdin, crowded=self._input_crowded)
        else:
            self._input = TerminalInput(process.stdin, crowded=self._input_crowded)
        self._outputs = [OutputPipe(process.stdout, deliver=self._output, ended=self._output_ended)]
        if process.stderr >= 0:
            self._outputs.append(OutputPipe(process.stderr, deliver=self._error_output, ended=self._output_ended))
        self._open_room()
        self._host.background(self._watch(process))
        if self._cut:
            self._report()
        if self._channel is None or self._cut:
            self._abandon()
        else:
            self._flow()

    def _open_room(self) -> None:
        """What runs is there: from here on others may join."""
        if self._launch.terminal is not None and (room := self._host.room()) is not None:
            room.open(self, self._launch.terminal.size)
            self._room = room

    async def declined(self, request: str, detail: str) -> None:
        if request == "subsystem" and self._failure is not None:
            self._tell(one_line(self._failure))
            return
        error = await self._host.declined_request(request, detail)
        if error is not None:
            self._tell(one_line(error))

    def data_received(self, data: bytes, datatype: Any) -> None:
        if self._sftp is not None:
            self._sftp.stream.data_received(data, datatype)
            return
        self.typed(data)

    def typed(self, data: bytes) -> None:
        """Pass keys to the command: the client's, or those of somebody who has joined."""
        self._host.used()
        if self._input is not None:
            self._input.write(data)

    def eof_received(self) -> bool:
        """Half-close: the command's input ends, its output goes on."""
        if self._sftp is not None:
            self._sftp.stream.eof_received()
        elif self._input is not None:
            self._input.end()
        return True

    def signal_received(self, signal: str) -> None:
        process = self._process
        if process is None or self._exit is not None or signal not in _SIGNALS:
            return
        if self._launch.terminal is not None and signal in _KEYS and self._outputs[0].open:
            terminal_device.interrupt(self._outputs[0].descriptor, _KEYS[signal])
        else:
            self._host.background(self._safely(process.signal(signal)))  # type: ignore[arg-type]

    def resized(self, size: Size) -> None:
        terminal = self._launch.terminal
        if terminal is None or terminal.size == size:
            return
        self._launch = replace(self._launch, terminal=terminal._replace(size=size))
        if self._outputs and self._outputs[0].open:
            terminal_device.resize(self._outputs[0].descriptor, size)
        if self._room is not None:
            self._room.resized(size)
        if self._tape is not None:
            self._tape.resize(*size)
            self._host.background(self._host.resized(size))

    def connection_lost(self, exc: Exception | None) -> None:
        self._channel = None
        self._host.left()
        if self._sftp is not None and self._begun:
            self._sftp.stream.connection_lost(exc)
        elif self._outputs:
            self._abandon()
        elif self._ready:
            self.session_started()

    # -- flow ---------------------------------------------------------------------------------------------

    def hold(self, reason: str) -> None:
        self._holds.add(reason)
        if self._sftp is not None:
            self._sftp.stream.hold(reason)
        self._flow()

    def release(self, reason: str) -> None:
        self._holds.discard(reason)
        if self._sftp is not None:
            self._sftp.stream.release(reason)
        self._flow()

    def _recording_holds(self, held: bool) -> None:
        (self.hold if held else self.release)("recording")

    def _flow(self) -> None:
        for output in self._outputs:
            output.flow(not self._holds)

    def _input_crowded(self, crowded: bool) -> None:
        if self._room is not None:
            self._room.crowded(crowded)
        if self._channel is not None:
            (self._channel.pause_reading if crowded else self._channel.resume_reading)()

    def _output(self, data: bytes) -> None:
        self._host.used()
        if self._tape is not None:
            self._tape.output(data)
        if self._room is not None:
            self._room.output(data)
        self._deliver(data, None)

    def _error_output(self, data: bytes) -> None:
        self._host.used()
        if self._tape is not None:
            self._tape.output(data, error=True)
        self._deliver(data, 1)

    def _deliver(self, data: bytes, kind: int | None) -> None:
        if self._channel is not None and not self._channel.is_closing():
            self._channel.write(data, kind)

    def _tell(self, line: str) -> None:
        """Say something to the user: at a terminal there, otherwise on standard error."""
        if self._tape is not None:
            self._tape.mark(line)
        at_terminal = self._launch.terminal is not None
        text = f"\r\n{line}\r\n" if at_terminal and self._outputs else f"{line}\r\n"
        self._deliver(text.encode(errors="replace"), None if at_terminal else 1)
        if self._room is not None:
            self._room.tell(text.encode(errors="replace"))

    def announce(self, line: str) -> None:
        """Say something to the client, the recording, and those who have joined."""
        self._tell(line)

    def warn(self, text: str) -> bool:
        """Say that the session is about to end, at a terminal only: a program that reads must not meet it."""
        heard = self._launch.terminal is not None and bool(self._outputs) and not self.ending
        if heard:
            self._tell(text)
        return heard

    # -- ends ---------------------------------------------------------------------------------------------

    def end(self, text: str) -> None:
        """The server ends the session: say why, hang up what runs, and close with a status that is none of it."""
        if self.ending:
            return
        self._cut = True
        self._tell(text)
        if self._sftp is not None:
            self._sftp.end()
        elif self._outputs:
            self._report()
            self._abandon()

    @property
    def ending(self) -> bool:
        """Whether the server has ended it, or it has come to its own end."""
        return self._cut or self._drained.is_set()

    def end_for(self, error: TeleportError) -> None:
        """End the session because of an error."""
        self.end(one_line(error))

    def _output_ended(self) -> None:
        if not any(output.open for output in self._outputs):
            self._drained.set()

    async def _watch(self, process: Process) -> None:
        """Wait for the end of the command and of its output, and record both."""
        outcome: Exited | TeleportError
        try:
            outcome = self._exit = await process.exited
        except TeleportError as error:
            outcome = error
            self._tell(one_line(error))
            self._close_pipes()
        telling = self._host.background(self._host.ended(self._launch, outcome))
        if not self._drained.is_set():  # no status before: a client may close at the end of output, and miss it
            await self._drained.wait()
        self._close_pipes()
        self._over = True
        await self._conclude(facts_of(outcome), telling)
        if not self._hung_up:  # otherwise what it left running is to end with it
            await self._safely(process.release())

    async def _conclude(self, outcome: dict[str, str | int | bool], *told: asyncio.Task[None]) -> None:
        """Everything was read: the recording is closed and the end recorded, then the client hears of it."""
        self._drained.set()
        tape, self._tape = self._tape, None
        if tape is not None:  # all of it together: the disk is waited for once
            closing = self._host.closing(), tape.close({**outcome, "ended_by_server": self._cut})
            told += tuple(self._host.background(each) for each in closing)
        if told:
            await asyncio.wait(told, timeout=SEALING)
        self._report()
        if tape is not None:
            self._host.background(self._host.over())

    def _report(self) -> None:
        outcome = None if self._cut else self._exit
        if self._room is not None:
            self._room.close(outcome)
        if self._channel is not None:
            report(self._channel, outcome)

    def _abandon(self) -> None:
        """The client is gone, or may not go on: so is the reason for the command to run."""
        self._close_pipes()
        if self._process is not None and not self._over:
            self._hung_up = True
            self._host.background(self._safely(self._process.hang_up()))

    def _close_pipes(self) -> None:
        if self._input is not None:
            self._input.close()
        for output in self._outputs:
            output.close()
        self._drained.set()

    async def _safely(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except TeleportError:
            pass  # a spawner that is gone has ended the command already


def report(channel: SessionChannel, outcome: Exited | int | None) -> None:
    """Tell a client how its session ended, once; None: the server ended it."""
    if channel.is_closing():
        return
    if outcome is None:
        channel.exit(NOT_STARTED)
    elif isinstance(outcome, int):
        channel.exit(outcome)
    elif outcome.signal:
        channel.exit_with_signal(signal_name(outcome.signal), outcome.core_dumped)
    else:
        channel.exit(outcome.status)


def facts_of(outcome: Exited | TeleportError) -> dict[str, str | int | bool]:
    """Return what a recording says of the end of its session."""
    if isinstance(outcome, TeleportError):
        return {"exit_code": NOT_STARTED, "error": outcome.code}
    if outcome.signal:
        return {"exit_code": 128 + outcome.signal, "signal": signal_name(outcome.signal)}
    return {"exit_code": outcome.status}


def signal_name(number: int) -> str:
    """Return the name of a signal as RFC 4254 §6.10 writes it: without `SIG`."""
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return f"{number}@openssh.com"
