"""Limits of an account: what limits.conf(5) gives its shells and helpers, as pam_limits(8) reads it.

PAM itself is not used: its modules would run as root in the spawner. Read here are the domains `*`, a name, `@group`
and ranges of numbers, the types `soft`, `hard` and `-`, and every item that is a limit of the kernel. Not read are
`maxlogins`, `maxsyslogins`, `%group` and `chroot`, which are about logins, and `priority` and `nonewprivs`.
"""

from __future__ import annotations

import functools
import glob
import grp
import os
import re
import resource
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Literal, NamedTuple

from teleport.agents.ssh.accounts import Account

FILES = ("/etc/security/limits.conf", "/etc/security/limits.d/*.conf")
"""Files and patterns of files, read in this order; those of a pattern in the order of their names."""
FILE_BYTES = 256 * 1024
Side = Literal["soft", "hard"]

_ITEMS: Mapping[str, tuple[int, int]] = {
    "as": (resource.RLIMIT_AS, 1024),
    "core": (resource.RLIMIT_CORE, 1024),
    "cpu": (resource.RLIMIT_CPU, 60),
    "data": (resource.RLIMIT_DATA, 1024),
    "fsize": (resource.RLIMIT_FSIZE, 1024),
    "locks": (10, 1),  # RLIMIT_LOCKS, which the kernel ignores and Python has no name for
    "memlock": (resource.RLIMIT_MEMLOCK, 1024),
    "msgqueue": (resource.RLIMIT_MSGQUEUE, 1),
    "nice": (resource.RLIMIT_NICE, 1),
    "nofile": (resource.RLIMIT_NOFILE, 1),
    "nproc": (resource.RLIMIT_NPROC, 1),
    "rss": (resource.RLIMIT_RSS, 1024),
    "rtprio": (resource.RLIMIT_RTPRIO, 1),
    "sigpending": (resource.RLIMIT_SIGPENDING, 1),
    "stack": (resource.RLIMIT_STACK, 1024),
}
"""Items with their resource and the unit of their values."""
_ENDLESS = frozenset({"unlimited", "infinity", "-1"})
_RANGE = re.compile(r"(@?)(\d*):(\d*)")
_USER, _GROUP, _ALL = 1, 2, 3
"""How special a line is: a more special one wins wherever it stands, of equals the last."""


class Limit(NamedTuple):
    """One side of one limit of the kernel."""

    resource: int
    side: Side
    value: int


def find(account: Account, files: Iterable[str]) -> list[Limit]:
    """Return the limits that the files give to an account. Lines that cannot be read, and files that cannot,
    give none, as with PAM. Root is met only by lines with its name."""
    lines = _lines(tuple(_stamped(files)))
    groups = _groups(account) if lines else {}
    found: dict[tuple[int, Side], tuple[int, Limit]] = {}
    for words in lines:
        rank = _rank(words[0], account, groups)
        if not rank:
            continue
        if words[1:] == ("-",) and rank == _USER:
            return []  # limits.conf(5): a line of a user and a hyphen alone frees that user of all limits
        for limit in _read(words) if len(words) == 4 else ():
            key = (limit.resource, limit.side)
            if key not in found or rank <= found[key][0]:
                found[key] = rank, limit
    return [limit for _, limit in found.values()]


def apply(limits: Iterable[Limit]) -> None:
    """Set limits for this process. A soft one is at most the hard one; what the kernel refuses stays as it was."""
    for limit in sorted(limits, key=lambda each: each.side != "hard"):
        try:
            soft, hard = resource.getrlimit(limit.resource)
            if limit.side == "hard":
                resource.setrlimit(limit.resource, (_least(soft, limit.value), limit.value))
            else:
                resource.setrlimit(limit.resource, (_least(limit.value, hard), hard))
        except (OSError, ValueError):
            continue


def _least(first: int, second: int) -> int:
    endless = resource.RLIM_INFINITY  # -1 to Python
    if endless in (first, second):
        return second if first == endless else first
    return min(first, second)


def _groups(account: Account) -> dict[int, str]:
    """Return the groups of an account with their names, which may be empty."""
    found: dict[int, str] = {}
    for gid in os.getgrouplist(account.login, account.gid):
        try:
            found[gid] = grp.getgrgid(gid).gr_name
        except KeyError:
            found[gid] = ""
    return found


def _rank(domain: str, account: Account, groups: Mapping[int, str]) -> int:
    """Return how special a line with this domain is for the account; 0 if it is not meant."""
    if domain == account.login:
        return _USER
    if account.uid == 0:
        return 0
    if domain == "*":
        return _ALL
    if bounds := _RANGE.fullmatch(domain):
        return _in_range(bounds, account, groups)
    return _GROUP if domain[:1] == "@" and domain[1:] in groups.values() else 0


def _in_range(bounds: re.Match[str], account: Account, groups: Mapping[int, str]) -> int:
    """`low:high` are user numbers, `@low:high` group numbers; `low:` has no end, `:only` is one number."""
    of_groups, first, last = bounds.groups()
    low = int(first or last or 0)
    high = int(last) if last else float("inf")
    if not first and not last:
        return 0
    if of_groups:
        return _GROUP if any(low <= gid <= high for gid in groups) else 0
    return _USER if low <= account.uid <= high else 0


def _read(words: Sequence[str]) -> list[Limit]:
    """Return what a line of four words says."""
    _, kind, item, text = words
    if item not in _ITEMS or kind not in ("soft", "hard", "-"):
        return []
    number, unit = _ITEMS[item]
    value = resource.RLIM_INFINITY
    if item == "nice":
        if not re.fullmatch(r"-?\d{1,2}", text):
            return []
        value = 20 - max(-20, min(19, int(text)))  # setrlimit(2): the ceiling is 20 - rlim_cur
    elif text not in _ENDLESS:
        if not re.fullmatch(r"\d{1,15}", text):
            return []
        value = int(text) * unit
    sides: tuple[Side, ...] = ("hard", "soft") if kind == "-" else ("hard",) if kind == "hard" else ("soft",)
    return [Limit(number, side, value) for side in sides]


def _stamped(files: Iterable[str]) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the files that there are, each with what changes when somebody writes to it."""
    for pattern in files:
        for path in sorted(glob.glob(pattern)):
            with suppress(OSError):
                found = os.stat(path)
                yield path, (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@functools.lru_cache(maxsize=8)
def _lines(files: tuple[tuple[str, tuple[int, ...]], ...]) -> tuple[tuple[str, ...], ...]:
    """Return the words of the lines that say something; read once for each state of the files."""
    found: list[str] = []
    for path, _ in files:
        try:
            with open(path, errors="replace") as file:
                found += file.read(FILE_BYTES).splitlines()
        except OSError:
            continue
    return tuple(tuple(words) for line in found if (words := line.partition("#")[0].split()))
