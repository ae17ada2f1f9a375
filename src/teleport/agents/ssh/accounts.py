"""Accounts of this machine: who may run a command, with which ids, home and shell.

Used by the spawner process only. Everything is looked up again for each command, so that a removed or
expired account is refused at once. No password is read and nothing is written.
"""

from __future__ import annotations

import datetime as dt
import functools
import os
import pwd
from typing import NamedTuple

from teleport.base.errors import AccessDenied, NotFound, Unavailable

NO_LOGIN_SHELLS = frozenset({"nologin", "false"})
"""Shells that exist to say no; a command would only end with their message."""
DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games"
DEFAULT_ROOT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
FilePath = str | os.PathLike[str]
_EPOCH = dt.date(1970, 1, 1)


class Account(NamedTuple):
    """A user of the operating system."""

    login: str
    uid: int
    gid: int
    home: str
    shell: str


class Files(NamedTuple):
    """Where the system keeps what passwd(5) does not say."""

    shadow: FilePath = "/etc/shadow"
    login_defs: FilePath = "/etc/login.defs"
    nologin: tuple[FilePath, ...] = ("/etc/nologin", "/run/nologin")


def find(login: str, *, files: Files, today: dt.date, euid: int) -> Account:
    """Return the account of `login` if a process with the effective uid `euid` may start commands as it.

    Raises AccessDenied (SSH-NOT-ROOT, SSH-ACCOUNT-EXPIRED, SSH-ACCOUNT-NOLOGIN, SSH-NOLOGIN),
    NotFound (SSH-UNKNOWN-USER, SSH-SHELL).
    """
    try:
        entry = pwd.getpwnam(login)
    except (KeyError, ValueError):
        raise NotFound("SSH-UNKNOWN-USER", login=login) from None
    if entry.pw_name != login:  # some name services ignore case; a certificate does not
        raise NotFound("SSH-UNKNOWN-USER", login=login)
    if euid not in (0, entry.pw_uid):
        raise AccessDenied("SSH-NOT-ROOT", login=login, own=_name_of(euid))
    _check_open(entry.pw_uid, files)
    if euid == 0:
        _check_expiry(login, files.shadow, today)
    shell = entry.pw_shell or "/bin/sh"
    if os.path.basename(shell) in NO_LOGIN_SHELLS:
        raise AccessDenied("SSH-ACCOUNT-NOLOGIN", login=login, shell=shell)
    if not os.path.isabs(shell) or not os.path.isfile(shell) or not os.access(shell, os.X_OK):
        raise NotFound("SSH-SHELL", login=login, shell=shell)
    return Account(login=login, uid=entry.pw_uid, gid=entry.pw_gid, home=entry.pw_dir or "/", shell=shell)


def search_path(account: Account, files: Files) -> str:
    """Return PATH as login.defs(5) gives it: ENV_SUPATH for root, ENV_PATH for all others."""
    wanted = "ENV_SUPATH" if account.uid == 0 else "ENV_PATH"
    path = os.fspath(files.login_defs)
    try:
        found = os.stat(path)
    except OSError:
        stamp = (0, 0, 0, 0)
    else:
        stamp = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return _defined(path, wanted, stamp) or (DEFAULT_ROOT_PATH if account.uid == 0 else DEFAULT_PATH)


@functools.lru_cache(maxsize=8)
def _defined(path: str, wanted: str, stamp: tuple[int, ...]) -> str:
    """Return what login.defs(5) says of a search path, empty if nothing; read once for each state of the file."""
    for line in _lines(path):
        words = line.split(None, 1)
        if len(words) == 2 and words[0] == wanted:
            return words[1].strip().removeprefix("PATH=")
    return ""


def _check_open(uid: int, files: Files) -> None:
    """The file nologin(5) closes the machine for all but root."""
    if uid == 0:
        return
    for path in files.nologin:
        if os.path.exists(path):
            message = " ".join(_lines(path))[:200]
            raise AccessDenied("SSH-NOLOGIN", path=path, message=message or "the file is empty")


def _check_expiry(login: str, shadow: FilePath, today: dt.date) -> None:
    """Field 8 of shadow(5) is the day after which the account is of no use, counted from 1970-01-01.

    Accounts without a line (of other name services) have no such day. A shadow file that root cannot
    read is a failure, not a permission.
    """
    try:
        with open(shadow, errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return
    except OSError as error:
        raise Unavailable("SSH-SPAWN", login=login, problem=f"{shadow}: {error.strerror}") from None
    for line in lines:
        fields = line.split(":")
        if fields[0] == login and len(fields) > 7 and fields[7].isascii() and fields[7].isdigit():
            day = int(fields[7])
            if day > 0 and (today - _EPOCH).days >= day:
                raise AccessDenied("SSH-ACCOUNT-EXPIRED", login=login, day=_EPOCH + dt.timedelta(days=day))


def _lines(path: FilePath) -> list[str]:
    try:
        with open(path, errors="replace") as file:
            return file.read(64 * 1024).splitlines()
    except OSError:
        return []


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
