"""One command of one client: from the request to the exit status.

Between the channel (`net.ssh_channel`) and the process (`spawner`). What may run and what is recorded is
decided by the service through `Host`; here bytes move and ends are told apart: the client's end of input,
the command's end of output, its exit, and the loss of the client.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, Protocol, get_args

from teleport.agents.ssh.pipes import InputPipe, OutputPipe
from teleport.agents.ssh.spawner import Process
from teleport.agents.ssh.spawner_messages import Exited, SignalName
from teleport.base.errors import TeleportError
from teleport.net.ssh import one_line
from teleport.net.ssh_channel import Session, SessionChannel

NOT_STARTED = 255
"""Exit status when no command ran: what `ssh` itself uses for its own failures."""
_SIGNALS = frozenset(get_args(SignalName))


class Host(Protocol):
    """What a session needs from the connection that it belongs to."""

    async def start(self, command: bytes) -> Process:
        """Start the command, or raise TeleportError."""
        ...

    async def ended(self, command: bytes, outcome: Exited | TeleportError) -> None:
        """Record how the command ended, or why it did not start."""
        ...

    async def declined_request(self, request: str, detail: str) -> TeleportError | None:
        """Record a request that was not accepted; return what to tell the client, if anything."""
        ...

    def background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work`, which the connection waits for before it is forgotten."""
        ...

    def used(self) -> None:
        """Note that data went by."""
        ...

    def notices(self) -> list[str]:
        """Return lines to show before the command's own output, once."""
        ...


class CommandSession(Session):
    """A session that runs one command without a terminal."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._channel: SessionChannel | None = None
        self._command = b""
        self._process: Process | None = None
        self._failure: TeleportError | None = None
        self._exit: Exited | None = None
        self._holds: set[str] = set()
        self._input: InputPipe | None = None
        self._outputs: list[OutputPipe] = []

    # -- from the channel ---------------------------------------------------------------------------------

    def connection_made(self, chan: Any) -> None:
        self._channel = chan
        super().connection_made(chan)

    async def run(self, command: bytes) -> bool:
        self._command = command
        await asyncio.wait([self._host.background(self._start(command))])
        return True

    async def _start(self, command: bytes) -> None:
        for line in self._host.notices():
            self._tell(line)
        try:
            self._process = await self._host.start(command)
        except TeleportError as error:
            self._failure = error
            self._tell(one_line(error))
        if self._channel is None:  # the client has left meanwhile: nobody will say that the session started
            self.session_started()

    def session_started(self) -> None:
        """The client has its answer: from here on bytes may flow."""
        if self._failure is not None:
            self._host.background(self._host.ended(self._command, self._failure))
            if self._channel is not None:
                self._channel.exit(NOT_STARTED)
        elif self._process is not None:
            self._attach(self._process)

    def _attach(self, process: Process) -> None:
        channel = self._channel
        self._input = InputPipe(process.stdin, crowded=self._input_crowded)
        self._outputs = [
            OutputPipe(process.stdout, deliver=lambda data: self._deliver(data, None), ended=self._output_ended),
            OutputPipe(process.stderr, deliver=lambda data: self._deliver(data, 1), ended=self._output_ended),
        ]
        self._host.background(self._watch(process))
        if channel is None:
            self._abandon()
        else:
            self._flow()

    async def declined(self, request: str, detail: str) -> None:
        error = await self._host.declined_request(request, detail)
        if error is not None:
            self._tell(one_line(error))

    def data_received(self, data: bytes, datatype: Any) -> None:
        self._host.used()
        if self._input is not None:
            self._input.write(data)

    def eof_received(self) -> bool:
        """Half-close: the command's input ends, its output goes on."""
        if self._input is not None:
            self._input.end()
        return True

    def signal_received(self, signal: str) -> None:
        process = self._process
        if process is not None and self._exit is None and signal in _SIGNALS:
            self._host.background(self._safely(process.signal(signal)))  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        self._channel = None
        if self._outputs:
            self._abandon()

    # -- flow ---------------------------------------------------------------------------------------------

    def hold(self, reason: str) -> None:
        self._holds.add(reason)
        self._flow()

    def release(self, reason: str) -> None:
        self._holds.discard(reason)
        self._flow()

    def _flow(self) -> None:
        for output in self._outputs:
            output.flow(not self._holds)

    def _input_crowded(self, crowded: bool) -> None:
        if self._channel is not None:
            (self._channel.pause_reading if crowded else self._channel.resume_reading)()

    def _deliver(self, data: bytes, kind: int | None) -> None:
        self._host.used()
        if self._channel is not None and not self._channel.is_closing():
            self._channel.write(data, kind)

    def _tell(self, line: str) -> None:
        self._deliver(line.encode(errors="replace") + b"\r\n", 1)

    # -- ends ---------------------------------------------------------------------------------------------

    def _output_ended(self) -> None:
        if any(output.open for output in self._outputs):
            return
        if self._exit is not None:
            self._finish(self._exit)  # and not before: a client may close at the end of output, and miss the status

    async def _watch(self, process: Process) -> None:
        """Wait for the end of the command, tell the client and record it."""
        outcome: Exited | TeleportError
        try:
            outcome = self._exit = await process.exited
        except TeleportError as error:
            outcome = error
            self._tell(one_line(error))
            self._close_pipes()
            if self._channel is not None:
                self._channel.exit(NOT_STARTED)
        else:
            if not any(output.open for output in self._outputs):
                self._finish(outcome)
        await self._host.ended(self._command, outcome)

    def _finish(self, outcome: Exited) -> None:
        """Everything was read and the command has ended: the client hears how."""
        self._close_pipes()
        if self._process is not None:
            self._host.background(self._safely(self._process.release()))
        if self._channel is None:
            return
        if outcome.signal:
            self._channel.exit_with_signal(signal_name(outcome.signal), outcome.core_dumped)
        else:
            self._channel.exit(outcome.status)

    def _abandon(self) -> None:
        """The client is gone: so is the reason for the command to run."""
        self._close_pipes()
        if self._process is not None:
            self._host.background(self._safely(self._process.hang_up()))

    def _close_pipes(self) -> None:
        if self._input is not None:
            self._input.close()
        for output in self._outputs:
            output.close()

    async def _safely(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except TeleportError:
            pass  # a spawner that is gone has ended the command already


def signal_name(number: int) -> str:
    """Return the name of a signal as RFC 4254 §6.10 writes it: without `SIG`."""
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return f"{number}@openssh.com"
