"""Watches an SFTP channel as it goes by and tells the audit log what was done to files.

The tap sits between the channel and the process that serves files as the user. It changes nothing, knows no file
system, and believes about an operation only what the server answered. Contents of files are counted and skipped.

Not here: how an operation becomes an event (`sftp_story`), and the copying of the bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple

from teleport.agents.ssh.audit import Context
from teleport.agents.ssh.sftp_story import File, Story, attributes_of, text_of
from teleport.model.events.base import Event
from teleport.model.events.file_copy import Action
from teleport.wire import sftp
from teleport.wire.buffer import ProtocolError
from teleport.wire.sftp import HANDLE_BYTES, Kind, Packet, Packets, Status, read

UNANSWERED = 64 * 1024
"""Requests that may wait for their answer. Clients that ask for a whole file at once have some thousands."""
OPEN_FILES = 4096
"""Files and folders that a client may have open; servers allow some hundreds."""
EVENTS = 5000
"""Events of one channel in the audit log; what comes after is counted in its summary."""
LOST = "the channel ended before the server had answered; whether it was done is not known"
UNCLOSED = "the channel ended before the file was closed"
_TEXT = 4096
_HEAD, _CONTENTS = struct.Struct("!BI"), struct.Struct("!QI")
_NUMBER = struct.Struct("!I")
_TRANSFER = _HEAD.size + _NUMBER.size + HANDLE_BYTES + _CONTENTS.size
_FROM_CLIENT: Mapping[int, int] = {Kind.WRITE: _TRANSFER}
_FROM_SERVER: Mapping[int, int] = {
    Kind.DATA: 9, Kind.ATTRS: 5, Kind.EXTENDED_REPLY: 5, Kind.VERSION: 5, Kind.NAME: _TEXT, Kind.STATUS: _TEXT,
    Kind.HANDLE: 9 + HANDLE_BYTES,
}  # fmt: skip
_ONE_PATH: Mapping[int | str, Action] = {
    Kind.REMOVE: Action.REMOVE, Kind.MKDIR: Action.MKDIR, Kind.RMDIR: Action.RMDIR, Kind.SETSTAT: Action.SETSTAT,
    sftp.LSETSTAT: Action.SETSTAT,
}  # fmt: skip
_TWO_PATHS: Mapping[int | str, tuple[Action, int, int]] = {
    Kind.RENAME: (Action.RENAME, 0, 1), sftp.POSIX_RENAME: (Action.RENAME, 0, 1),
    sftp.HARDLINK: (Action.LINK, 0, 1),
    Kind.SYMLINK: (Action.SYMLINK, 1, 0),  # OpenSSH's order, which everybody keeps: what it points at comes first
}  # fmt: skip
_WORDS = [status.name.lower().replace("_", " ") for status in Status]


class Transfer(NamedTuple):
    """A request for contents of a file, or with some."""

    kind: int
    handle: bytes
    size: int


class SftpTap:
    """One SFTP channel. Give it bytes before they are passed on; when it raises, they must not be, and the channel
    is to be ended with the error. Answers may come in any order, as the draft allows it."""

    def __init__(self, emit: Callable[[Event], None], context: Context, *, most: int = EVENTS) -> None:
        """`emit` gets each event as it happens and must not block; after `most` of them only the summary comes."""
        self._story = Story(emit, context, most)
        self._requests = Packets(_FROM_CLIENT)
        self._answers = Packets(_FROM_SERVER)
        self._asked = self._agreed = False
        self._waiting: dict[int, Transfer | Packet] = {}
        self._files: dict[bytes, File] = {}

    def from_client(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes on their way to the server. Raises ProtocolError (WIRE-SFTP, WIRE-SHORT)."""
        for head, size in self._requests.feed(data):
            kind, id = _HEAD.unpack_from(head)
            if not self._asked:
                if kind != Kind.INIT:
                    raise _bad("the client does not begin with INIT")
                self._asked = True
                continue
            if id in self._waiting or len(self._waiting) >= UNANSWERED:
                raise _bad("the id of a request is in use, or too many wait for their answer")
            if kind in (Kind.READ, Kind.WRITE):
                self._waiting[id] = _transfer(kind, head, size)
            elif Kind.OPEN <= kind <= Kind.SYMLINK or kind == Kind.EXTENDED:
                self._waiting[id] = read(head)
            else:
                raise _bad(f"a packet of type {kind} is no request")

    def from_server(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes on their way to the client. Raises ProtocolError (WIRE-SFTP, WIRE-SHORT)."""
        for head, size in self._answers.feed(data):
            kind, id = _HEAD.unpack_from(head)
            if not self._agreed:
                if kind != Kind.VERSION or id != sftp.VERSION:
                    raise _bad("the server does not begin with VERSION 3")
                self._agreed = True
                continue
            request = self._waiting.pop(id, None)
            if request is None:
                raise _bad("an answer belongs to no request")
            if isinstance(request, Transfer):
                self._transferred(request, kind, head, size)
            else:
                self._answered(request, kind, head)

    def close(self) -> None:
        """The channel has ended: tell of what is still open or unanswered, and sum up. To be called once."""
        for request in self._waiting.values():
            if isinstance(request, Packet) and request.kind != Kind.CLOSE:
                self._tell(request, LOST)
        self._waiting.clear()
        for file in self._files.values():
            self._story.closed(file, UNCLOSED)
        self._files.clear()
        self._story.end()

    def _transferred(self, request: Transfer, kind: int, head: bytes, size: int) -> None:
        file = self._files.get(request.handle)
        if file is None:
            return  # the server has refused it: it knows no such handle
        if kind == Kind.DATA:
            file.read += size - 9
            return
        error = _error(kind, head)
        if request.kind == Kind.WRITE and not error:
            file.written += request.size
        elif error and not (request.kind == Kind.READ and _code(head) == Status.EOF):
            self._story.contents_failed(file, Action(request.kind - Kind.READ + Action.READ), error)

    def _answered(self, request: Packet, kind: int, head: bytes) -> None:
        error = _error(kind, head)
        if request.kind in (Kind.OPEN, Kind.OPENDIR) and kind == Kind.HANDLE:
            self._opened(request, head)
        elif request.kind == Kind.CLOSE:
            file = self._files.pop(request.fields[0], None)
            if file is not None:
                self._story.closed(file, error)
        elif request.kind == Kind.READDIR:
            self._listed(request, error if _code(head) != Status.EOF else "")
        elif request.kind == Kind.REALPATH:
            if request.fields[0] in (b".", b"") and not self._story.working_directory:
                self._story.working_directory = text_of(_first_name(kind, head))
        else:
            self._tell(request, error)

    def _opened(self, request: Packet, head: bytes) -> None:
        if len(self._files) >= OPEN_FILES:
            raise _bad("too many files are open")
        path = text_of(request.fields[0])
        self._files[_string(head, 5)] = File(path, is_folder=request.kind == Kind.OPENDIR)
        if request.kind == Kind.OPEN:
            self._tell(request, "")

    def _listed(self, request: Packet, error: str) -> None:
        file = self._files.get(request.fields[0])
        if file is not None and not file.listed:
            file.listed = True
            self._story.tell(Action.READDIR, file.path, error=error)

    def _tell(self, request: Packet, error: str) -> None:
        """Tell of an operation that changes something, or was to open something."""
        kind, fields = request.kind, request.fields
        name = request.name if kind == Kind.EXTENDED else kind
        if kind == Kind.OPEN:
            self._story.tell(
                Action.OPEN, text_of(fields[0]), error=error, flags=fields[1], attributes=attributes_of(fields[2])
            )  # fmt: skip
        elif kind == Kind.OPENDIR:
            self._story.tell(Action.OPENDIR, text_of(fields[0]), error=error)
        elif kind == Kind.FSETSTAT:
            self._story.tell(
                Action.FSETSTAT, self._path(fields[0]), error=error, attributes=attributes_of(fields[1])
            )  # fmt: skip
        elif name in _ONE_PATH:
            attributes = attributes_of(fields[1]) if len(fields) > 1 else None
            self._story.tell(_ONE_PATH[name], text_of(fields[0]), error=error, attributes=attributes)
        elif name in _TWO_PATHS:
            action, subject, target = _TWO_PATHS[name]
            self._story.tell(action, text_of(fields[subject]), error=error, target_path=text_of(fields[target]))
        elif name == sftp.COPY_DATA:
            source, target_path = self._path(fields[0]), self._path(fields[3])
            self._story.tell(Action.WRITE, source, error=error, target_path=target_path)

    def _path(self, handle: bytes) -> str:
        file = self._files.get(handle)
        return "" if file is None else file.path


def _transfer(kind: int, head: bytes, size: int) -> Transfer:
    """Read a READ or WRITE; of a WRITE there may be no more than the head."""
    start = 9 + _uint(head, 5)
    if start > 9 + HANDLE_BYTES or len(head) < start + _CONTENTS.size:
        raise _bad("a request for contents has no such handle, or is cut")
    _, contents = _CONTENTS.unpack_from(head, start)
    if kind == Kind.WRITE and start + _CONTENTS.size + contents > size:
        raise _bad("a WRITE is cut")
    return Transfer(kind, head[9:start], contents)


def _uint(head: bytes, position: int) -> int:
    """Return a number; 0 where the packet has ended."""
    return int.from_bytes(head[position : position + 4], "big")


def _string(head: bytes, position: int) -> bytes:
    """Return a string, cut where the head ends."""
    start = position + 4
    return head[start : start + _uint(head, position)]


def _code(head: bytes) -> int:
    """Return the code of a STATUS; of another packet, what no status is."""
    return _uint(head, 5) if head[0] == Kind.STATUS else -1


def _error(kind: int, head: bytes) -> str:
    """Return what a STATUS says has failed; empty for success and for other packets."""
    code = _code(head)
    if kind != Kind.STATUS or code == Status.OK:
        return ""
    said = _string(head, 9).decode(errors="backslashreplace")
    return said or (_WORDS[code] if code < len(_WORDS) else f"status {code}")


def _first_name(kind: int, head: bytes) -> bytes:
    """Return the first name of a NAME."""
    return _string(head, 9) if kind == Kind.NAME else b""


def _bad(problem: str) -> ProtocolError:
    return ProtocolError("WIRE-SFTP", problem=problem)
