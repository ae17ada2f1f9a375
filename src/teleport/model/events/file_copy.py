"""Events of file copy over SSH: what SFTP did to files, and the commands of the old scp protocol.

Contents of files are in none of them.
"""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

from teleport.base.struct import Struct
from teleport.model.events.base import Level, Public, Sensitive, event
from teleport.model.events.session import ServerEvent


class Action(enum.IntEnum):
    """What was asked for; its number is that of the event's code, `TS001` and so on."""

    OPEN = 1
    CLOSE = 2
    READ = 3
    WRITE = 4
    LSTAT = 5
    FSTAT = 6
    SETSTAT = 7
    FSETSTAT = 8
    OPENDIR = 9
    READDIR = 10
    REMOVE = 11
    MKDIR = 12
    RMDIR = 13
    REALPATH = 14
    STAT = 15
    RENAME = 16
    READLINK = 17
    SYMLINK = 18
    LINK = 19
    DISALLOWED = 20
    """SFTP itself was asked for, and is not allowed."""


class Attributes(Struct, frozen=True, kw_only=True):
    """Attributes of a file that were asked for."""

    file_size: Annotated[int | None, Level.PUBLIC] = None
    uid: Annotated[int | None, Level.PUBLIC] = None
    gid: Annotated[int | None, Level.PUBLIC] = None
    permissions: Annotated[int | None, Level.PUBLIC] = None
    access_time: Annotated[int | None, Level.PUBLIC] = None
    """Seconds since 1970."""
    modification_time: Annotated[int | None, Level.PUBLIC] = None


@event(*(f"TS{action:03d}{suffix}" for action in Action if action < Action.DISALLOWED for suffix in "IE"), "TS020E")
class Sftp(ServerEvent, frozen=True, kw_only=True, tag="sftp"):
    """An operation on a file through SFTP, with its outcome."""

    action: Annotated[Action, Level.PUBLIC]
    path: Sensitive = ""
    target_path: Sensitive = ""
    """New name of what is renamed or linked; what a symbolic link points at."""
    working_directory: Sensitive = ""
    """Folder that a relative path is in, where it is known."""
    flags: Annotated[int, Level.PUBLIC] = 0
    """Of an opened file: the sum of 1 read, 2 write, 4 append, 8 create, 16 truncate, 32 new file only."""
    attributes: Annotated[Attributes | None, Level.PUBLIC] = None
    bytes_read: Annotated[int, Level.PUBLIC] = 0
    """Of a closed file: bytes of its contents that were sent to the client."""
    bytes_written: Annotated[int, Level.PUBLIC] = 0
    """Of a closed file: bytes that the client sent and that were stored."""
    error: Sensitive = ""
    decision_id: Public = ""
    """Of a refusal."""

    def usual_code(self) -> str:
        """Return the code of the action, of failure where there is an error."""
        return f"TS{self.action:03d}{'E' if self.failed() else 'I'}"

    def failed(self) -> bool:
        """Whether it did not happen."""
        return bool(self.error) or self.action is Action.DISALLOWED


class FileTransfer(Struct, frozen=True, kw_only=True):
    """Bytes of one file that went by."""

    path: Sensitive
    bytes_read: Annotated[int, Level.PUBLIC] = 0
    bytes_written: Annotated[int, Level.PUBLIC] = 0


@event("TS021I")
class SftpSummary(ServerEvent, frozen=True, kw_only=True, tag="sftp_summary"):
    """An SFTP channel has ended: what it did in all, also where single events were no longer written."""

    bytes_read: Annotated[int, Level.PUBLIC] = 0
    bytes_written: Annotated[int, Level.PUBLIC] = 0
    operations: Annotated[dict[str, int], Level.PUBLIC] = {}
    """How often each operation was answered, by its name in lower case."""
    failures: Annotated[int, Level.PUBLIC] = 0
    """Of these, those that failed."""
    omitted: Annotated[int, Level.PUBLIC] = 0
    """Operations beyond the bound on events of one channel: counted here only."""
    file_transfer_stats: Annotated[tuple[FileTransfer, ...], Level.SENSITIVE] = ()
    """The first files that were copied."""


@event("T3004I", "T3004E", "T3005I", "T3005E", "T3010E")
class Scp(ServerEvent, frozen=True, kw_only=True, tag="scp"):
    """A command of the old scp protocol ran (T3004 download, T3005 upload) or was not allowed (T3010E)."""

    path: Sensitive
    action: Public
    """`download` or `upload`, or `disallowed`."""
    command: Sensitive = ""
    """All that was to run; it may be more than scp."""
    exit_code: Public = msgspec.field(default="", name="exitCode")
    """In decimal, as text."""
    exit_error: Sensitive = msgspec.field(default="", name="exitError")
    decision_id: Public = ""
    """Of a refusal."""

    def usual_code(self) -> str:
        """Return the code of the action, of failure where there is one."""
        if self.action == "disallowed":
            return "T3010E"
        return f"T300{4 if self.action == 'download' else 5}{'E' if self.failed() else 'I'}"

    def failed(self) -> bool:
        """Whether it was refused, could not be run, or ended with another status than 0."""
        return self.action == "disallowed" or bool(self.exit_error) or self.exit_code not in ("", "0")
