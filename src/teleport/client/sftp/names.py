"""Names: which side of a copy is where, patterns of names, and which names of a server may become files here."""

from __future__ import annotations

import fnmatch
import os
import re
from dataclasses import dataclass

from teleport.base.errors import BadParameter
from teleport.base.escape import escape

_MAGIC = re.compile(rb"[*?\[]")


@dataclass(frozen=True)
class Place:
    """A source or target of a copy."""

    path: bytes
    host: str = ""
    """With its login, if one was given. Empty: this machine."""

    def __str__(self) -> str:
        return f"{self.host}:{shown(self.path)}" if self.host else shown(self.path)


def parse_place(text: str) -> Place:
    """Read `path`, `[login@]host:path` or `[login@][address]:path`.

    A colon means a host unless a slash is before it: `./a:b` is a file here. Raises BadParameter (CLIENT-COPY-PLACE).
    """
    bracketed = re.match(r"((?:[^/@:\[\]]+@)?\[[^/\]]+\]):", text, re.DOTALL)
    end = bracketed.end(1) if bracketed else text.find(":")
    if end < 0 or "/" in text[:end]:
        return Place(os.fsencode(text))
    host = text[:end]
    if not host or host.endswith("@") or "\0" in text:
        raise BadParameter("CLIENT-COPY-PLACE", place=escape(text)[:200])
    return Place(os.fsencode(text[end + 1 :]), host)


def shown(path: bytes) -> str:
    """Return a path as it may be printed on a terminal."""
    return escape(os.fsdecode(path)) or "."


def safe(name: bytes) -> bytes:
    """Return a name of a folder that a server has listed. Raises BadParameter (CLIENT-COPY-NAME) for one that would
    lead out of the folder it is put in."""
    if not name or name in (b".", b"..") or b"/" in name or b"\0" in name:
        raise BadParameter("CLIENT-COPY-NAME", name=escape(os.fsdecode(name))[:200])
    return name


def join(folder: bytes, name: bytes) -> bytes:
    """Return the path of a name in a folder; of the folder that an empty path means, the name alone."""
    return name if not folder else folder + name if folder.endswith(b"/") else folder + b"/" + name


def base(path: bytes) -> bytes:
    """Return the last part of a path; empty for `/`, for `.` and `..`, which name nothing by themselves."""
    name = path.rstrip(b"/").rpartition(b"/")[2]
    return b"" if name in (b".", b"..") else name


def is_pattern(path: bytes) -> bool:
    """Whether a path has characters of a pattern."""
    return _MAGIC.search(path) is not None


def matches(name: bytes, pattern: bytes) -> bool:
    """Whether a name fits one part of a pattern, as in a shell: names with a dot in front must be meant."""
    return (not name.startswith(b".") or pattern.startswith(b".")) and fnmatch.fnmatchcase(
        name.decode("latin-1"), pattern.decode("latin-1")
    )


def part_of(path: bytes, mark: str) -> bytes:
    """Return the name under which a file stands beside its place until it is whole."""
    folder, slash, name = path.rpartition(b"/")
    return folder + slash + name[:200] + b"." + mark.encode() + b".part"
