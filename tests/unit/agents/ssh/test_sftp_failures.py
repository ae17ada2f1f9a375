"""Words and codes for what the operating system says."""

import errno

import pytest

from teleport.agents.ssh.sftp_failures import refusal_of
from teleport.wire.sftp import Status


@pytest.mark.parametrize(
    ("number", "status", "word"),
    [
        (errno.ENOENT, Status.NO_SUCH_FILE, "no such file"),
        (errno.EACCES, Status.PERMISSION_DENIED, "permissions"),
        (errno.EPERM, Status.PERMISSION_DENIED, "owner"),
        (errno.ENOSPC, Status.FAILURE, "df -h"),
        (errno.EDQUOT, Status.FAILURE, "quota"),
        (errno.ENAMETOOLONG, Status.BAD_MESSAGE, "255"),
        (errno.ENOSYS, Status.OP_UNSUPPORTED, ""),
        (errno.ECHILD, Status.FAILURE, "child"),
        (0, Status.FAILURE, ""),
    ],
)
def test_errors(number, status, word):
    refused = refusal_of(OSError(number, "x"))
    assert refused.status == status
    assert word in refused.text
    assert refused.text
