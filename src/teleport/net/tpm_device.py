"""TpmDevice: a TPM of this machine, one command at a time.

A chip is a character device (the one with a resource manager of the kernel, `/dev/tpmrm0`), an emulated one mostly a
Unix socket: the bytes are the same (`wire.tpm2`). The calls block for as long as the chip works, which is many seconds
where it makes an RSA key, so they run in a thread.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
import stat

from teleport.base.errors import Unavailable
from teleport.wire import tpm2

DEVICE = "/dev/tpmrm0"
TIMEOUT = 45.0
"""Seconds for one command; the slowest chips need half of it for a key."""


class TpmDevice:
    """Carries commands to the TPM at a path. Used in `async with`."""

    def __init__(self, path: str = DEVICE) -> None:
        self._path = path
        self._file = -1

    async def __aenter__(self) -> TpmDevice:
        """Open it. Raises Unavailable (NET-TPM)."""
        try:
            self._file = await asyncio.to_thread(_open, self._path)
        except OSError as error:
            raise self._bad(error.strerror or str(error)) from None
        return self

    async def __aexit__(self, *_: object) -> None:
        os.close(self._file)

    async def exchange(self, command: bytes) -> bytes:
        """Return the answer to a command. Raises Unavailable (NET-TPM), ProtocolError (WIRE-TPM)."""
        try:
            return await asyncio.to_thread(self._exchange, command)
        except OSError as error:
            raise self._bad(error.strerror or str(error)) from None

    def _exchange(self, command: bytes) -> bytes:
        os.write(self._file, command)  # a device takes a command as a whole, or none
        answer = b""
        while len(answer) < tpm2.HEAD or len(answer) < tpm2.answer_size(answer):
            if not select.select([self._file], [], [], TIMEOUT)[0]:
                raise self._bad(f"it did not answer within {TIMEOUT:g} s")
            part = os.read(self._file, tpm2.LARGEST)
            if not part:
                raise self._bad("it ended in the middle of an answer")
            answer += part
        return answer

    def _bad(self, problem: str) -> Unavailable:
        return Unavailable("NET-TPM", path=self._path, problem=problem)


def _open(path: str) -> int:
    if not stat.S_ISSOCK(os.stat(path).st_mode):
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    with socket.socket(socket.AF_UNIX) as opened:
        opened.connect(path)
        return opened.detach()
