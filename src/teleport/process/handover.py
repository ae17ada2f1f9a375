"""Handing over: a new process of the same program takes the listeners, and the former one finishes what is open.

The former process starts the new one as it was started itself - so another version of the program, or another
configuration, comes into use - and gives it every listening socket, named in TELEPORT_OS_FILES. No connection is lost
in between: both accept from the same queue until the new one has said through a pipe that its services are ready. If
it does not say so, it is ended, and nothing has changed. Form of the variable: networking reference, signals and
restart.

Not here: what the former process does then (`process.life`), and which spools belong to whom (`process.place`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from teleport.base.errors import BadParameter, Unavailable
from teleport.base.log import logger
from teleport.net.network import SystemNetwork

log = logger("PROC:1")

VARIABLE = "TELEPORT_OS_FILES"
PIPE = "teleport-signal-pipe"
READY_WITHIN = 120.0
"""Seconds that the new process may take until it is ready."""
_READY = b"ready"
_LAST_WORDS = 10.0
"""Seconds that a new process gets to end when it is not wanted."""


@dataclass(frozen=True)
class Command:
    """How this process was started."""

    argv: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)


class Inherited:
    """What a former process has left to this one; nothing, if there was none."""

    def __init__(self, sockets: Mapping[str, socket.socket] = {}, pipe: int = -1) -> None:
        self.sockets = dict(sockets)
        """Listening sockets, by the address that the configuration names."""
        self._pipe = pipe

    @classmethod
    def of(cls, text: str) -> Inherited:
        """Read the variable, empty where nobody has set it. Raises BadParameter (PROC-INHERITED)."""
        try:
            listed = json.loads(text or "[]")
            files = [(str(entry["addr"]), str(entry["fileName"]), int(entry["fd"])) for entry in listed]
            for _, _, descriptor in files:
                os.set_inheritable(descriptor, False)
            pipes = [descriptor for _, name, descriptor in files if name == PIPE]
            return cls(
                {address: socket.socket(fileno=descriptor) for address, name, descriptor in files if name != PIPE},
                pipes[0] if pipes else -1,
            )
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise BadParameter("PROC-INHERITED", variable=VARIABLE, problem=type(error).__name__) from None

    def __bool__(self) -> bool:
        return self._pipe >= 0

    def ready(self) -> None:
        """Tell the former process that it may go."""
        pipe, self._pipe = self._pipe, -1
        if pipe >= 0:
            with contextlib.suppress(BrokenPipeError):  # it has not waited
                os.write(pipe, _READY)
            os.close(pipe)


class Successor:
    """Starts the process that comes after this one."""

    def __init__(self, command: Command, network: SystemNetwork, *, within: float = READY_WITHIN) -> None:
        """`within`: seconds that it may take until it is ready."""
        self._command = command
        self._network = network
        self._within = within
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> int:
        """Return the id of the new process, which is ready and has the listeners. Raises Unavailable (PROC-SUCCESSOR):
        it is ended then."""
        reading, writing = os.pipe()
        try:
            try:
                process = self._launch(writing)
            except OSError as error:
                raise _failed(error.strerror or "it cannot be started") from None
            finally:
                os.close(writing)
            try:
                await self._until_ready(reading)
            except BaseException:
                await asyncio.to_thread(_end, process)
                raise
        finally:
            os.close(reading)
        self._network.given_away, self._process = True, process
        return process.pid

    async def ended(self) -> None:
        """Wait for the end of the process that was started last. The sockets are this one's alone then."""
        if self._process is None:
            return
        descriptor, over = os.pidfd_open(self._process.pid), asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(descriptor, over.set)
        try:
            await over.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        self._process.wait()
        self._network.given_away = False

    def _launch(self, pipe: int) -> subprocess.Popen[bytes]:
        sockets = self._network.listening()
        files = [
            {"addr": address, "type": "unix" if address.startswith("unix:") else "tcp", "fd": sock.fileno(),
             "fileName": ""}
            for address, sock in sockets.items()
        ]  # fmt: skip
        files.append({"addr": "", "type": "pipe", "fd": pipe, "fileName": PIPE})
        return subprocess.Popen(
            self._command.argv, env={**self._command.environment, VARIABLE: json.dumps(files)},
            pass_fds=(pipe, *(sock.fileno() for sock in sockets.values())), stdin=subprocess.DEVNULL,
        )  # fmt: skip

    async def _until_ready(self, pipe: int) -> None:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(pipe, readable.set)
        try:
            async with asyncio.timeout(self._within):
                await readable.wait()
        except TimeoutError:
            raise _failed(f"it was not ready within {self._within:g} seconds") from None
        finally:
            loop.remove_reader(pipe)
        if os.read(pipe, len(_READY)) != _READY:
            raise _failed("it has ended; its last lines in the log say why")


def _failed(problem: str) -> Unavailable:
    return Unavailable("PROC-SUCCESSOR", problem=problem)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process that is not wanted, and wait for it."""
    process.terminate()
    try:
        process.wait(_LAST_WORDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
