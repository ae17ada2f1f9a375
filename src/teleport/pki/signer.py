"""Signer: how the rest of the program has something signed by an authority, without ever seeing its key.

`SignerProcess` is the real one: a child process (`pki.signer_process`) at the other end of a socket
pair. `MemorySigner` keeps the same contract inside simulations and tests. Who may have what signed is
decided by the callers.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Protocol

from teleport.base import tasks
from teleport.base.entropy import Entropy
from teleport.base.errors import LimitExceeded, TeleportError, Unavailable, from_grpc
from teleport.pki.custody import Custody, KeyHandle, MemoryShelf
from teleport.pki.signer_process import DECIPHER, DONE, GENERATE, HEAD, MAX_FRAME, RETIRE, SIGN

__all__ = ["KeyHandle", "MemorySigner", "Signer", "SignerProcess"]

_IN_FLIGHT = 256
"""How many requests may wait for an answer; later ones wait for a place."""
_PATIENCE = 5.0
"""Seconds that a closed signer may take to end before it is killed."""


class Signer(Protocol):
    """Keeper of the authorities' private keys."""

    async def generate(self, algorithm: str, purpose: str) -> KeyHandle:
        """Make a key (`ed25519` or `ecdsa-p256`) that signs one kind of document (`ssh`, `x509`, `jwt`, `audit`), or
        one (`x25519`) to which recordings are sealed (`recording`).

        Raises NotSupported (PKI-ALGORITHM), Unavailable (PKI-SIGNER-GONE)."""
        ...

    async def sign(self, key_id: str, tbs: bytes) -> bytes:
        """Return the signature: 64 bytes for Ed25519, DER for ECDSA P-256 with SHA-256.

        Raises NotFound (PKI-NO-KEY), AccessDenied (PKI-SIGN-REFUSED), LimitExceeded (PKI-SIGNER-SIZE),
        Unavailable (PKI-SIGNER-GONE), Internal (PKI-SIGN-FAULT)."""
        ...

    async def decipher(self, key_id: str, wrapped: bytes) -> bytes:
        """Unwrap the data key of a recording with a key made for `recording`.

        Raises NotFound (PKI-NO-KEY), AccessDenied (PKI-SIGN-REFUSED), BadParameter (PKI-RECORDING), LimitExceeded
        (PKI-SIGNER-SIZE), Unavailable (PKI-SIGNER-GONE)."""
        ...

    async def retire(self, key_id: str) -> None:
        """Destroy a key for good. Retiring one that is not there is allowed."""
        ...

    async def close(self) -> None:
        """End the service of this signer. Keys stay where they are kept; closing twice is allowed."""
        ...


class MemorySigner:
    """Keys inside this process: for simulations and tests, never for a real authority."""

    def __init__(self, entropy: Entropy) -> None:
        self._custody = Custody(MemoryShelf(), entropy)
        self._closed = False

    async def generate(self, algorithm: str, purpose: str) -> KeyHandle:
        return self._open().generate(algorithm, purpose)

    async def sign(self, key_id: str, tbs: bytes) -> bytes:
        _check_size(tbs)
        return self._open().sign(key_id, tbs)

    async def decipher(self, key_id: str, wrapped: bytes) -> bytes:
        _check_size(wrapped)
        return self._open().decipher(key_id, wrapped)

    async def retire(self, key_id: str) -> None:
        self._open().retire(key_id)

    async def close(self) -> None:
        self._closed = True

    def _open(self) -> Custody:
        if self._closed:
            raise Unavailable("PKI-SIGNER-GONE")
        return self._custody


class SignerProcess:
    """The signer in a child process, started at once; used from one event loop.

    The child is executed, not forked: it shares no memory with this process. Requests are answered in
    order, and many may be under way. When the child has ended, every call raises PKI-SIGNER-GONE: it is
    not started again behind the operator's back.
    """

    def __init__(self, data_dir: Path) -> None:
        """Start the child; keys lie in `<data_dir>/keys`."""
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        command = [sys.executable, "-I", "-c", "from teleport.pki.signer_process import main; main()"]
        with theirs:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno()), str(data_dir.absolute() / "keys")],
                pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"}, cwd="/", start_new_session=True,
            )  # fmt: skip
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._next = 0
        self._gone = False
        self._places = asyncio.Semaphore(_IN_FLIGHT)
        self._connecting = asyncio.Lock()
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """Process id of the signer."""
        return self._process.pid

    async def generate(self, algorithm: str, purpose: str) -> KeyHandle:
        reply = json.loads(
            await self._call(GENERATE, json.dumps({"algorithm": algorithm, "purpose": purpose}).encode())
        )
        return KeyHandle(reply["key_id"], reply["algorithm"], reply["purpose"], base64.b64decode(reply["spki"]))

    async def sign(self, key_id: str, tbs: bytes) -> bytes:
        _check_size(tbs)
        return await self._call(SIGN, _raw(key_id) + tbs)

    async def decipher(self, key_id: str, wrapped: bytes) -> bytes:
        _check_size(wrapped)
        return await self._call(DECIPHER, _raw(key_id) + wrapped)

    async def retire(self, key_id: str) -> None:
        await self._call(RETIRE, _raw(key_id))

    async def close(self) -> None:
        self._fail()
        if self._reading is not None:
            await tasks.cancel(self._reading)
        if self._writer is not None:
            self._writer.close()
        self._socket.close()
        await asyncio.to_thread(self._reap)

    def _reap(self) -> None:
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    async def _call(self, operation: int, payload: bytes) -> bytes:
        async with self._places:
            writer = await self._connected()
            self._next = number = (self._next + 1) % (1 << 32)
            answer = asyncio.get_running_loop().create_future()
            self._waiting[number] = answer
            try:
                head = (HEAD + len(payload)).to_bytes(4, "big") + number.to_bytes(4, "big") + bytes((operation,))
                writer.write(head + payload)
                await writer.drain()
                return bytes(await answer)
            except OSError:
                raise Unavailable("PKI-SIGNER-GONE") from None
            finally:
                self._waiting.pop(number, None)

    async def _connected(self) -> asyncio.StreamWriter:
        async with self._connecting:
            if self._gone:
                raise Unavailable("PKI-SIGNER-GONE")
            if self._writer is None:
                reader, self._writer = await asyncio.open_unix_connection(sock=self._socket)
                self._reading = tasks.spawn(self._read(reader), name="signer-replies", on_error=lambda _: self._fail())
            return self._writer

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Hand replies to those who wait. Ends, by an exception, with the child."""
        while True:
            size = int.from_bytes(await reader.readexactly(4), "big")
            frame = await reader.readexactly(size)
            answer = self._waiting.get(int.from_bytes(frame[:4], "big"))
            if answer is None or answer.done():
                continue  # the caller was cancelled meanwhile
            if frame[4] == DONE:
                answer.set_result(frame[HEAD:])
            else:
                answer.set_exception(_error(frame[HEAD:]))

    def _fail(self) -> None:
        self._gone = True
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(Unavailable("PKI-SIGNER-GONE"))


def _error(payload: bytes) -> TeleportError:
    told = json.loads(payload)
    return from_grpc(told["grpc"], told["code"], told["fields"])


def _raw(key_id: str) -> bytes:
    """Return the 16 bytes of a key id; a malformed one becomes the id that no key has."""
    try:
        raw = bytes.fromhex(key_id)
    except ValueError:
        raw = b""
    return raw if len(raw) == 16 else bytes(16)


def _check_size(tbs: bytes) -> None:
    limit = MAX_FRAME - HEAD - 16
    if len(tbs) > limit:
        raise LimitExceeded("PKI-SIGNER-SIZE", size=len(tbs), limit=limit)
