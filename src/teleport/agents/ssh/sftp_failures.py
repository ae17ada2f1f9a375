"""What an SFTP client is told when something fails: a code of the protocol, and words that help."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

from teleport.wire.sftp import Status


class Refused(Exception):
    """A request is answered with this status, and the channel goes on."""

    def __init__(self, status: Status, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


# As OpenSSH's sftp-server maps them, so that clients find the codes that they know.
_CODES: Mapping[int, Status] = {
    errno.ENOENT: Status.NO_SUCH_FILE, errno.ENOTDIR: Status.NO_SUCH_FILE, errno.EBADF: Status.NO_SUCH_FILE,
    errno.ELOOP: Status.NO_SUCH_FILE, errno.EPERM: Status.PERMISSION_DENIED, errno.EACCES: Status.PERMISSION_DENIED,
    errno.EFAULT: Status.PERMISSION_DENIED, errno.EROFS: Status.PERMISSION_DENIED,
    errno.ENAMETOOLONG: Status.BAD_MESSAGE, errno.EINVAL: Status.BAD_MESSAGE, errno.ENOSYS: Status.OP_UNSUPPORTED,
}  # fmt: skip
_WORDS: Mapping[int, str] = {
    errno.ENOENT: "there is no such file or folder: look with `ls`",
    errno.ENOTDIR: "a part of the path is not a folder",
    errno.EISDIR: "it is a folder: name a file in it, or use -r",
    errno.EACCES: "the account may not do this: look at the owner and the permissions (`ls -ld`), or use another login",
    errno.EPERM: "only the owner or root may do this: use the owner's login",
    errno.EEXIST: "it exists already: remove it, or use another name",
    errno.ENOTEMPTY: "the folder is not empty: remove what is in it first",
    errno.ENOSPC: "no space is left on the device: remove something there (`df -h`), or copy to another place",
    errno.EDQUOT: "the account has used up its quota: remove something, or ask the administrator for more",
    errno.EFBIG: "the file would be larger than its file system or the account's limit allows",
    errno.EROFS: "the file system is mounted read-only: copy to another place",
    errno.EBUSY: "it is in use: try again when it is not",
    errno.ETXTBSY: "the program is running: stop it, or remove the file and copy it anew",
    errno.EXDEV: "the two names are on different file systems: copy, and remove the old one",
    errno.ENAMETOOLONG: "the name is too long: 255 bytes between two slashes and 4095 in all are the most",
    errno.ELOOP: "too many symbolic links: one points at itself",
    errno.EMFILE: "too many files are open: close some",
    errno.EBADF: "the file was not opened for this",
    errno.EINVAL: "the file system does not take this value",
    errno.ESPIPE: "it is a pipe or device, which has no positions: use a command such as `cat` instead",
    errno.ENXIO: "it is a pipe that nobody reads, or a device that is not there",
    errno.EIO: "the device failed: look at the log of the node's kernel (`dmesg`)",
    errno.ENOTSUP: "the file system cannot do this",
}


def refusal_of(error: OSError) -> Refused:
    """Return what a client is told of an operating system's error."""
    number = error.errno or 0
    status = _CODES.get(number, Status.FAILURE)
    return Refused(status, _WORDS.get(number) or os.strerror(number))
