"""What SFTP's requests mean on a file system, where the operating system has no single call for them.

Every function raises OSError as the operating system does, or Refused. The process is the user: what the account may
not do, the kernel refuses.
"""

from __future__ import annotations

import errno
import os
import pwd
import stat
import struct

from teleport.agents.ssh.sftp_failures import Refused
from teleport.wire.sftp import Attrs, Open, Status

_BLOCK = 1024 * 1024
_STATVFS = struct.Struct("!11Q")
_NO_LINKS = frozenset({errno.ENOTSUP, errno.ENOSYS, errno.EXDEV, errno.EPERM, errno.EMLINK})
"""Why a hard link cannot be made where a rename may be fine: by the file system, or because the file is another's."""


def open_file(path: bytes, flags: int, attrs: Attrs) -> int:
    """Open a file as the flags of OPEN say it; return its descriptor.

    Never waits for the other end of a pipe.
    """
    if flags & Open.READ and flags & Open.WRITE:
        wanted = os.O_RDWR
    else:
        wanted = os.O_WRONLY if flags & Open.WRITE else os.O_RDONLY
    for flag, added in _OPEN_FLAGS:
        if flags & flag:
            wanted |= added
    mode = 0o666 if attrs.mode is None else attrs.mode & 0o7777
    return os.open(path, wanted | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK, mode)


_OPEN_FLAGS = (
    (Open.CREATE, os.O_CREAT), (Open.TRUNCATE, os.O_TRUNC), (Open.EXCLUSIVE, os.O_EXCL), (Open.APPEND, os.O_APPEND),
)  # fmt: skip


def make_folder(path: bytes, attrs: Attrs) -> None:
    """Make a folder with the permissions that are said, less the process's umask."""
    os.mkdir(path, 0o777 if attrs.mode is None else attrs.mode & 0o7777)


def change(target: bytes | int, attrs: Attrs, *, follow: bool = True) -> None:
    """Set what is said of a file, by its path or descriptor: size, permissions, times, owner, in this order.

    All are tried; raises the last OSError. With `follow` false a symbolic link is meant itself.
    """
    if not follow and attrs.size is not None:
        raise Refused(Status.FAILURE, "a symbolic link has no size to set: leave the size out")
    problem: OSError | None = None
    for step in (_size, _mode, _times, _owner):
        try:
            step(target, attrs, follow)
        except OSError as error:
            problem = error
    if problem is not None:
        raise problem


def _size(target: bytes | int, attrs: Attrs, follow: bool) -> None:
    if attrs.size is not None:
        os.truncate(target, attrs.size)


def _mode(target: bytes | int, attrs: Attrs, follow: bool) -> None:
    if attrs.mode is None:
        return
    mode = attrs.mode & 0o7777
    if follow or isinstance(target, int):
        os.chmod(target, mode)
        return
    descriptor = os.open(target, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if stat.S_ISLNK(os.fstat(descriptor).st_mode):
            raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
        os.chmod(f"/proc/self/fd/{descriptor}", mode)  # Linux has no other way to say: of this file, and no link
    finally:
        os.close(descriptor)


def _times(target: bytes | int, attrs: Attrs, follow: bool) -> None:
    if attrs.atime is not None and attrs.mtime is not None:
        times = (attrs.atime, attrs.mtime)
        if isinstance(target, int):
            os.utime(target, times)
        else:
            os.utime(target, times, follow_symlinks=follow)


def _owner(target: bytes | int, attrs: Attrs, follow: bool) -> None:
    if attrs.uid is not None and attrs.gid is not None:
        if isinstance(target, int):
            os.fchown(target, attrs.uid, attrs.gid)
        else:
            os.chown(target, attrs.uid, attrs.gid, follow_symlinks=follow)


def rename(old: bytes, new: bytes) -> None:
    """Give a file another name that must be free (draft, section 6.5).

    Of a file this is certain, because a link to an existing name fails. Where links cannot be made, and for folders
    (which replace only empty ones), it is looked at first.
    """
    if stat.S_ISREG(os.lstat(old).st_mode):
        try:
            os.link(old, new, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        else:
            _unlink_old(old, new)
            return
    if os.path.lexists(new):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    os.rename(old, new)


def _unlink_old(old: bytes, new: bytes) -> None:
    try:
        os.unlink(old)
    except OSError:
        os.unlink(new)
        raise


def resolve(path: bytes) -> bytes:
    """Return the absolute path without links, `.` and `..`; only its last part need not exist."""
    path = path or b"."
    try:
        return os.path.realpath(path, strict=True)
    except FileNotFoundError:
        found = os.path.realpath(path)
        if not stat.S_ISDIR(os.stat(os.path.dirname(found)).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
        return found


def expand(path: bytes) -> bytes:
    """Resolve a path that may begin with `~` or `~user` (expand-path@openssh.com)."""
    if path.startswith(b"~"):
        name, slash, rest = path[1:].partition(b"/")
        try:
            account = pwd.getpwnam(os.fsdecode(name)) if name else pwd.getpwuid(os.getuid())
        except KeyError:
            raise Refused(Status.NO_SUCH_FILE, "there is no account of this name on the node") from None
        path = os.fsencode(account.pw_dir) + slash + rest
    return resolve(path)


def statvfs(target: bytes | int) -> bytes:
    """Return the fields of statvfs@openssh.com (PROTOCOL, section 4.2)."""
    found = os.statvfs(target)
    flags = (1 if found.f_flag & os.ST_RDONLY else 0) | (2 if found.f_flag & os.ST_NOSUID else 0)
    return _STATVFS.pack(
        found.f_bsize, found.f_frsize, found.f_blocks, found.f_bfree, found.f_bavail, found.f_files, found.f_ffree,
        found.f_favail, found.f_fsid & 0xFFFFFFFFFFFFFFFF, flags, found.f_namemax,
    )  # fmt: skip


def copy(source: int, start: int, length: int, target: int, to: int) -> None:
    """Copy inside the node from one descriptor to another (copy-data); a length of 0 means to the end."""
    kinds = [os.fstat(descriptor) for descriptor in (source, target)]
    if not all(stat.S_ISREG(found.st_mode) for found in kinds):
        raise Refused(Status.FAILURE, "only files can be copied this way")
    if os.path.samestat(*kinds):
        raise Refused(Status.FAILURE, "a file cannot be copied into itself: copy it to another name")
    left = length or kinds[0].st_size - start
    while left > 0:
        data = os.pread(source, min(left, _BLOCK), start)
        if not data:
            if length:
                raise Refused(Status.EOF, "the file ended before all was copied")
            return
        write_all(target, memoryview(data), to)
        start, to, left = start + len(data), to + len(data), left - len(data)


def write_all(descriptor: int, data: memoryview, offset: int) -> None:
    """Write at an offset; of a file opened for appending, at its end."""
    written = os.pwrite(descriptor, data, offset)
    while written < len(data):
        written += os.pwrite(descriptor, data[written:], offset + written)
