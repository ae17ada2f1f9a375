"""Contents of one file, with many requests under way: from an open file here to one there, and back.

Here only bytes are moved. Which file it is, and under which name it stands until it is whole, is `files`' business.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from teleport.base.errors import Unavailable
from teleport.client.sftp.names import shown
from teleport.client.sftp.session import Session, refusal
from teleport.wire.buffer import ProtocolError
from teleport.wire.sftp import Attrs, Kind, Packet, Status

T = TypeVar("T")
NOTHING = Attrs()

Advance = Callable[[int], None]
"""Told how many more bytes have arrived at their goal."""


def store(
    session: Session, path: bytes, handle: bytes, source: int, advance: Advance, attrs: Attrs = NOTHING
) -> None:  # fmt: skip
    """Send what can be read from a descriptor to an open file of the server, set its attributes, and close it. `path`
    is for errors. When this returns, the server has said of all of it that it is done.

    Raises OSError of this side, and what the methods of Session raise; then the file may still be open.
    """
    waiting: dict[int, int] = {}
    offset, ended = 0, False
    try:
        while True:
            while not ended and len(waiting) < session.window:
                data = os.read(source, session.chunk)
                ended = not data
                if ended:
                    if attrs != NOTHING:
                        waiting[session.send(Kind.FSETSTAT, handle, attrs)] = 0
                    waiting[session.send(Kind.CLOSE, handle)] = 0
                else:
                    waiting[session.send_contents(handle, offset, data)] = len(data)
                    offset += len(data)
            if not waiting:
                return
            answer = session.receive()
            size = _taken(waiting, answer)
            if answer.kind != Kind.STATUS or answer.fields[0] != Status.OK:
                raise refusal(path, answer)
            advance(size)
    finally:
        session.abandon(list(waiting))


class Fetch:
    """Contents on their way from an open file of the server to a descriptor."""

    def __init__(self, session: Session, path: bytes, handle: bytes, target: int, advance: Advance) -> None:
        """`path` is for errors."""
        self._session, self._path, self._handle = session, path, handle
        self._target, self._advance = target, advance
        self._waiting: dict[int, tuple[int, int]] = {}
        self._ended = False

    def run(self, size: int, *, in_order: bool = False) -> None:
        """Fetch `size` bytes; with 0, as long as there are some: files of the kernel say that they are empty.

        `in_order` is for a target that has no positions. Raises OSError of this side, Unavailable (CLIENT-COPY-SHORT)
        when there was less than `size`, and what the methods of Session raise.
        """
        asked = arrived = 0
        window = 1 if in_order or not size else self._session.window
        try:
            while True:
                while not self._ended and len(self._waiting) < window and (asked < size or not size):
                    length = min(self._session.chunk, size - asked) if size else self._session.chunk
                    self._ask(asked, length)
                    asked += length
                if not self._waiting:
                    break
                got = self._take(in_order)
                arrived += got
                if not size:
                    asked = arrived
        finally:
            self._session.abandon(list(self._waiting))
        if arrived < size:
            raise Unavailable("CLIENT-COPY-SHORT", path=shown(self._path), arrived=arrived, size=size)

    def _ask(self, offset: int, length: int) -> None:
        self._waiting[self._session.send(Kind.READ, self._handle, offset, length)] = (offset, length)

    def _take(self, in_order: bool) -> int:
        answer = self._session.receive()
        offset, length = _taken(self._waiting, answer)
        if answer.kind == Kind.STATUS and answer.fields[0] == Status.EOF:
            self._ended = True
            return 0
        if answer.kind != Kind.DATA:
            raise refusal(self._path, answer)
        data: memoryview = answer.fields[0]
        if not 0 < len(data) <= length:
            raise ProtocolError("WIRE-SFTP", problem="an answer has another length than its request")
        self._put(data, None if in_order else offset)
        if len(data) < length:
            self._ask(offset + len(data), length - len(data))
        self._advance(len(data))
        return len(data)

    def _put(self, view: memoryview, offset: int | None) -> None:
        while view:
            if offset is None:
                written = os.write(self._target, view)
            else:
                written = os.pwrite(self._target, view, offset)
                offset += written
            view = view[written:]


def _taken(waiting: dict[int, T], answer: Packet) -> T:
    request = waiting.pop(answer.id, None)
    if request is None:
        raise ProtocolError("WIRE-SFTP", problem="an answer belongs to no request")
    return request
