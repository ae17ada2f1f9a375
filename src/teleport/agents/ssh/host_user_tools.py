"""Making and removing accounts with the tools of the system, as root.

The tools are found on a fixed path and get lists of arguments; every name was read strictly before (`host_users`).
An account is ours when it is in one of two groups; any other is somebody's own, and stays as it is.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from teleport.agents.ssh import host_user_files as files
from teleport.agents.ssh.host_users import KEEP_GROUP, SYSTEM_GROUP, Wanted
from teleport.base.errors import TeleportError, Unavailable

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
SECONDS = 20.0
"""How long one tool may take."""
GRACE = 1.0
"""Seconds that processes of a user have to end by themselves: their terminals are gone."""
PATIENCE = 10.0
"""Seconds to wait for processes that were killed to be gone."""
_MESSAGE = 300


class Tools:
    """The machine's accounts."""

    def __init__(
        self, *, etc: Path = Path("/etc"), homes: Path = Path("/home"), proc: Path = Path("/proc"), path: str = PATH
    ) -> None:  # fmt: skip
        self._sudoers = etc / "sudoers.d"
        self._skeleton = etc / "skel"
        self._homes = homes
        self._proc = proc
        self._path = path

    def provision(self, wanted: Wanted) -> dict[str, Any]:
        """Make the account, or bring one of ours up to date. Raises Unavailable (SSH-HOST-USER-TOOL)."""
        found = _user(wanted.login)
        if found is not None and (found.pw_uid == 0 or not _marks(wanted.login)):
            return {"created": False, "managed": False}
        keep = wanted.keep or KEEP_GROUP in _marks(wanted.login)
        groups = [*wanted.groups, KEEP_GROUP if keep else SYSTEM_GROUP]
        for group in groups:
            self._make_group(group)
        if found is None:
            self._make_user(wanted, groups)
        else:
            self._run("usermod", "--groups", ",".join(groups), "--", wanted.login)
        try:
            files.write_sudoers(self._sudoers, wanted.login, wanted.sudoers, self._check_sudoers)
        except BaseException:
            if found is None and not keep:  # nobody is in it yet
                self._run("userdel", "--remove", "--", wanted.login, fine=(0, 12))
            raise
        return {"created": found is None, "managed": True}

    def _make_group(self, name: str, *options: str) -> None:
        if not _group(name):
            self._run("groupadd", *options, "--", name, fine=(0, 9))  # 9: another made it at the same moment

    def _make_user(self, wanted: Wanted, groups: list[str]) -> None:
        home = self._homes / wanted.login
        options = ["--no-create-home", "--home-dir", str(home), "--groups", ",".join(groups)]
        if wanted.uid:
            options += ["--uid", wanted.uid]
        if wanted.gid:
            if not _group_of(int(wanted.gid)):
                self._run("groupadd", "--gid", wanted.gid, "--", wanted.login)
            options += ["--gid", wanted.gid]
        else:
            options += ["--user-group"]
        if wanted.shell:
            options += ["--shell", self._shell(wanted.shell)]
        self._run("useradd", *options, "--", wanted.login)
        made = _user(wanted.login)
        if made is None:
            raise Unavailable("SSH-HOST-USER-TOOL", tool="useradd", problem="it made no account that can be found")
        files.make_home(home, made.pw_uid, made.pw_gid, self._skeleton)

    def _shell(self, name: str) -> str:
        found = shutil.which(name, path=self._path)
        if found is None:
            raise Unavailable("SSH-HOST-USER-TOOL", tool=name, problem="the shell of the role is not there")
        return found

    def release(self, login: str) -> dict[str, Any]:
        """The last session is over: what sudo allows ends, and so does the account if it is not to be kept."""
        files.sudoers_file(self._sudoers, login).unlink(missing_ok=True)
        marks = _marks(login)
        if SYSTEM_GROUP not in marks or KEEP_GROUP in marks:
            return {"removed": {}}
        return {"removed": {login: self._remove(login)}}

    def sweep(self, held: Iterable[str]) -> dict[str, Any]:
        """Remove what an earlier run left: lines for sudo, and accounts that were not to be kept."""
        for file in sorted(self._sudoers.glob(f"{files.SUDOERS_PREFIX}*")):
            if files.login_of(file) not in held:
                file.unlink(missing_ok=True)
        kept = {*held, *_members(KEEP_GROUP)}
        return {"removed": {login: self._remove(login) for login in _members(SYSTEM_GROUP) if login not in kept}}

    def _remove(self, login: str) -> str:
        """End what still runs and remove the account with its home; return why that failed, or nothing."""
        found = _user(login)
        if found is None or found.pw_uid == 0:
            return ""
        try:
            self._end_processes(found.pw_uid)
            self._run("userdel", "--remove", "--", login, fine=(0, 6, 12))  # 6: it is gone; 12: its home is not
        except TeleportError as error:
            return error.what
        return ""

    def _end_processes(self, uid: int) -> None:
        """Give processes of a user a moment, then kill them, again and again until none is left: a process may make
        another one meanwhile."""
        start = time.monotonic()
        while pids := self._processes(uid):
            waited = time.monotonic() - start
            if waited > PATIENCE:
                problem = f"{len(pids)} processes of the user do not end"
                raise Unavailable("SSH-HOST-USER-TOOL", tool="kill", problem=problem)
            if waited > GRACE:
                for pid in pids:
                    _kill(pid)
            time.sleep(0.05)

    def _processes(self, uid: int) -> list[int]:
        """Return the processes in the name of a user; the owner of a folder in /proc is that name (proc(5))."""
        found = []
        for name in os.listdir(self._proc):
            if name.isdecimal():
                try:
                    if f"\nUid:\t{uid}\t" in (self._proc / name / "status").read_text(errors="replace"):
                        found.append(int(name))
                except OSError:
                    continue  # it has just ended
        return found

    def _check_sudoers(self, path: Path) -> None:
        self._run("visudo", "-c", "-q", "-f", str(path))

    def _run(self, tool: str, *arguments: str, fine: tuple[int, ...] = (0,)) -> None:
        program = shutil.which(tool, path=self._path)
        if program is None:
            raise Unavailable("SSH-HOST-USER-TOOL", tool=tool, problem=f"it is not installed in {self._path}")
        try:
            done = subprocess.run(
                [program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, cwd="/",
                env={"PATH": self._path, "LANG": "C.UTF-8"},
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable("SSH-HOST-USER-TOOL", tool=tool, problem=str(error)[:_MESSAGE]) from None
        if done.returncode not in fine:
            said = " ".join((done.stderr or done.stdout).decode(errors="replace").split())
            raise Unavailable("SSH-HOST-USER-TOOL", tool=tool, problem=(said or f"status {done.returncode}")[:_MESSAGE])


def _user(login: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(login)
    except KeyError:
        return None


def _group(name: str) -> grp.struct_group | None:
    try:
        return grp.getgrnam(name)
    except KeyError:
        return None


def _group_of(gid: int) -> grp.struct_group | None:
    try:
        return grp.getgrgid(gid)
    except KeyError:
        return None


def _members(name: str) -> list[str]:
    found = _group(name)
    return sorted(found.gr_mem) if found is not None else []


def _marks(login: str) -> frozenset[str]:
    """Return which of the groups that mark our accounts a login is in."""
    return frozenset(name for name in (SYSTEM_GROUP, KEEP_GROUP) if login in _members(name))


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
