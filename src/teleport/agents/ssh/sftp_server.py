"""An SFTP server on one connected socket, for the account that the process runs as.

It runs in the helper that is the user: every call is the user's own, and the kernel decides. Nothing here knows a
network, a role or a login; there is no root directory but the machine's. Meaning and order of what is done follow
OpenSSH's sftp-server, which clients are written for.

The two requests that carry contents are read and answered where they lie in the buffer: one receive, one pwrite; one
pread, one send. All others go through `wire.sftp`. The modules imported here are all that is needed, so that they can
be loaded before the process becomes the user.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Mapping

from teleport.agents.ssh import sftp_files as files
from teleport.agents.ssh.sftp_failures import Refused, refusal_of
from teleport.agents.ssh.sftp_listing import Folder, Names, attrs_of
from teleport.base.clock import Clock, SystemClock
from teleport.wire import sftp
from teleport.wire.buffer import ProtocolError
from teleport.wire.sftp import LIMIT, PAYLOAD, Entry, Kind, Open, Packet, Status, read, write

HANDLES = 256
"""Files and folders that a client may have open at one time."""
_BUFFER = 2 * (LIMIT + 4)
_HEAD = struct.Struct("!IBI")
_CONTENTS = struct.Struct("!IBII4sQI")
"""READ, and WRITE up to its data, with a handle of ours: length, type, id, length of the handle, handle, offset,
length."""
_DATA = struct.Struct("!IBII")
_STATUS = struct.Struct("!IBIII")
_DONE = struct.Struct("!IBIIII")
_LIMITS = struct.Struct("!4Q")
_LARGEST_OFFSET = (1 << 63) - 1
_END = Refused(Status.EOF, "end of file")
_WRITES = frozenset(
    {Kind.WRITE, Kind.SETSTAT, Kind.FSETSTAT, Kind.REMOVE, Kind.MKDIR, Kind.RMDIR, Kind.RENAME, Kind.SYMLINK}
)
_EXTENDED_WRITES = frozenset({sftp.POSIX_RENAME, sftp.HARDLINK, sftp.LSETSTAT, sftp.COPY_DATA})
_OPENED_TO_WRITE = Open.WRITE | Open.APPEND | Open.CREATE | Open.TRUNCATE


def serve(connection: socket.socket, *, read_only: bool, clock: Clock | None = None) -> None:
    """Serve the account's files until the client has closed its end or broken the protocol.

    `connection` is blocking and stays open; what the client left open is closed. `clock` decides how dates of
    listings are written. Never raises for what a client does.
    """
    server = Server(connection, read_only=read_only, clock=clock or SystemClock())
    try:
        server.run()
    except (ProtocolError, ConnectionError):
        pass  # nobody is left to tell
    finally:
        server.close()


class Server:
    """One connection. Answers come in the order of the requests."""

    def __init__(self, connection: socket.socket, *, read_only: bool, clock: Clock) -> None:
        self._connection = connection
        self._read_only = read_only
        self._clock = clock
        self._input = bytearray(_BUFFER)
        self._page = bytearray(_DATA.size + PAYLOAD)
        self._answers = bytearray()
        self._open: dict[bytes, int | Folder] = {}
        self._last = 0
        self._begun = False
        self._names = Names()
        self._acts: Mapping[int | str, Callable[[Packet], bytes | None]] = self._table()

    def run(self) -> None:
        """Serve until the end. Raises ProtocolError for a stream that is none of SFTP, and ConnectionError."""
        view, start, end = memoryview(self._input), 0, 0
        while received := self._connection.recv_into(view[end:]):
            end += received
            start = self._work(view, start, end)
            if self._answers:
                self._send(b"")
            if start == end:
                start = end = 0
            elif _BUFFER - start < LIMIT + 4:  # the packet that has begun may not fit behind what is done
                view[: end - start] = bytes(view[start:end])
                start, end = 0, end - start

    def close(self) -> None:
        """Close what the client left open."""
        while self._open:
            _, opened = self._open.popitem()
            try:
                os.close(opened) if isinstance(opened, int) else opened.close()
            except OSError:
                pass  # what was written late failed, and nobody is left to tell

    def _work(self, view: memoryview, start: int, end: int) -> int:
        """Do what has come whole; return where the rest begins."""
        while end - start >= _HEAD.size:
            length, kind, id = _HEAD.unpack_from(view, start)
            if not 5 <= length <= LIMIT:
                raise ProtocolError("WIRE-SFTP", problem=f"a packet has {length} bytes")
            after = start + 4 + length
            if after > end:
                break
            if self._begun and length >= _CONTENTS.size - 4 and (kind == Kind.READ or kind == Kind.WRITE):
                self._move(view, start, after)
            else:
                self._do(kind, id, bytes(view[start + 4 : after]))
            start = after
        return start

    def _move(self, view: memoryview, start: int, after: int) -> None:
        """READ or WRITE: contents go between the socket's buffer and the file without another stop."""
        _, kind, id, handle_length, handle, offset, size = _CONTENTS.unpack_from(view, start)
        opened = self._open.get(handle) if handle_length == len(handle) else None
        try:
            if not isinstance(opened, int):
                raise _no_handle()
            if offset > _LARGEST_OFFSET - LIMIT:
                raise Refused(Status.FAILURE, "no file is that long")
            if kind == Kind.READ:
                self._read(id, opened, offset, min(size, PAYLOAD))
                return
            data = view[start + _CONTENTS.size : after]
            if size > len(data):
                raise Refused(Status.BAD_MESSAGE, "the packet has less data than it says")
            if self._read_only:
                raise _only_read()
            files.write_all(opened, data[:size], offset)
        except OSError as error:
            self._refuse(id, refusal_of(error))
        except Refused as refusal:
            self._refuse(id, refusal)
        else:
            self._answers += _done(id)

    def _read(self, id: int, descriptor: int, offset: int, size: int) -> None:
        page = memoryview(self._page)
        count = os.preadv(descriptor, [page[_DATA.size : _DATA.size + size]], offset)
        if not count:
            self._refuse(id, _END)
            return
        _DATA.pack_into(page, 0, 9 + count, Kind.DATA, id, count)
        self._send(page[: _DATA.size + count])

    def _send(self, data: memoryview | bytes) -> None:
        """Send the answers that wait, and `data` behind them."""
        waiting = self._answers
        if waiting:
            sent = self._connection.sendmsg([waiting, data])
            if sent < len(waiting):
                self._connection.sendall(memoryview(waiting)[sent:])
            data, self._answers = memoryview(data)[max(0, sent - len(waiting)) :], bytearray()
        if data:
            self._connection.sendall(data)

    def _refuse(self, id: int, refusal: Refused) -> None:
        text = refusal.text.encode(errors="replace")
        length = _STATUS.size - 4 + len(text) + 4
        self._answers += _STATUS.pack(length, Kind.STATUS, id, refusal.status, len(text)) + text + bytes(4)

    # -- everything but contents --------------------------------------------------------------------------

    def _do(self, kind: int, id: int, body: bytes) -> None:
        if not self._begun:
            self._begin(kind)
            return
        try:
            packet = read(body)
        except ProtocolError as error:
            known = kind in Kind.__members__.values()
            self._refuse(id, Refused(Status.BAD_MESSAGE if known else Status.OP_UNSUPPORTED, str(error)))
            return
        try:
            self._answers += self._act(packet) or _done(id)
        except OSError as error:
            self._refuse(id, refusal_of(error))
        except Refused as refusal:
            self._refuse(id, refusal)
        except (ValueError, OverflowError):  # a NUL in a path, a number that no system call takes
            self._refuse(id, Refused(Status.BAD_MESSAGE, "a path has a NUL, or a number is too large"))

    def _begin(self, kind: int) -> None:
        if kind != Kind.INIT:
            raise ProtocolError("WIRE-SFTP", problem="the client does not begin with INIT")
        self._begun = True
        known = {name.encode(): version.encode() for name, version in sftp.EXTENSIONS.items()}
        self._answers += write(Packet(Kind.VERSION, sftp.VERSION, (known,)))

    def _act(self, packet: Packet) -> bytes | None:
        """Do one request; return its answer, or None for success."""
        act = self._acts.get(packet.name or packet.kind)
        if act is None:
            raise Refused(Status.OP_UNSUPPORTED, "this server does not know the request")
        if self._read_only and (packet.kind in _WRITES or packet.name in _EXTENDED_WRITES):
            raise _only_read()
        return act(packet)

    def _table(self) -> Mapping[int | str, Callable[[Packet], bytes | None]]:
        """Return what is done for each request, by its type or the name of its extension."""
        return {
            Kind.OPEN: self._open_file, Kind.CLOSE: self._close, Kind.READ: self._lost, Kind.WRITE: self._lost,
            Kind.OPENDIR: self._open_folder, Kind.READDIR: self._list,
            Kind.STAT: lambda p: _attrs(p.id, os.stat(p.fields[0])),
            Kind.LSTAT: lambda p: _attrs(p.id, os.lstat(p.fields[0])),
            Kind.FSTAT: lambda p: _attrs(p.id, os.fstat(self._descriptor(p.fields[0]))),
            Kind.SETSTAT: lambda p: files.change(p.fields[0], p.fields[1]),
            Kind.FSETSTAT: lambda p: files.change(self._descriptor(p.fields[0]), p.fields[1]),
            sftp.LSETSTAT: lambda p: files.change(p.fields[0], p.fields[1], follow=False),
            Kind.REMOVE: lambda p: os.unlink(p.fields[0]),
            Kind.MKDIR: lambda p: files.make_folder(p.fields[0], p.fields[1]),
            Kind.RMDIR: lambda p: os.rmdir(p.fields[0]),
            Kind.REALPATH: lambda p: _name(p.id, files.resolve(p.fields[0])),
            sftp.EXPAND_PATH: lambda p: _name(p.id, files.expand(p.fields[0])),
            Kind.READLINK: lambda p: _name(p.id, os.readlink(p.fields[0])),
            # OpenSSH's order, not the draft's: what the link points at comes first.
            Kind.SYMLINK: lambda p: os.symlink(p.fields[0], p.fields[1]),
            sftp.HARDLINK: lambda p: os.link(p.fields[0], p.fields[1], follow_symlinks=False),
            Kind.RENAME: lambda p: files.rename(p.fields[0], p.fields[1]),
            sftp.POSIX_RENAME: lambda p: os.rename(p.fields[0], p.fields[1]),
            sftp.FSYNC: lambda p: os.fsync(self._descriptor(p.fields[0])),
            sftp.STATVFS: lambda p: _extended(p.id, files.statvfs(p.fields[0])),
            sftp.FSTATVFS: lambda p: _extended(p.id, files.statvfs(self._descriptor(p.fields[0]))),
            sftp.LIMITS: lambda p: _extended(p.id, _LIMITS.pack(LIMIT, PAYLOAD, PAYLOAD, HANDLES)),
            sftp.COPY_DATA: self._copy,
        }  # fmt: skip

    def _open_file(self, packet: Packet) -> bytes:
        path, flags, attrs = packet.fields
        if self._read_only and flags & _OPENED_TO_WRITE:
            raise _only_read()
        handle = self._new_handle()
        self._open[handle] = files.open_file(path, flags, attrs)
        return write(Packet(Kind.HANDLE, packet.id, (handle,)))

    def _open_folder(self, packet: Packet) -> bytes:
        handle = self._new_handle()
        self._open[handle] = Folder(packet.fields[0])
        return write(Packet(Kind.HANDLE, packet.id, (handle,)))

    def _new_handle(self) -> bytes:
        """Return a handle that was not in use lately. Nothing may be opened before it is known that there is one."""
        if len(self._open) >= HANDLES:
            raise Refused(Status.FAILURE, f"{HANDLES} files are open, which is the most: close some first")
        while True:
            self._last = (self._last + 1) & 0xFFFFFFFF
            handle = self._last.to_bytes(4, "big")
            if handle not in self._open:
                return handle

    def _close(self, packet: Packet) -> None:
        opened = self._open.pop(packet.fields[0], None)
        if opened is None:
            raise _no_handle()
        if isinstance(opened, int):
            os.close(opened)
        else:
            opened.close()

    def _list(self, packet: Packet) -> bytes:
        opened = self._open.get(packet.fields[0])
        if not isinstance(opened, Folder):
            raise _no_handle()
        entries = opened.next(self._names, self._clock.now().timestamp())
        if not entries:
            raise Refused(Status.EOF, "end of the folder")
        return write(Packet(Kind.NAME, packet.id, (entries,)))

    def _copy(self, packet: Packet) -> None:
        source, start, length, target, to = packet.fields
        files.copy(self._descriptor(source), start, length, self._descriptor(target), to)

    def _lost(self, packet: Packet) -> None:
        """A READ or WRITE whose handle cannot be one of ours."""
        raise _no_handle()

    def _descriptor(self, handle: bytes) -> int:
        """Return the descriptor of an open file or folder: what is open is never looked for by its path."""
        opened = self._open.get(handle)
        if opened is None:
            raise _no_handle()
        return opened if isinstance(opened, int) else opened.descriptor


def _no_handle() -> Refused:
    return Refused(Status.NO_SUCH_FILE, "the handle is not open: open the file again")


def _only_read() -> Refused:
    return Refused(Status.PERMISSION_DENIED, "files can only be read here: ask for a channel that may write")


def _done(id: int) -> bytes:
    return _DONE.pack(_DONE.size - 4, Kind.STATUS, id, Status.OK, 0, 0)


def _attrs(id: int, found: os.stat_result) -> bytes:
    return write(Packet(Kind.ATTRS, id, (attrs_of(found),)))


def _name(id: int, name: bytes) -> bytes:
    return write(Packet(Kind.NAME, id, ([Entry(name, name)],)))


def _extended(id: int, data: bytes) -> bytes:
    return write(Packet(Kind.EXTENDED_REPLY, id, (data,)))
