"""A program that looks at a folder of authority keys and says which they are, without giving any away.

It runs like the signer, as a process of its own that nobody can look into, because it has to read what it
checks. It prints JSON: of each key the SHA-256 of its file and the public key (SubjectPublicKeyInfo in DER,
base64), or an error (`code`, `fields`, `grpc`) with exit status 1. Used before and after keys are copied.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import stat
import sys
from pathlib import Path

from teleport.base.errors import BadParameter, TeleportError
from teleport.pki import envelope, keys
from teleport.pki.purpose import RECORDING
from teleport.pki.signer_process import harden

_KEY_ID = re.compile(r"[0-9a-f]{32}")
_LIMIT = 4096


def survey(folder: Path) -> dict[str, dict[str, str]]:
    """Return of each key, by its id: `sha256` of the file and `spki`. Files of other names are left out.

    Raises BadParameter (PKI-KEY-STORE, PKI-KEY).
    """
    try:
        names = sorted(name for name in os.listdir(folder) if _KEY_ID.fullmatch(name))
    except OSError as error:
        raise _bad(folder, error.strerror or "") from None
    found = {}
    for name in names:
        data = _read(folder / name)
        found[name] = {"sha256": hashlib.sha256(data).hexdigest(), "spki": base64.b64encode(_spki(data)).decode()}
    return found


def _spki(data: bytes) -> bytes:
    """Return the public key of a private one as the signer keeps it (`pki.custody`)."""
    head, _, pem = data.partition(b"\n")
    if head.endswith(RECORDING.encode()):
        return envelope.spki(envelope.load_private(pem))
    return keys.spki(keys.load_private(pem).public_key())


def _read(path: Path) -> bytes:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise _bad(path, error.strerror or "") from None
    try:
        facts = os.fstat(file)
        if not stat.S_ISREG(facts.st_mode) or facts.st_mode & 0o077:
            raise _bad(path, "it is no regular file, or others can read it")
        return os.read(file, _LIMIT)
    finally:
        os.close(file)


def _bad(path: Path, problem: str) -> BadParameter:
    return BadParameter("PKI-KEY-STORE", path=path, problem=problem)


def main(arguments: list[str] | None = None) -> None:
    """Run the program: `--folder PATH`."""
    parser = argparse.ArgumentParser(prog="teleport-signer")
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args(arguments)
    harden()
    try:
        answer: object = survey(options.folder)
        status = 0
    except TeleportError as error:
        answer, status = {"code": error.code, "fields": error.fields, "grpc": error.kind.grpc}, 1
    sys.stdout.write(json.dumps(answer))
    sys.exit(status)


if __name__ == "__main__":
    main()
