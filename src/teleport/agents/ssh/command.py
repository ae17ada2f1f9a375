"""From the spawner to the login user's shell or helper: the few lines that run with root's rights between.

`launch` starts a command without Python between fork and execve, which costs a third of what `become` does: its child
touches none of the spawner's memory. `become` is for what that way cannot do: terminals, control groups and limits. It,
like `become_user` and `detach`, runs in the child after `fork`; for a shell it ends in `execve` or in `_exit`, for a
helper it returns as the user. The order matters and is the point of this file.
"""

from __future__ import annotations

import fcntl
import grp
import os
import resource
import signal
import termios
from collections.abc import Mapping, Sequence
from typing import NoReturn, TypedDict

from teleport.agents.ssh import limits
from teleport.agents.ssh.accounts import Account

DESCRIPTORS = 1024
"""Soft limit of open files that a command starts with, as after an ordinary login."""
FAILED = 127
UMASK = 0o022


class _Identity(TypedDict, total=False):
    """Who a process is to be, as `Popen` takes it."""

    user: int
    group: int
    extra_groups: list[int]


def launch(account: Account, command: bytes, environment: Mapping[str, str], descriptors: Sequence[int]) -> int:
    """Start the shell of `account` with `command` in a session of its own; return its process id when it runs.

    `descriptors` become standard input, output and error. Limits of the account are not set. The caller has one thread
    and ignores no signal, because ignored ones stay so over execve. Raises OSError.
    """
    from subprocess import Popen  # a spawner that starts nothing stays small

    groups = os.getgrouplist(account.login, account.gid) if os.geteuid() == 0 else []
    identity = _identity(account, groups)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_descriptors(hard), hard))
    try:
        _enter_home(account, groups, other=bool(identity))
        shell = os.fsencode(account.shell)
        stdin, stdout, stderr = descriptors
        child = Popen(
            _arguments(os.path.basename(shell), command), executable=shell, env=environment, stdin=stdin,
            stdout=stdout, stderr=stderr, umask=UMASK, start_new_session=True, **identity,
        )  # fmt: skip
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        os.chdir("/")
    child.returncode = 0  # whoever called waits for it; `subprocess` would, whenever it starts another
    return child.pid


def _identity(account: Account, groups: list[int]) -> _Identity:
    """Return what `Popen` is to change: nothing for an account that this process is already, which it then starts
    without copying any memory (vfork)."""
    if os.geteuid() != 0:
        return {}
    alike = {account.gid, *os.getgroups()} == {account.gid, *groups}  # the first may be among them, or not
    if account.uid == 0 and os.getresgid() == (account.gid,) * 3 and alike:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": groups}


def _enter_home(account: Account, groups: list[int], *, other: bool) -> None:
    """Enter the home directory with the user's own rights, for the child to find itself there.

    Meanwhile only the effective ids are the user's, who therefore can neither signal nor trace this process (kill(2),
    ptrace(2))."""
    gid, own = os.getegid(), os.getgroups()
    try:
        if other:
            os.setgroups(groups)
            os.setegid(account.gid)
            os.seteuid(account.uid)
        _go_home(account.home)
    finally:
        if other:
            os.seteuid(0)
            os.setegid(gid)
            os.setgroups(own)


def become(
    account: Account, command: bytes, environment: Mapping[str, str], descriptors: Sequence[int], report: int, *,
    terminal: bool = False, entrance: str = "",
) -> NoReturn:  # fmt: skip
    """Turn this forked child into the shell of `account` running `command`; write a failure to `report`.

    `descriptors` become standard input, output and error; with `terminal` the only one becomes all three, the
    user's, and the terminal that controls the session. `entrance` is the file of the control group to enter, if any.
    `report` closes by itself when the shell runs.
    """
    variables = dict(environment)
    try:
        detach([*descriptors] * 3 if terminal else descriptors, report)
        if terminal:
            variables["SSH_TTY"] = os.ttyname(0)
            _own_terminal(account)
        if entrance:
            from teleport.agents.ssh import cgroups  # where there are groups it is loaded already

            cgroups.enter(entrance)
        become_user(account)
        shell = os.fsencode(account.shell)
        os.execve(shell, _arguments(os.path.basename(shell), command), variables)  # noqa: S606 - this is the shell
    except BaseException as error:
        problem = error.strerror if isinstance(error, OSError) and error.strerror else repr(error)
        os.write(report, problem.encode(errors="replace")[:500])
    finally:
        os._exit(FAILED)


def become_user(account: Account) -> None:
    """Turn this process, which must have one thread, into one of the account for good, in its home directory."""
    _reset()
    if os.geteuid() == 0:
        limits.apply(limits.find(account, limits.FILES))
    _drop(account)
    _go_home(account.home)


def _arguments(name: bytes, command: bytes) -> list[bytes]:
    """A shell whose name begins with a hyphen is one of a login (bash(1), Invocation)."""
    return [name, b"-c", command] if command else [b"-" + name]


def _own_terminal(account: Account) -> None:
    """Give the terminal on standard input to the user, closed to others but for write(1), as login(1) does, and
    make it the one that controls this session."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    try:
        group, mode = grp.getgrnam("tty").gr_gid, 0o620
    except KeyError:
        group, mode = account.gid, 0o600
    if os.geteuid() == 0:
        os.fchown(0, account.uid, group)
    os.fchmod(0, mode)


def detach(descriptors: Sequence[int], report: int) -> None:
    """Give this process a session of its own without terminal, these descriptors from 0 on, `report`, and no other of
    the spawner."""
    os.setsid()
    for wanted, given in enumerate(descriptors):
        os.dup2(given, wanted)
    end = os.sysconf("SC_OPEN_MAX")
    os.closerange(len(descriptors), report)
    os.closerange(report + 1, end)


def _reset() -> None:
    """Give back what Python or the spawner changed: signals, mask, umask, limits."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_DFL)
        except OSError:
            pass  # numbers that the C library keeps for itself
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.umask(UMASK)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (_descriptors(hard), hard))


def _descriptors(hard: int) -> int:
    """Return the soft limit of open files under a hard one."""
    return DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)


def _drop(account: Account) -> None:
    """Become the user for good: groups, then gid, then uid, real, effective and saved alike."""
    if os.geteuid() == 0:
        os.initgroups(account.login, account.gid)
        os.setresgid(account.gid, account.gid, account.gid)
        os.setresuid(account.uid, account.uid, account.uid)
    if os.getresuid() != (account.uid,) * 3:
        raise PermissionError(1, "the process did not become the user")
    if account.uid != 0:
        try:
            os.setuid(0)
        except PermissionError:
            return
        raise PermissionError(1, "the process could become root again")


def _go_home(home: str) -> None:
    """Enter the home directory with the user's own rights; a user without one starts in `/`."""
    try:
        os.chdir(home)
    except OSError:
        os.chdir("/")


def raise_descriptor_limit() -> None:
    """Let this process keep as many files open as the system allows it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
