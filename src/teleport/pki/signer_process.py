"""The signer: a small program that alone holds the private keys of the authorities.

It is started by `pki.signer.SignerProcess` with one end of a socket pair and the folder of the keys,
answers one request after the other, and ends when the socket closes. It imports no network code, reads
nothing else, and makes itself opaque to debuggers and core dumps.

Frames, both ways: length (4 bytes, big endian, of what follows), request number (4), operation or
status (1), payload. Payloads of `generate`: JSON in, JSON out; of `sign`: 16 bytes of key id and the
document in, the signature out; of `decipher`: the key id and a wrapped data key in, the data key out; of `retire`:
the key id in, nothing out. Status 0 is success; 1 carries
an error as JSON (`grpc`, `code`, `fields`).
"""

from __future__ import annotations

import base64
import ctypes
import json
import resource
import signal
import socket
import sys
from typing import BinaryIO, cast

from teleport.base.entropy import SystemEntropy
from teleport.base.errors import TeleportError
from teleport.base.process_name import set_name
from teleport.pki.custody import Custody, FolderShelf

GENERATE, SIGN, RETIRE, DECIPHER = 1, 2, 3, 4
DONE, FAILED = 0, 1

MAX_FRAME = 262144
"""Largest frame in bytes, without its length."""
HEAD = 5
"""Bytes of request number and operation."""

_PR_SET_DUMPABLE = 4  # linux/prctl.h


def harden() -> None:
    """Make this process unreadable to others and deaf to the signals of its terminal."""
    set_name("teleport-signer", ())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)


def serve(sock: socket.socket, custody: Custody) -> None:
    """Answer requests until the other side closes. A frame that breaks the rules ends the service."""
    with sock, sock.makefile("rb", buffering=65536) as incoming:
        while frame := _read(cast(BinaryIO, incoming)):
            status, payload = _answer(custody, frame[4], frame[HEAD:])
            try:
                sock.sendall((HEAD + len(payload)).to_bytes(4, "big") + frame[:4] + bytes((status,)) + payload)
            except OSError:
                return


def _read(incoming: BinaryIO) -> bytes:
    """Return the next frame; empty at the end of the stream or if the frame is out of bounds or cut short."""
    try:
        size = int.from_bytes(incoming.read(4), "big")
        frame = incoming.read(size) if HEAD <= size <= MAX_FRAME else b""
    except OSError:
        return b""
    return frame if len(frame) == size else b""


def _answer(custody: Custody, operation: int, payload: bytes) -> tuple[int, bytes]:
    try:
        if operation == SIGN:
            return DONE, custody.sign(payload[:16].hex(), payload[16:])
        if operation == DECIPHER:
            return DONE, custody.decipher(payload[:16].hex(), payload[16:])
        if operation == RETIRE:
            custody.retire(payload.hex())
            return DONE, b""
        request = json.loads(payload)
        handle = custody.generate(request["algorithm"], request["purpose"])
        return DONE, json.dumps({**handle._asdict(), "spki": base64.b64encode(handle.spki).decode()}).encode()
    except TeleportError as error:
        known = {"grpc": error.kind.grpc, "code": error.code, "fields": error.fields}
        return FAILED, json.dumps(known).encode()
    except OSError as error:
        fields = {"path": error.filename or "", "problem": error.strerror or ""}
        return FAILED, json.dumps({"grpc": 3, "code": "PKI-KEY-STORE", "fields": fields}).encode()


def main(arguments: list[str] | None = None) -> None:
    """Run the signer: the number of its socket, and the folder of the keys."""
    number, folder = sys.argv[1:] if arguments is None else arguments
    harden()
    serve(socket.socket(fileno=int(number)), Custody(FolderShelf(folder), SystemEntropy()))


if __name__ == "__main__":
    main()
