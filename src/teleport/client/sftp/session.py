"""A client of SFTP version 3: requests and their answers on one channel, and what the files need of them.

Blocking, one thread. Nothing that the server says is believed further than it must be: names of a folder are names
and no paths, lengths are what was asked for, and its words are shown with escapes.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from typing import Any, Protocol

from teleport.base.errors import AccessDenied, NotFound, TeleportError, Unavailable
from teleport.base.escape import escape
from teleport.client.sftp.names import shown
from teleport.wire import sftp
from teleport.wire.buffer import ProtocolError
from teleport.wire.sftp import PAYLOAD, VERSION, Attrs, Entry, Kind, Packet, Packets, Status, write

CHUNK = 32 * 1024
"""Bytes of a file in one request where the server does not say what it takes; every server takes these."""
IN_FLIGHT = 4 * 1024 * 1024
"""Bytes that are asked for, or sent, before an answer is waited for."""
FOLDER_NAMES = 1_000_000
"""Names of one folder at most."""
_READ = 1024 * 1024
_SAID = 300
_WORDS = [status.name.lower().replace("_", " ") for status in Status]


class Channel(Protocol):
    """A byte stream to the server; `client.ssh_client.stream.ByteStream` is one."""

    def read(self, size: int) -> bytes:
        """Return from one to `size` bytes; none at the end."""
        ...

    def write(self, data: bytes | memoryview) -> None:
        """Send everything."""
        ...


class Session:
    """The file service of a node. Methods raise NotFound, AccessDenied and Unavailable (CLIENT-COPY-REMOTE) for what
    the server refuses, Unavailable (CLIENT-COPY-LOST) when the connection has ended, ProtocolError (WIRE-*)."""

    def __init__(self, channel: Channel) -> None:
        """Agree on the version. Raises as all methods do."""
        self._channel = channel
        self._packets = Packets()
        self._arrived: list[Packet] = []
        self._id = 0
        self.stopping = False
        """Whether the next request or answer is to raise KeyboardInterrupt; that clears it. A signal that raised by
        itself could cut a packet in two, and then there would be no way to remove what is half done."""
        self._abandoned: set[int] = set()
        self.chunk = CHUNK
        """Bytes of a file in one request."""
        channel.write(write(Packet(Kind.INIT, VERSION, ({},))))
        answer = self._next()
        if answer.kind != Kind.VERSION or answer.id != VERSION:
            raise ProtocolError("WIRE-SFTP", problem="the server does not begin with VERSION 3")
        self._extensions: dict[bytes, bytes] = answer.fields[0]
        if self.knows(sftp.LIMITS):
            self._learn_limits()

    def knows(self, extension: str) -> bool:
        """Whether the server has announced an extension."""
        return self._extensions.get(extension.encode()) == sftp.EXTENSIONS[extension].encode()

    def _learn_limits(self) -> None:
        answer = self.ask(Kind.EXTENDED, name=sftp.LIMITS)
        if answer.kind == Kind.EXTENDED_REPLY and len(answer.fields[0]) >= 32:
            most = [int.from_bytes(answer.fields[0][at : at + 8], "big") for at in (8, 16)]
            self.chunk = min([PAYLOAD, *(limit for limit in most if limit)])

    @property
    def window(self) -> int:
        """How many requests for contents may be under way."""
        return max(2, min(64, IN_FLIGHT // self.chunk))

    # -- requests and answers -------------------------------------------------------------------------------

    def send(self, kind: int, *fields: Any, name: str = "") -> int:
        """Send a request and return its id; `receive` gives its answer."""
        self._stop_if_told()
        self._id = (self._id + 1) & 0xFFFFFFFF
        self._channel.write(write(Packet(kind, self._id, fields, name)))
        return self._id

    def send_contents(self, handle: bytes, offset: int, data: bytes) -> int:
        """Send a WRITE and return its id."""
        self._stop_if_told()
        self._id = (self._id + 1) & 0xFFFFFFFF
        self._channel.write(sftp.write_contents(self._id, handle, offset, data))
        return self._id

    def receive(self) -> Packet:
        """Return the next answer to any request."""
        self._stop_if_told()
        while True:
            answer = self._next()
            if answer.id not in self._abandoned:
                return answer
            self._abandoned.discard(answer.id)

    def _stop_if_told(self) -> None:
        if self.stopping:
            self.stopping = False
            raise KeyboardInterrupt

    def abandon(self, ids: Iterator[int] | list[int]) -> None:
        """Forget requests whose answers are still to come."""
        self._abandoned.update(ids)

    def ask(self, kind: int, *fields: Any, name: str = "") -> Packet:
        """Send a request and wait for its answer. Nothing else may be under way."""
        id = self.send(kind, *fields, name=name)
        answer = self.receive()
        if answer.id != id:
            raise ProtocolError("WIRE-SFTP", problem="an answer belongs to no request")
        return answer

    def _next(self) -> Packet:
        while not self._arrived:
            data = self._channel.read(_READ)
            if not data:
                raise Unavailable("CLIENT-COPY-LOST")
            self._arrived = [sftp.read_contents(body) for body, _ in self._packets.feed(data)]
        return self._arrived.pop(0)

    def do(self, path: bytes, kind: int, *fields: Any, name: str = "", wanted: int = Kind.STATUS) -> Any:
        """Send a request and return the first field of an answer of the type `wanted`; `path` is for errors."""
        answer = self.ask(kind, *fields, name=name)
        if answer.kind != wanted or (wanted == Kind.STATUS and answer.fields[0] != Status.OK):
            raise refusal(path, answer)
        return answer.fields[0]

    # -- files ----------------------------------------------------------------------------------------------

    def open(self, path: bytes, flags: int, attrs: Attrs, *, meant: bytes = b"") -> bytes:
        """Open a file and return its handle. Errors name the path that is `meant`, if it is another."""
        handle: bytes = self.do(meant or path, Kind.OPEN, path, flags, attrs, wanted=Kind.HANDLE)
        return handle

    def drop(self, handle: bytes) -> None:
        """Close a file that was only read: nobody waits for the answer."""
        self.abandon([self.send(Kind.CLOSE, handle)])

    def close(self, path: bytes, handle: bytes) -> None:
        """Close a file: what the server could not store it says here at the latest."""
        self.do(path, Kind.CLOSE, handle)

    def attributes(self, path: bytes, handle: bytes) -> Attrs:
        """Return the attributes of an open file."""
        attrs: Attrs = self.do(path, Kind.FSTAT, handle, wanted=Kind.ATTRS)
        return attrs

    def change(self, path: bytes, attrs: Attrs) -> None:
        """Set attributes."""
        self.do(path, Kind.SETSTAT, path, attrs)

    def remove(self, path: bytes) -> None:
        """Remove a file."""
        self.do(path, Kind.REMOVE, path)

    def make_folder(self, path: bytes, mode: int) -> bool:
        """Make a folder, unless there is one; say whether it is new."""
        answer = self.ask(Kind.MKDIR, path, Attrs(mode=mode))
        if answer.kind == Kind.STATUS and answer.fields[0] == Status.OK:
            return True
        found = self.find(path)
        if found is None or not stat.S_ISDIR(found.mode or 0):
            raise refusal(path, answer)
        return False

    def stat(self, path: bytes) -> Attrs:
        """Return the attributes of a file, through links."""
        attrs: Attrs = self.do(path, Kind.STAT, path, wanted=Kind.ATTRS)
        return attrs

    def find(self, path: bytes) -> Attrs | None:
        """Return the attributes of a file, through links; None if there is none."""
        try:
            return self.stat(path)
        except NotFound:
            return None

    def exists(self, path: bytes) -> bool:
        """Whether there is something of this name, be it a link to nothing."""
        return self.ask(Kind.LSTAT, path).kind == Kind.ATTRS

    def names(self, path: bytes) -> Iterator[Entry]:
        """Return what is in a folder, without `.` and `..`. Raises ProtocolError (WIRE-SFTP) for more than a million.

        No name is checked: a caller that makes a path of one uses `names.safe` first.
        """
        handle: bytes = self.do(path, Kind.OPENDIR, path, wanted=Kind.HANDLE)
        found: list[Entry] = []
        while (answer := self.ask(Kind.READDIR, handle)).kind == Kind.NAME:
            found += [entry for entry in answer.fields[0] if entry.name not in (b".", b"..")]
            if not answer.fields[0] or len(found) > FOLDER_NAMES:
                raise ProtocolError("WIRE-SFTP", problem="a folder does not end")
        if answer.kind != Kind.STATUS or answer.fields[0] != Status.EOF:
            raise refusal(path, answer)
        self.close(path, handle)
        return iter(found)

    def resolve(self, path: bytes) -> bytes:
        """Return the absolute path without links; `~` is a home, where the server knows that."""
        if path.startswith(b"~") and self.knows(sftp.EXPAND_PATH):
            found = self.do(path, Kind.EXTENDED, path, name=sftp.EXPAND_PATH, wanted=Kind.NAME)
        else:
            path = path[2:] if path.startswith(b"~/") else b"" if path == b"~" else path
            found = self.do(path, Kind.REALPATH, path or b".", wanted=Kind.NAME)
        if len(found) != 1:
            raise ProtocolError("WIRE-SFTP", problem="a path has not one name")
        name: bytes = found[0].name
        return name

    def replace(self, old: bytes, new: bytes) -> None:
        """Give a file another name, in place of what has that name: at once, where the server can."""
        if self.knows(sftp.POSIX_RENAME):
            self.do(new, Kind.EXTENDED, old, new, name=sftp.POSIX_RENAME)
            return
        self.ask(Kind.REMOVE, new)
        self.do(new, Kind.RENAME, old, new)


def refusal(path: bytes, answer: Packet) -> TeleportError:
    """Return the error of an answer that was not the one hoped for. ProtocolError (WIRE-SFTP) if it makes no sense."""
    if answer.kind != Kind.STATUS or answer.fields[0] == Status.OK:
        return ProtocolError("WIRE-SFTP", problem="an answer is of another kind than its request")
    code, text = answer.fields
    said = escape(text.decode(errors="backslashreplace"))[:_SAID] or (
        _WORDS[code] if code < len(_WORDS) else f"status {code}"
    )
    classes: dict[int, type[TeleportError]] = {
        Status.NO_SUCH_FILE: NotFound, Status.PERMISSION_DENIED: AccessDenied,
    }  # fmt: skip
    return classes.get(code, Unavailable)("CLIENT-COPY-REMOTE", path=shown(path), said=said)
