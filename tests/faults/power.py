"""What a power cut leaves: the trace of a program's changes, replayed with the loss of what was not synced.

The disk that is modelled has a page cache and an ordered journal. What was written to a file and not synced may
be lost, page by page and in any order. Names (new files, renames, removals) are kept in the order in which they
were made, up to some moment not before the last sync of the folder that they stand in. A sync of a file does not
keep its name. Pages of a file whose sync has failed count as written for the kernel: a later sync that succeeds
does not bring them to the disk, unless they were written again.

Sources: T. Pillai and others, "All File Systems Are Not Created Equal", OSDI 2014; A. Rebello and others, "Can
Applications Recover from fsync Failures?", ATC 2020.
"""

from __future__ import annotations

import random
import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from tests.faults.library import KINDS

_HEAD = struct.Struct("=BBHHHqQ")
_PAGE = 4096
_EXCHANGE = 2


class Step(NamedTuple):
    """A change that was made, as `fault.c` wrote it down."""

    kind: str
    failed: bool
    first: str
    second: str
    offset: int
    """Of a write; the length of a truncation; 1: a folder is made; flags of a rename."""
    data: bytes


def read(trace: bytes) -> Iterator[Step]:
    """Yield the steps of a trace."""
    position = 0
    while position < len(trace):
        kind, failed, first, second, _, offset, length = _HEAD.unpack_from(trace, position)
        ends = [position + _HEAD.size]
        for size in (first, second, length if KINDS[kind] == "write" else 0):
            ends.append(ends[-1] + size)
        a, b, data = (trace[ends[part] : ends[part + 1]] for part in range(3))
        yield Step(KINDS[kind], bool(failed), a.decode(), b.decode(), offset, data)
        position = ends[-1]


@dataclass
class _Change:
    """A write of one page or a part of it, or (data None) a truncation."""

    offset: int
    data: bytes | None
    state: Literal["waiting", "sure", "doubtful"] = "waiting"


@dataclass
class _File:
    start: bytes = b""
    changes: list[_Change] = field(default_factory=list)

    def write(self, offset: int, data: bytes) -> None:
        while data:
            room = _PAGE - offset % _PAGE
            self.changes.append(_Change(offset, data[:room]))
            offset, data = offset + room, data[room:]

    def synced(self, failed: bool) -> None:
        waiting = [change for change in self.changes if change.state == "waiting"]
        pages = {change.offset // _PAGE for change in waiting if change.data is not None}
        for change in self.changes:
            again = change.state == "doubtful" and change.offset // _PAGE in pages
            if change.state == "waiting" or (again and not failed):
                change.state = "doubtful" if failed else "sure"

    def after(self, keep: Callable[[_Change], bool]) -> bytes:
        content = bytearray(self.start)
        for change in self.changes:
            kept = change.state == "sure" or keep(change)
            if change.data is None and not kept:
                break  # what follows a truncation is never there before it
            if change.data is None:
                del content[change.offset :]
                content.extend(bytes(change.offset - len(content)))
            elif kept:
                content.extend(bytes(max(0, change.offset + len(change.data) - len(content))))
                content[change.offset : change.offset + len(change.data)] = change.data
        return bytes(content)


_Names = dict[str, _File | None]
"""Paths; None is a folder."""


class Platter:
    """The folder `root` as it was before, and what is changed from then on."""

    def __init__(self, root: Path) -> None:
        self._root = root
        paths = sorted(root.rglob("*"))
        self._now: _Names = {str(p): None if p.is_dir() else _File(p.read_bytes()) for p in paths if not p.is_symlink()}
        self._kept = dict(self._now)
        self._waiting: list[tuple[set[str], Callable[[_Names], None]]] = []

    def take(self, step: Step) -> None:
        """Let a change happen."""
        file = self._now.get(step.first)
        if step.kind == "write" and file:
            file.write(step.offset, step.data)
        elif step.kind == "truncate" and file:
            file.changes.append(_Change(step.offset, None))
        elif step.kind == "sync" and file:
            file.synced(step.failed)
        elif step.kind == "sync" and not step.failed:
            about = [number for number, (folders, _) in enumerate(self._waiting, 1) if step.first in folders]
            self._keep(max(about, default=0))
        elif step.kind in ("rename", "unlink", "create", "link"):
            folders = {str(Path(path).parent) for path in (step.first, step.second) if path}
            change = _change_of_names(step)
            change(self._now)
            self._waiting.append((folders, change))

    def cut(self, chance: random.Random) -> None:
        """Cut the power: make the folder what the disk holds then."""
        self._keep(chance.randint(0, len(self._waiting)))
        share = chance.choice((0.0, 0.5, 0.9, 1.0))
        shutil.rmtree(self._root)
        self._root.mkdir(mode=0o700)
        for path, file in sorted(self._kept.items()):
            if file is None:
                Path(path).mkdir(mode=0o700, parents=True, exist_ok=True)
            elif Path(path).parent.is_dir():
                Path(path).touch(mode=0o600)
                Path(path).write_bytes(file.after(lambda _: chance.random() < share))

    def _keep(self, number: int) -> None:
        for _, change in self._waiting[:number]:
            change(self._kept)
        del self._waiting[:number]


def _change_of_names(step: Step) -> Callable[[_Names], None]:
    if step.kind == "create":
        made = None if step.offset else _File()
        return lambda names: names.__setitem__(step.first, made)
    if step.kind == "unlink":
        return lambda names: names.__delitem__(step.first) if step.first in names else None
    if step.kind == "link":
        return lambda names: names.__setitem__(step.second, names.get(step.first))
    return lambda names: _rename(names, step.first, step.second, exchange=step.offset == _EXCHANGE)


def _rename(names: _Names, old: str, new: str, *, exchange: bool) -> None:
    def taken(path: str) -> _Names:
        return {name: names.pop(name) for name in list(names) if name == path or name.startswith(f"{path}/")}

    first, second = taken(old), taken(new)
    names.update({new + name[len(old) :]: file for name, file in first.items()})
    if exchange:
        names.update({old + name[len(new) :]: file for name, file in second.items()})


def cut_power(root: Path, before: Platter, trace: bytes, seed: int) -> None:
    """Make `root` what a power cut at the end of `trace` leaves of it."""
    for step in read(trace):
        before.take(step)
    before.cut(random.Random(seed))
