"""Accounts that are made for logins: who needs which, and what is asked for strictly enough to be done as root.

This is the part that remembers, in the spawner: an account is held by the connections that asked for it, and goes (mode
insecure-drop) with the last of them. What is done to the machine is in `host_user_tools`, in a child process (`jobs`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import NamedTuple

from teleport.agents.ssh import spawner_messages as messages
from teleport.agents.ssh.jobs import Answer, Jobs
from teleport.base.errors import BadParameter

NAME = re.compile(r"[a-z_][a-z0-9_.-]{0,30}[a-z0-9_]|[a-z_]")
"""Names of users and groups. Lower case alone: in sudoers(5) a name in capitals, such as ALL, is no user's."""
SHELL = re.compile(r"(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)+|[A-Za-z0-9_][A-Za-z0-9_.+-]*")
SYSTEM_GROUP, KEEP_GROUP = "teleport-system", "teleport-keep"
"""Groups that mark accounts as made here: to be removed, and to be kept."""
GROUPS, LINES, LINE_CHARACTERS = 64, 128, 2000
LARGEST_ID = 2**32 - 2


class Wanted(NamedTuple):
    """An account as it is to be, every field of a form that cannot be mistaken for anything else."""

    login: str
    keep: bool
    groups: tuple[str, ...]
    sudoers: tuple[str, ...]
    uid: str
    gid: str
    shell: str


def read(request: messages.Provision, login: str) -> Wanted:
    """Read what the service asks for. Raises BadParameter (SSH-HOST-USER) with what is wrong."""
    groups = tuple(request.groups.split(",")) if request.groups else ()
    lines = tuple(request.sudoers.split("\n")) if request.sudoers else ()
    problem = _names(login, groups) or _lines(lines) or _number("uid", request.uid) or _number("gid", request.gid)
    if not problem and request.shell and not SHELL.fullmatch(request.shell):
        problem = f"{request.shell[:60]!r} is no shell"
    if problem:
        raise BadParameter("SSH-HOST-USER", login=login[:60], problem=problem)
    return Wanted(login, request.mode == "keep", groups, lines, request.uid, request.gid, request.shell)


def _names(login: str, groups: tuple[str, ...]) -> str:
    if not NAME.fullmatch(login) or login == "root":
        return "only names of small letters, digits, `_`, `-` and `.` can be made"
    if len(groups) > GROUPS:
        return f"more than {GROUPS} groups"
    for group in groups:
        if not NAME.fullmatch(group) or group in (SYSTEM_GROUP, KEEP_GROUP):
            return f"{group[:60]!r} is no name for a group of a role"
    return ""


def _lines(lines: tuple[str, ...]) -> str:
    """A backslash at the end would join a line with the next one, which begins with the login (sudoers(5))."""
    if len(lines) > LINES:
        return f"more than {LINES} lines for sudoers"
    for line in lines:
        if not line.strip() or len(line) > LINE_CHARACTERS or not line.isprintable() or line.rstrip().endswith("\\"):
            return f"{line[:60]!r} is no line for sudoers"
    return ""


def _number(what: str, text: str) -> str:
    if text and not (text.isascii() and text.isdecimal() and 0 < int(text[:12]) <= LARGEST_ID and text[0] != "0"):
        return f"{text[:20]!r} is no {what} for a user"
    return ""


class HostUsers:
    """The accounts that connections hold."""

    def __init__(self, jobs: Jobs, send: Callable[[messages.Reply], None], *, allowed: bool) -> None:
        """`allowed` was decided before the network was there: the service cannot change it later."""
        self._allowed = allowed
        self._jobs = jobs
        self._send = send
        self._logins: dict[int, str] = {}
        """The login that an admission holds."""

    @property
    def busy(self) -> bool:
        """Whether something is still to be done."""
        return self._jobs.busy

    def provision(self, request: messages.Provision, login: str) -> None:
        """Have the account made or brought up to date; the answer follows. Raises BadParameter (SSH-HOST-USER,
        SSH-SPAWN-MESSAGE)."""
        wanted = read(request, login)
        if not self._allowed:
            raise BadParameter("SSH-HOST-USER", login=login[:60], problem="this node makes no accounts")
        if request.admission in self._logins:
            raise BadParameter("SSH-SPAWN-MESSAGE", problem="the admission has its account")
        if os.geteuid() != 0:
            self._send(messages.Provisioned(id=request.id, created=False, managed=False))
            return
        self._logins[request.admission] = login

        def make() -> Answer:
            from teleport.agents.ssh import host_user_tools  # here, so that the spawner stays small

            return host_user_tools.Tools().provision(wanted)

        self._jobs.add(make, lambda answer: self._made(request, answer))

    def _made(self, request: messages.Provision, answer: Answer) -> None:
        if "code" in answer:
            self._send(messages.Refused(id=request.id, **answer))
            self.dismiss(request.admission)
        else:
            self._send(messages.Provisioned(id=request.id, created=answer["created"], managed=answer["managed"]))

    def dismiss(self, admission: int) -> None:
        """A connection is over: with the last one the account may go."""
        login = self._logins.pop(admission, "")
        if not login or login in self._logins.values():
            return

        def clear() -> Answer:
            from teleport.agents.ssh import host_user_tools

            return host_user_tools.Tools().release(login)

        self._jobs.add(clear, lambda answer: self._cleared(0, answer), lambda: login not in self._logins.values())

    def sweep(self, id: int) -> None:
        """Have everything removed that nobody holds."""
        self._send(messages.Accepted(id=id))
        if os.geteuid() != 0 or not self._allowed:
            return
        held = frozenset(self._logins.values())

        def clear() -> Answer:
            from teleport.agents.ssh import host_user_tools

            return host_user_tools.Tools().sweep(held)

        self._jobs.add(clear, lambda answer: self._cleared(id, answer))

    def _cleared(self, id: int, answer: Answer) -> None:
        if "code" in answer:
            self._send(messages.Removed(id=id, login="", problem=str(answer["fields"])))
        for login, problem in answer.get("removed", {}).items():
            self._send(messages.Removed(id=id, login=login, problem=problem))

    def stop(self) -> None:
        """The service is gone, and with it every connection."""
        for admission in list(self._logins):
            self.dismiss(admission)
