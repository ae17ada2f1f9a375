"""A command or shell on a node: its request, its end, and the descriptors that are joined with it."""

from __future__ import annotations

import os
import stat

from teleport.base.errors import AccessDenied
from teleport.base.lean import TYPE_CHECKING, Callable, Iterator, Mapping, NamedTuple, contextmanager
from teleport.client.ssh_client.channel import Channel
from teleport.client.ssh_client.escape import Escape
from teleport.client.ssh_client.joint import Joint, Sink
from teleport.client.ssh_client.loop import Loop
from teleport.wire import ssh_channel as wire
from teleport.wire.terminal import Size, Terminal

if TYPE_CHECKING:
    import socket

FAILED = 255
"""Exit status when no command ended: what `ssh` uses."""
_AGENT = b"auth-agent-req@openssh.com"


class Ends(NamedTuple):
    """Descriptors that the command's input comes from and its output goes to."""

    stdin: int | None = 0
    """None for a command that gets no input."""
    stdout: int = 1
    stderr: int = 2


class Wanted(NamedTuple):
    """What is to run."""

    command: str | None = None
    """None for the login's shell."""
    subsystem: str = ""
    """Name of a subsystem instead of a command."""
    terminal: Terminal | None = None
    environment: Mapping[str, str] = {}
    agent: Callable[[], socket.socket | None] | None = None
    """Connects to the agent that the session may use; None gives it none."""
    escapes: bool = False
    """Whether `~.` at the beginning of a line leaves."""


class Session(Joint):
    """One session channel. `loop.run(lambda: session.done)` runs it; then `result`."""

    def __init__(self, loop: Loop, ends: Ends, wanted: Wanted) -> None:
        out = Sink(ends.stdout)
        super().__init__(loop, ends.stdin, out, out if ends.stderr == ends.stdout else Sink(ends.stderr))
        self._wanted = wanted
        self._escape = Escape() if wanted.escapes else None
        self.started = False
        """Whether the request to run something was answered."""
        self._abandoned = self._left = False
        self._code: int | None = None
        self._refusal = ""

    def result(self) -> int:
        """Return the exit status. Raises AccessDenied (CLIENT-NODE-REFUSED) if nothing ran, BrokenPipeError if nobody
        reads what it wrote, and what has ended the connection."""
        if isinstance(self._out.error, BrokenPipeError):
            raise self._out.error
        if self._code is not None:
            return self._code
        if self.failure is not None:
            raise self.failure
        if self._refusal:
            raise AccessDenied("CLIENT-NODE-REFUSED", host=self.loop.host, said=self._refusal)
        return FAILED

    @property
    def done(self) -> bool:
        return self._left or super().done or isinstance(self._out.error, BrokenPipeError)

    def leave(self, status: int) -> None:
        """End our side at once, with this status: what has not been written yet is not."""
        self._code, self._left = status, True
        self.is_closed, self._source = True, None

    def abandon(self) -> None:
        """Whoever wanted it is gone: close it, and touch the descriptors no more."""
        self._abandoned = True
        self.leave(FAILED)
        self.finish()
        if self.channel is not None:
            self.channel.close()

    def resize(self, size: Size) -> None:
        """Our terminal has another size."""
        if self.channel is not None:
            self.channel.request(b"window-change", wire.window(size))

    def signal(self, name: str) -> None:
        """Send the command a signal, named without SIG."""
        if self.channel is not None:
            self.channel.request(b"signal", wire.text(name))

    def received(self, data: bytes) -> bytes | None:
        if self._escape is None or not data:
            return data
        kept = self._escape.feed(data)
        if self._escape.leaving:
            self.leave(FAILED)
            return None
        return kept or None

    # -- the channel ----------------------------------------------------------------------------------------

    def opened(self, channel: Channel) -> None:
        super().opened(channel)
        if self._abandoned:
            channel.close()
            return
        wanted = self._wanted
        if wanted.agent is not None:
            channel.request(_AGENT, b"", self._agent_granted)
        if wanted.terminal is not None:
            channel.request(b"pty-req", wire.terminal(wanted.terminal), self._answer("it gives no terminal"))
        for name, value in wanted.environment.items():
            channel.request(b"env", wire.variable(name, value))
        started = self._answer("it starts nothing", is_last=True)
        if wanted.subsystem:
            channel.request(b"subsystem", wire.text(wanted.subsystem), started)
        elif wanted.command is not None:
            channel.request(b"exec", wire.text(wanted.command.encode(errors="surrogateescape")), started)
        else:
            channel.request(b"shell", b"", started)

    def _answer(self, problem: str, *, is_last: bool = False) -> Callable[[bool], None]:
        def told(granted: bool) -> None:
            self.started = self.started or is_last
            if not granted and self.channel is not None:
                self._refusal = self._refusal or problem
                self.channel.close()

        return told

    def _agent_granted(self, granted: bool) -> None:
        """Without it the session runs all the same, as with `ssh -A`."""

    def refused(self, reason: int, text: str) -> None:
        self._refusal = text or "it opens no session"
        super().refused(reason, text)

    def requested(self, name: bytes, body: bytes) -> bool:
        if name == b"exit-status":
            self._code = wire.read_status(body) & 0xFF if self._code is None else self._code
        elif name == b"exit-signal":
            self._code = _status_of(wire.read_signal(body))
        elif name == b"eow@openssh.com":
            self._source = None  # the command reads no more
        return False


def _status_of(name: str) -> int:
    import signal  # few commands end by one

    number = getattr(signal, f"SIG{name}", None) if name.isalnum() else None
    return FAILED if number is None else 128 + int(number)


@contextmanager
def unblocked(*descriptors: int | None) -> Iterator[None]:
    """Let pipes and sockets not block for the time of the block; terminals and files are shared with others."""
    changed: list[int] = []
    for descriptor in descriptors:
        if descriptor is None:
            continue
        mode = os.fstat(descriptor).st_mode
        if (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)) and os.get_blocking(descriptor):
            os.set_blocking(descriptor, False)
            changed.append(descriptor)
    try:
        yield
    finally:
        for descriptor in changed:
            os.set_blocking(descriptor, True)
