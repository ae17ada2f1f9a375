"""Which file system a folder is on, and whether other machines share it.

The kernel's table of mounts names types (proc_pid_mountinfo(5)); `statvfs` does not.
"""

from __future__ import annotations

import os
from collections.abc import Callable

SHARED = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4",
    "ocfs2", "orangefs", "smb3", "smbfs", "virtiofs", "vboxsf", "vmhgfs",
})  # fmt: skip
"""Types that several machines write to at once."""

SHARED_FUSE = frozenset({
    "afp", "blobfuse", "blobfuse2", "ceph", "cephfs", "curlftpfs", "davfs", "gcsfuse", "glusterfs", "goofys", "juicefs",
    "moosefs", "nfs", "osxfs", "rclone", "s3fs", "smbnetfs", "sshfs", "vmhgfs-fuse",
})  # fmt: skip
"""The same, of file systems outside the kernel: their types are `fuse.NAME`."""


def table() -> str:
    """Return the table of mounts of this process; empty where there is none."""
    try:
        with open("/proc/self/mountinfo", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def shared_type(path: str, device: int, mountinfo: Callable[[], str] = table) -> str:
    """Return the type of the file system that `path` (absolute, on `device`) is on when other machines share it, else
    an empty text."""
    kind = _type(path, device, mountinfo())
    family, _, name = kind.partition(".")
    return kind if kind in SHARED or (family in ("fuse", "fuseblk") and name in SHARED_FUSE) else ""


def _type(path: str, device: int, text: str) -> str:
    """Return the type of the innermost mount around `path`: of those on its device, where there are any."""
    number = f"{os.major(device)}:{os.minor(device)}"
    found: tuple[bool, int, str] = (False, -1, "")
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = _plain(fields[4])
        if path == point or path.startswith(point.rstrip("/") + "/"):
            # Of two mounts at one place the later covers the earlier.
            found = max((fields[2] == number, len(point), after.split(" ")[0]), found, key=lambda one: one[:2])
    return found[2]


def _plain(text: str) -> str:
    """Undo the octal escapes of the table."""
    for escape, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(escape, character)
    return text
