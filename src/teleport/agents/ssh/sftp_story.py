"""What an SFTP channel did to files, as events of the audit log: bounded in number and in size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from teleport.agents.ssh.audit import Context
from teleport.model.events.base import Event
from teleport.model.events.file_copy import Action, Attributes, FileTransfer, Sftp, SftpSummary
from teleport.wire.sftp import Attrs

PATH_CHARACTERS = 4096
"""Longest part of a path that an event carries; the longest that a system call takes (PATH_MAX)."""
ERROR_CHARACTERS = 300
TRANSFERS = 100
"""Files that a summary lists."""


class File:
    """An open file or folder of the client."""

    __slots__ = ("failed", "is_folder", "listed", "path", "read", "written")

    def __init__(self, path: str, *, is_folder: bool = False) -> None:
        self.path = path
        self.is_folder = is_folder
        self.read = 0
        """Bytes sent to the client."""
        self.written = 0
        """Bytes that were stored."""
        self.listed = False
        """Whether the log has that the folder was read."""
        self.failed: set[Action] = set()
        """Operations on its contents whose failure the log has."""


class Story:
    """Emits the events of one channel, and sums up."""

    def __init__(self, emit: Callable[[Event], None], context: Context, most: int) -> None:
        self._emit = emit
        self._context = context
        self._left = most
        self._omitted = 0
        self._failures = 0
        self._operations: dict[str, int] = {}
        self._transfers: list[FileTransfer] = []
        self._read = self._written = 0
        self.working_directory = ""

    def tell(self, action: Action, path: str, *, error: str = "", **details: Any) -> None:
        """An operation was answered; `error` is empty if it was done. `details` are fields of the event."""
        name = action.name.lower()
        self._operations[name] = self._operations.get(name, 0) + 1
        self._failures += bool(error)
        if not self._left:
            self._omitted += 1
            return
        self._left -= 1
        folder = "" if path.startswith("/") else self.working_directory
        self._emit(
            Sftp(
                action=action, path=path, working_directory=folder, error=error[:ERROR_CHARACTERS], **details,
                **self._context.fields(),
            )
        )  # fmt: skip

    def closed(self, file: File, error: str = "") -> None:
        """A file is closed, one way or another."""
        self._read += file.read
        self._written += file.written
        if len(self._transfers) < TRANSFERS and (file.read or file.written):
            self._transfers.append(FileTransfer(path=file.path, bytes_read=file.read, bytes_written=file.written))
        if not file.is_folder:
            self.tell(Action.CLOSE, file.path, error=error, bytes_read=file.read, bytes_written=file.written)

    def contents_failed(self, file: File, action: Action, error: str) -> None:
        """Contents could not be read or written: told once for each file."""
        if action not in file.failed:
            file.failed.add(action)
            self.tell(action, file.path, error=error)

    def end(self) -> None:
        """Sum up."""
        self._emit(
            SftpSummary(
                bytes_read=self._read, bytes_written=self._written, operations=self._operations,
                failures=self._failures, omitted=self._omitted, file_transfer_stats=tuple(self._transfers),
                **self._context.fields(),
            )
        )  # fmt: skip


def text_of(path: bytes) -> str:
    """Return a path as text: bounded, and with escapes for bytes that are not UTF-8."""
    text = path[: 4 * PATH_CHARACTERS].decode(errors="backslashreplace")
    return text if len(text) <= PATH_CHARACTERS else text[: PATH_CHARACTERS - 1] + "…"


def attributes_of(attrs: Attrs) -> Attributes | None:
    """Return what was asked for; None if nothing was."""
    if attrs == Attrs():
        return None
    return Attributes(
        file_size=attrs.size, uid=attrs.uid, gid=attrs.gid, permissions=attrs.mode, access_time=attrs.atime,
        modification_time=attrs.mtime,
    )  # fmt: skip
