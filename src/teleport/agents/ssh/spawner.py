"""The service's end of the spawner: start a command, hear how it ended, end it.

The spawner process (`spawner_process`) must be started before the event loop and before threads, by
`Spawner.launch`; then `connect` inside the loop. Nothing here changes users or reads files for them.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from teleport.access.action import Connect
from teleport.access.checker import Grant
from teleport.access.host_users import HostUser
from teleport.agents.ssh import spawner_messages as messages
from teleport.base import errors
from teleport.base.errors import BadParameter, Internal, TeleportError, Unavailable
from teleport.net import terminal as terminal_device
from teleport.net.ssh import Proof
from teleport.wire.terminal import Terminal

Asked = (
    messages.Trust | messages.Admit | messages.Helper | messages.Provision | messages.Sweep | messages.Observe
    | messages.Group
)  # fmt: skip
"""Requests with one answer."""


@dataclass
class Process:
    """A running command and our ends of its pipes; whoever takes a pipe closes it. Of a command at a terminal
    `stdin` and `stdout` are both our side of it."""

    pid: int
    stdin: int
    stdout: int
    stderr: int
    """-1 at a terminal: it has one output."""
    exited: asyncio.Future[messages.Exited]
    """How it ended. Fails with Unavailable (SSH-SPAWNER-GONE)."""
    _spawner: Spawner
    _id: int

    async def signal(self, name: messages.SignalName) -> None:
        """Send a signal to the process group; nothing happens after its end."""
        await self._spawner.tell(messages.Signal(id=self._id, name=name))

    async def hang_up(self) -> None:
        """The client is gone: SIGHUP to the group, even if its leader has ended; SIGKILL after the grace."""
        await self._spawner.tell(messages.HangUp(id=self._id))

    async def release(self) -> None:
        """The session is over. What the command left running is on its own from here on."""
        await self._spawner.tell(messages.Release(id=self._id))


class Spawner:
    """A running spawner process. Used by one event loop at a time."""

    def __init__(self, channel: socket.socket, process: subprocess.Popen[bytes]) -> None:
        """`channel` is a connected SOCK_SEQPACKET socket whose other end `process` serves."""
        channel.setblocking(False)
        self._channel = channel
        self._process = process
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sending = asyncio.Lock()
        self._next_id = 1
        self._starting: dict[int, asyncio.Future[int]] = {}
        """Requests without an answer yet."""
        self._running: dict[int, asyncio.Future[messages.Exited]] = {}
        self._held: set[int] = set()
        """Commands that the spawner keeps until their last message."""
        self._gone = False
        self.removed: Callable[[messages.Removed], None] = lambda removed: None
        """Called when an account that was made for a login is gone, or could not be removed."""

    @classmethod
    def launch(cls, *, wrapper: Sequence[str] = (), host_users: bool = False) -> Spawner:
        """Start the spawner process. Call this before the event loop.

        `wrapper` is a command that is put in front, for example to enter a namespace. Without `host_users` this
        spawner makes no accounts, whatever it is asked: who takes the service over cannot switch it on. Raises
        Unavailable (SSH-SPAWNER-GONE).
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # -I: neither the working directory nor PYTHON* variables may choose what a root process imports
        program = "import sys; from teleport.agents.ssh.spawner_process import main; main(sys.argv[1:])"
        switches = [messages.HOST_USERS] if host_users else []
        python = [sys.executable, "-I", "-c", program, str(theirs.fileno()), *switches]
        try:
            process = subprocess.Popen(
                [*wrapper, *python],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                cwd="/",
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
                start_new_session=True,  # Ctrl-C in a terminal is for the service, which then closes its end
            )
        except OSError as error:
            ours.close()
            raise Unavailable("SSH-SPAWNER-GONE", problem=str(error)) from None
        finally:
            theirs.close()
        return cls(ours, process)

    @property
    def pid(self) -> int:
        """Process id of the spawner."""
        return self._process.pid

    def connect(self) -> None:
        """Begin to listen to the spawner. Called inside the event loop, once."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._channel, self._receive)

    def disconnect(self) -> None:
        """Stop listening: whoever waits for an answer gets none. `connect` begins anew."""
        if self._loop is not None and not self._gone:
            self._loop.remove_reader(self._channel)
        self._loop = None
        self._fail("the service has stopped")

    def close(self) -> None:
        """Close our end and wait for the spawner, which ends every command first (within its grace)."""
        self._lost("the service has closed it")
        self._process.wait()

    async def trust(self, cluster: str, authorities: Mapping[str, str], *, host_users: bool = False) -> None:
        """Tell the spawner, before anybody may log in, which user authorities (lines of `.pub` files, with the
        cluster that each speaks for) it believes for as long as it lives, and whether it makes accounts.

        Raises AccessDenied (SSH-TRUST-PINNED) when it believes others already, BadParameter (SSH-SPAWN-MESSAGE),
        Unavailable (SSH-SPAWNER-GONE).
        """
        id = self._next()
        await self._ask(messages.Trust(id, cluster, dict(authorities), host_users))

    async def admit(self, proof: Proof, *, source: str) -> int:
        """Show the spawner that somebody logged in; return the id of the admission. `source` is the client's proven
        address, or empty.

        Raises the refusals of `pki.check.check_user`, NotAuthenticated (SSH-ADMIT-PROOF, SSH-ADMIT-REPLAY), Unavailable
        (SSH-TRUST-MISSING, SSH-SPAWNER-GONE), LimitExceeded (SSH-ADMIT-FULL), BadParameter (SSH-SPAWN-MESSAGE).
        """
        id = self._next()
        request = messages.Admit(
            id=id, login=proof.login, session_id=proof.session_id, message=proof.message,
            signature=proof.signature, source=source,
        )  # fmt: skip
        try:
            await self._ask(request)
        except BaseException:
            await self.dismiss(id)  # the caller may have gone before the answer came
            raise
        return id

    async def provision(self, admission: int, wanted: HostUser) -> bool:
        """See to it that the admission's login has an account, and say whether it was made for this. One that the
        machine's administrator made is left as it is.

        Raises BadParameter (SSH-HOST-USER), Unavailable (SSH-HOST-USER-TOOL, SSH-SPAWNER-GONE), AccessDenied
        (SSH-ADMIT-MISSING).
        """
        request = messages.Provision(
            id=self._next(), admission=admission, mode="keep" if wanted.mode == "keep" else "insecure-drop",
            groups=",".join(wanted.groups), sudoers="\n".join(wanted.sudoers), uid=wanted.uid, gid=wanted.gid,
            shell=wanted.shell,
        )  # fmt: skip
        return bool(await self._ask(request))

    async def sweep(self) -> None:
        """Begin to remove accounts that an earlier run left; `removed` is told of each. Raises Unavailable
        (SSH-SPAWNER-GONE)."""
        await self._ask(messages.Sweep(id=self._next()))

    async def observe(self, mount: str, root: str, pages: int, output: int) -> None:
        """Start bpftrace for enhanced recording, whose output goes to the descriptor `output`. Raises Unavailable
        (SSH-BPF-RIGHTS, SSH-BPF-TOOL, SSH-BPF-CGROUP, SSH-SPAWNER-GONE)."""
        await self._ask(messages.Observe(id=self._next(), mount=mount, root=root, pages=pages), (output,))

    async def group(self, name: str) -> int:
        """Make a control group; return its number. Raises Unavailable (SSH-BPF-CGROUP, SSH-SPAWNER-GONE)."""
        return await self._ask(messages.Group(id=self._next(), name=name))

    async def ungroup(self, name: str) -> None:
        """Let a control group go. Raises Unavailable (SSH-SPAWNER-GONE)."""
        await self._send(messages.Ungroup(id=self._next(), name=name), ())

    async def dismiss(self, admission: int) -> None:
        """The connection is over. Never raises."""
        try:
            if not self._gone and self._loop is not None:
                await self._send(messages.Dismiss(id=admission), ())
        except TeleportError:
            pass

    async def help(self, admission: int) -> socket.socket:
        """Start the user-side helper of an admission; return our end of its socket, non-blocking. The helper ends when
        that is closed. Raises like `start`, and AccessDenied (SSH-ADMIT-MISSING)."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        try:
            await self._ask(messages.Helper(id=self._next(), admission=admission), (theirs.fileno(),))
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return ours

    def _next(self) -> int:
        """Return a number for a request. Raises Unavailable (SSH-SPAWNER-GONE)."""
        if self._gone or self._loop is None:
            raise Unavailable("SSH-SPAWNER-GONE", problem="it is not connected")
        id, self._next_id = self._next_id, self._next_id + 1
        return id

    async def _ask(
        self, request: Asked,
        given: tuple[int, ...] = (),
    ) -> int:  # fmt: skip
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._starting[request.id] = answer
        try:
            await self._send(request, given)
            return await answer
        finally:
            self._starting.pop(request.id, None)

    async def start(
        self, grant: Grant, *, admission: int, login: str, command: bytes | None, environment: Mapping[str, str],
        terminal: Terminal | None = None, group: str = "",
    ) -> Process:  # fmt: skip
        """Start `command` as `login` and return when its shell runs; None starts the shell itself, as at a login.

        `grant` is the proof that the caller may: nothing here starts a command without one, and it must
        be for this login, as must be `admission`, which `admit` returned. Raises the spawner's refusal: NotFound
        (SSH-UNKNOWN-USER, SSH-SHELL), AccessDenied (SSH-ADMIT-MISSING, SSH-NOT-ROOT, SSH-ACCOUNT-EXPIRED,
        SSH-ACCOUNT-NOLOGIN, SSH-NOLOGIN), BadParameter (SSH-COMMAND, SSH-SPAWN-MESSAGE),
        Unavailable (SSH-SPAWN, SSH-SPAWNER-GONE).
        """
        if not isinstance(grant, Grant) or grant.action != Connect(login):
            raise Internal("SSH-INTERNAL")
        if command is not None and (not 0 < len(command) <= messages.COMMAND_BYTES or b"\0" in command):
            raise BadParameter("SSH-COMMAND", limit=messages.COMMAND_BYTES)
        id, loop = self._next(), asyncio.get_running_loop()
        started: asyncio.Future[int] = loop.create_future()
        exited: asyncio.Future[messages.Exited] = loop.create_future()
        exited.add_done_callback(_take_error)  # whoever awaits it still sees the failure
        request = messages.Start(
            id=id, admission=admission, login=login, command=command or b"", environment=dict(environment),
            terminal=terminal is not None, group=group,
        )  # fmt: skip
        ours, theirs = _pipes() if terminal is None else _terminal(terminal)
        self._starting[id], self._running[id] = started, exited
        try:
            await self._send(request, theirs)
            pid = await started
        except BaseException:
            _close(ours)
            if self._running.pop(id, None) is not None and self._starting.pop(id, None) is not None:
                await self._give_up(id)
            raise
        finally:
            _close(theirs)
        self._held.add(id)
        stdin, stdout, stderr = ours if terminal is None else (*ours, -1)
        return Process(
            pid=pid, stdin=stdin, stdout=stdout, stderr=stderr, exited=exited, _spawner=self, _id=id
        )  # fmt: skip

    async def _give_up(self, id: int) -> None:
        """The caller was cancelled before the answer: whatever was started is of no use to anybody."""
        try:
            await self._send(messages.HangUp(id=id), ())
        except TeleportError:
            pass

    async def tell(self, request: messages.Signal | messages.HangUp | messages.Release) -> None:
        """Send a message about a command; nothing happens after its last one, or without a spawner."""
        if request.id in self._held and not self._gone:
            if not isinstance(request, messages.Signal):
                self._held.discard(request.id)
            await self._send(request, ())

    async def _send(self, request: messages.Request, descriptors: tuple[int, ...]) -> None:
        data = messages.encode(request)
        async with self._sending:
            while not self._gone:
                try:
                    socket.send_fds(self._channel, [data], list(descriptors))
                    return
                except BlockingIOError:
                    await self._writable()
                except OSError as error:
                    self._lost(str(error))
        raise Unavailable("SSH-SPAWNER-GONE", problem="its socket is closed")

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_writer(self._channel, ready.set)
        try:
            await ready.wait()
        finally:
            if not self._gone:
                loop.remove_writer(self._channel)

    def _receive(self) -> None:
        try:
            data = self._channel.recv(messages.MESSAGE_BYTES + 1)
            if not data:
                self._lost("it has ended")
                return
            self._dispatch(messages.decode_reply(data))
        except BlockingIOError:
            pass
        except (OSError, TeleportError) as error:
            self._lost(str(error))

    def _dispatch(self, reply: messages.Reply) -> None:
        if isinstance(reply, messages.Exited):
            exited = self._running.pop(reply.id, None)
            if exited is not None and not exited.done():
                exited.set_result(reply)
            return
        if isinstance(reply, messages.Removed):
            self.removed(reply)
            return
        started = self._starting.pop(reply.id, None)
        if started is None or started.done():
            return
        if isinstance(reply, messages.Started):
            started.set_result(reply.pid)
        elif isinstance(reply, messages.Accepted):
            started.set_result(0)
        elif isinstance(reply, messages.Grouped):
            started.set_result(reply.group)
        elif isinstance(reply, messages.Provisioned):
            started.set_result(reply.created)
        else:
            self._running.pop(reply.id, None)
            started.set_exception(errors.from_grpc(reply.status, reply.code, reply.fields))

    def _lost(self, problem: str) -> None:
        """The spawner is gone, and every command with it."""
        if self._gone:
            return
        self._gone = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._channel)
            self._loop.remove_writer(self._channel)
        self._channel.close()
        self._fail(problem)

    def _fail(self, problem: str) -> None:
        waiting: list[asyncio.Future[int] | asyncio.Future[messages.Exited]]
        waiting = [*self._starting.values(), *self._running.values()]
        self._starting.clear()
        self._running.clear()
        for future in waiting:
            if not future.done() and not future.get_loop().is_closed():
                future.set_exception(Unavailable("SSH-SPAWNER-GONE", problem=problem))


def _terminal(wanted: Terminal) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return our side of a new terminal twice (to write and to read), and the command's."""
    try:
        master, slave = terminal_device.open_pair(wanted)
    except OSError as error:
        raise Unavailable("SSH-SPAWN", login="", problem=error.strerror or str(error)) from None
    try:
        return (os.dup(master), master), (slave,)
    except OSError as error:
        _close((master, slave))
        raise Unavailable("SSH-SPAWN", login="", problem=error.strerror or str(error)) from None


def _pipes() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return our ends (write, read, read; non-blocking) and the command's ends of three pipes."""
    opened: list[tuple[int, int]] = []
    try:
        opened = [os.pipe() for _ in range(messages.DESCRIPTORS)]
    except OSError as error:
        for pair in opened:
            _close(pair)
        raise Unavailable("SSH-SPAWN", login="", problem=error.strerror or str(error)) from None
    (stdin, stdin_ours), (stdout_ours, stdout), (stderr_ours, stderr) = opened
    ours = (stdin_ours, stdout_ours, stderr_ours)
    for descriptor in ours:
        os.set_blocking(descriptor, False)
    return ours, (stdin, stdout, stderr)


def _close(descriptors: tuple[int, ...]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _take_error(future: asyncio.Future[messages.Exited]) -> None:
    if not future.cancelled():
        future.exception()
