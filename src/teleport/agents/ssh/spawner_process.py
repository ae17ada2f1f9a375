"""The spawner: a small process that starts commands as their login users, and the helpers that act as them.

It runs from before the event loop until the service ends, holds the right to become any user, and reads
nothing from the network: its only input is bounded messages of the service over one socketpair. Nothing is started
for a login that it has not checked itself (`admission`). No parser of network bytes is imported here
(a test looks at `sys.modules`). Run as
`python -m teleport.agents.ssh.spawner_process FD`; `spawner` is the other end.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import stat
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from teleport.agents.ssh import accounts, command, limits
from teleport.agents.ssh import spawner_messages as messages
from teleport.agents.ssh.admission import Admissions
from teleport.agents.ssh.host_users import HostUsers
from teleport.agents.ssh.jobs import Job, Jobs
from teleport.base.clock import Clock, SystemClock
from teleport.base.errors import BadParameter, TeleportError, Unavailable
from teleport.base.process_name import set_name

if TYPE_CHECKING:
    from teleport.agents.ssh.tracer import Tracer

GRACE = 5.0
"""Seconds between SIGHUP and SIGKILL when the client is gone."""
LOOK = 0.1
"""Seconds between looks at a group that is to end and has no leader any more."""
LANG = "C.UTF-8"
TERMINALS = range(136, 144)
"""Major numbers of the slave sides of terminals (Linux, admin-guide/devices)."""


class Running:
    """A command between its fork and its last message."""

    def __init__(self, id: int, pid: int, *, exit: int, report: int) -> None:
        self.id = id
        self.pid = pid
        self.exit = exit
        """Descriptor that becomes readable when the process ends (pidfd). -1: it has."""
        self.report = report
        """Pipe on which the child says why it could not execute; closed by a successful execve. -1: done."""
        self.released = False
        """Whether the service has no more to say about it, so that its number may be given up."""
        self.killed = False
        """Whether the last signal was sent, after which nothing is to be said either."""
        self.kill_at = float("inf")
        """When to send SIGKILL, in monotonic seconds."""


class Spawner:
    """Serves one socket until its other end closes."""

    def __init__(
        self, channel: socket.socket, *, clock: Clock, files: accounts.Files, host_users: bool = False
    ) -> None:
        self._channel = channel
        self._clock = clock
        self._files = files
        self._admissions = Admissions(clock)
        self._running: dict[int, Running] = {}
        self._helpers: dict[int, int] = {}
        """The helper of each admission that has one: a number of `_running`."""
        self._selector = selectors.DefaultSelector()
        self._host_users = HostUsers(Jobs(self._selector), self._send, allowed=host_users)
        self._tracer: Tracer | None = None
        self._open = True

    def run(self) -> None:
        """Serve until the service has closed its end and every command is gone."""
        self._selector.register(self._channel, selectors.EVENT_READ, None)
        while self._open or self._running or self._host_users.busy:
            for key, _ in self._selector.select(self._patience()):
                if key.data is None:
                    self._receive()
                elif isinstance(key.data, Job):
                    key.data.read()
                elif key.fd == key.data.exit:
                    self._reap(key.data)
                elif key.fd == key.data.report:
                    self._settle(key.data)
            self._kill_overdue()
        if self._tracer is not None:
            self._tracer.stop()

    def _patience(self) -> float | None:
        """Seconds until something is due by itself; None if nothing is. A group whose leader has ended tells
        nobody when its last process goes, so it is looked at."""
        dying = [running for running in self._running.values() if running.kill_at < float("inf")]
        if not dying:
            return None
        wait = max(0.0, min(running.kill_at for running in dying) - time.monotonic())
        return min(wait, LOOK) if any(running.exit < 0 for running in dying) else wait

    def _receive(self) -> None:
        """Take one message. A message that cannot be read, or the end, closes the spawner for good."""
        if not self._open:
            return
        try:
            data, descriptors, flags, _ = socket.recv_fds(
                self._channel, messages.MESSAGE_BYTES + 1, messages.DESCRIPTORS
            )
        except OSError:  # reset: the service has ended without reading our last messages
            self._shut()
            return
        try:
            if not data or flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                self._shut()
                return
            self._handle(messages.decode_request(data), descriptors)
        except BadParameter:
            self._shut()
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _handle(self, request: messages.Request, descriptors: Sequence[int]) -> None:
        if isinstance(request, messages.Start | messages.Helper):
            self._start(request, descriptors)
        elif isinstance(request, messages.Trust | messages.Admit):
            self._believe(request)
        elif isinstance(request, messages.Dismiss):
            self._dismiss(request)
        elif isinstance(request, messages.Provision | messages.Sweep):
            self._see_to_users(request)
        elif isinstance(request, messages.Observe | messages.Group | messages.Ungroup):
            self._trace(request, descriptors)
        elif (running := self._running.get(request.id)) is not None:
            self._attend(running, request)

    def _believe(self, request: messages.Trust | messages.Admit) -> None:
        try:
            if isinstance(request, messages.Trust):
                self._admissions.trust(request)
            else:
                self._admissions.admit(request)
        except TeleportError as error:
            self._refuse(request.id, error)
        else:
            self._send(messages.Accepted(id=request.id))

    def _dismiss(self, request: messages.Dismiss) -> None:
        self._admissions.dismiss(request.id)
        self._host_users.dismiss(request.id)
        helper = self._running.get(self._helpers.pop(request.id, 0))
        if helper is not None:
            self._attend(helper, messages.HangUp(id=helper.id))

    def _see_to_users(self, request: messages.Provision | messages.Sweep) -> None:
        try:
            self._admissions.check_host_users()
            if isinstance(request, messages.Sweep):
                self._host_users.sweep(request.id)
            else:
                self._host_users.provision(request, self._admissions.login(request.admission))
        except TeleportError as error:
            self._refuse(request.id, error)

    def _trace(
        self, request: messages.Observe | messages.Group | messages.Ungroup, descriptors: Sequence[int]
    ) -> None:  # fmt: skip
        try:
            if isinstance(request, messages.Observe):
                from teleport.agents.ssh.tracer import Tracer  # here, so that a spawner without it stays small

                self._tracer = self._tracer or Tracer()
                self._tracer.start(request, descriptors)
                self._send(messages.Accepted(id=request.id))
            elif self._tracer is None:
                raise BadParameter("SSH-SPAWN-MESSAGE", problem="nothing is observed")
            elif isinstance(request, messages.Group):
                self._send(messages.Grouped(id=request.id, group=self._tracer.groups.make(request.name)))
            else:
                self._tracer.groups.remove(request.name)
        except TeleportError as error:
            self._refuse(request.id, error)

    def _entrance(self, group: str) -> str:
        """Return the file by which a process enters a control group; empty for none."""
        return self._tracer.groups.entrance(group) if group and self._tracer is not None else ""

    def _shut(self) -> None:
        self._open = False
        self._host_users.stop()
        self._selector.unregister(self._channel)
        self._channel.close()
        for running in list(self._running.values()):
            self._attend(running, messages.HangUp(id=running.id))

    def _send(self, reply: messages.Reply) -> None:
        if not self._open:
            return
        try:
            self._channel.send(messages.encode(reply))
        except OSError:
            self._shut()

    def _start(self, request: messages.Start | messages.Helper, descriptors: Sequence[int]) -> None:
        login = ""
        try:
            login = self._admissions.login(request.admission)
            if request.id in self._running:
                raise BadParameter("SSH-SPAWN-MESSAGE", problem="the id is in use")
            if isinstance(request, messages.Start):
                self._admissions.check(request.admission, request.login)
                check(request, descriptors)
            else:
                self._check_helper(request, descriptors)
            account = accounts.find(login, files=self._files, today=self._clock.now().date(), euid=os.geteuid())
            running = self._fork(request, account, descriptors)
        except TeleportError as error:
            self._refuse(request.id, error)
        except OSError as error:
            problem = error.strerror or str(error)
            self._refuse(request.id, Unavailable("SSH-SPAWN", login=login, problem=problem))
        else:
            if isinstance(request, messages.Helper):
                self._helpers[request.admission] = request.id
            self._running[request.id] = running
            self._selector.register(running.exit, selectors.EVENT_READ, running)
            if running.report >= 0:
                self._selector.register(running.report, selectors.EVENT_READ, running)
            else:
                self._send(messages.Started(id=running.id, pid=running.pid))

    def _check_helper(self, request: messages.Helper, descriptors: Sequence[int]) -> None:
        if self._helpers.get(request.admission) in self._running:
            raise BadParameter("SSH-SPAWN-MESSAGE", problem="the admission has a helper")
        if len(descriptors) != 1 or not is_channel(descriptors[0]):
            raise BadParameter("SSH-SPAWN-MESSAGE", problem="the descriptor is no socket for messages")

    def _refuse(self, id: int, error: TeleportError) -> None:
        self._send(messages.Refused(id=id, status=error.kind.grpc, code=error.code, fields=error.fields))

    def _fork(
        self, request: messages.Start | messages.Helper, account: accounts.Account, descriptors: Sequence[int]
    ) -> Running:  # fmt: skip
        environment = {
            "HOME": account.home,
            "USER": account.login,
            "LOGNAME": account.login,
            "SHELL": account.shell,
            "PATH": accounts.search_path(account, self._files),
            "LANG": LANG,
        }
        if isinstance(request, messages.Helper):
            from teleport.agents.ssh import user_side_process  # loaded with the authorities
        entrance = self._entrance(request.group) if isinstance(request, messages.Start) else ""
        if isinstance(request, messages.Start) and not request.terminal and not entrance and not _limited(account):
            variables = {**environment, **request.environment}
            pid = command.launch(account, request.command, variables, descriptors)
            return Running(request.id, pid, exit=os.pidfd_open(pid), report=-1)
        report, written = os.pipe()
        pid = os.fork()
        if pid == 0 and isinstance(request, messages.Helper):
            user_side_process.become(account, environment, descriptors[0], written)
        elif pid == 0 and isinstance(request, messages.Start):
            variables = {**environment, **request.environment}
            command.become(
                account, request.command, variables, descriptors, written, terminal=request.terminal, entrance=entrance
            )  # fmt: skip
        os.close(written)
        running = Running(request.id, pid, exit=os.pidfd_open(pid), report=report)
        running.released = isinstance(request, messages.Helper)  # how it ends, its socket says
        return running

    def _settle(self, running: Running) -> None:
        """The report pipe closed: empty means that the shell is running."""
        problem = os.read(running.report, 512).decode(errors="replace")
        self._selector.unregister(running.report)
        os.close(running.report)
        running.report = -1
        if problem:
            running.released = True
            self._refuse(running.id, Unavailable("SSH-SPAWN", login="", problem=problem))
        else:
            self._send(messages.Started(id=running.id, pid=running.pid))

    def _reap(self, running: Running) -> None:
        """The process ended. Until it is released, and while its group is to be killed, it stays a zombie, so
        that the number of the group cannot come to mean somebody else's processes."""
        if running.report >= 0:
            self._settle(running)
        state = os.waitid(os.P_PIDFD, running.exit, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if state is None:
            return
        self._selector.unregister(running.exit)
        os.close(running.exit)
        running.exit = -1
        if not running.released:
            exited = state.si_code == os.CLD_EXITED
            self._send(
                messages.Exited(
                    id=running.id,
                    status=state.si_status if exited else 0,
                    signal=0 if exited else state.si_status,
                    core_dumped=state.si_code == os.CLD_DUMPED,
                )
            )
        self._forget_if_over(running)

    def _forget_if_over(self, running: Running) -> None:
        if running.exit < 0 and (running.released or running.killed) and running.kill_at == float("inf"):
            self._forget(running)

    def _forget(self, running: Running) -> None:
        os.waitpid(running.pid, 0)
        del self._running[running.id]

    def _attend(self, running: Running, request: messages.Signal | messages.HangUp | messages.Release) -> None:
        if isinstance(request, messages.Signal):
            if running.exit >= 0:
                kill_group(running.pid, signal.Signals[f"SIG{request.name}"])
        elif isinstance(request, messages.Release):
            running.released = True
            self._forget_if_over(running)
        elif running.kill_at == float("inf"):
            running.kill_at = time.monotonic() + GRACE
            kill_group(running.pid, signal.SIGHUP)
            kill_group(running.pid, signal.SIGCONT)

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        for running in [r for r in self._running.values() if r.kill_at < float("inf")]:
            if running.kill_at <= now:
                kill_group(running.pid, signal.SIGKILL)
            elif running.exit >= 0 or has_others(running.pid):
                continue
            running.kill_at = float("inf")
            running.killed = True
            self._forget_if_over(running)


def check(request: messages.Start, descriptors: Sequence[int]) -> None:
    """Refuse what the service would never send. Raises BadParameter (SSH-SPAWN-MESSAGE)."""
    environment = request.environment
    size = sum(len(name) + len(value) for name, value in environment.items())
    problem = ""
    if len(descriptors) != (1 if request.terminal else messages.DESCRIPTORS):
        problem = f"{len(descriptors)} descriptors"
    elif request.terminal and not is_terminal(descriptors[0]):
        problem = "the descriptor is no terminal"
    elif len(request.command) > messages.COMMAND_BYTES or b"\0" in request.command:
        problem = "the command is too long or has a NUL"
    elif len(environment) > messages.ENVIRONMENT_ENTRIES or size > messages.ENVIRONMENT_BYTES:
        problem = "the environment is too large"
    elif any(not messages.VARIABLE.fullmatch(name) or not value.isprintable() for name, value in environment.items()):
        problem = "the environment has a name or value that may not be there"
    if problem:
        raise BadParameter("SSH-SPAWN-MESSAGE", problem=problem)


def _limited(account: accounts.Account) -> bool:
    """Whether limits.conf(5) says anything about an account."""
    return os.geteuid() == 0 and bool(limits.find(account, limits.FILES))


def is_terminal(descriptor: int) -> bool:
    """Whether a descriptor is the slave side of a terminal, and nothing else that could be given away."""
    found = os.fstat(descriptor)
    return stat.S_ISCHR(found.st_mode) and os.major(found.st_rdev) in TERMINALS


def is_channel(descriptor: int) -> bool:
    """Whether a descriptor is a unix socket for messages."""
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        return False
    with socket.socket(fileno=os.dup(descriptor)) as found:
        return (found.family, found.type) == (socket.AF_UNIX, socket.SOCK_SEQPACKET)


def kill_group(leader: int, number: signal.Signals) -> None:
    """Send a signal to the group of a process that has not been waited for, or to it alone before it
    has made its group."""
    try:
        os.killpg(leader, number)
    except ProcessLookupError:
        os.kill(leader, number)
    except PermissionError:
        pass  # the whole group has become another user by itself (sudo)


def has_others(leader: int) -> bool:
    """Whether a process group has members beside its ended leader, by the table of processes (proc(5))."""
    wanted = str(leader)
    for name in os.listdir("/proc"):
        if name.isdigit() and name != wanted:
            try:
                with open(f"/proc/{name}/stat", errors="replace") as file:
                    if file.read(4096).rpartition(")")[2].split()[2] == wanted:
                        return True
            except OSError:
                continue  # it has just ended
    return False


def _passed_over(number: int, frame: object) -> None:
    """The service decides when it is over, by closing its end. A signal that is ignored would stay so in what is
    started here."""


def main(arguments: Sequence[str]) -> None:
    """Run on the inherited socket whose number is the first argument; HOST_USERS after it allows accounts."""
    set_name("teleport-spawner", ())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, _passed_over)
    os.umask(0o022)
    command.raise_descriptor_limit()
    channel = socket.socket(fileno=int(arguments[0]))
    channel.set_inheritable(False)
    host_users = messages.HOST_USERS in arguments[1:]
    Spawner(channel, clock=SystemClock(), files=accounts.Files(), host_users=host_users).run()


if __name__ == "__main__":
    main(sys.argv[1:])
