"""Exporting the logs of a store as files that a stranger can check with one program and nothing else of ours.

    audit-heads.json     cluster, time, and of every log: its file, where it ends, up to where it was pruned
    audit-keys.json      the public keys of checkpoints (Ed25519, base64)
    <log>.jsonl          a record a line: sequence, digest, and `data` as text - or `base64` where it is none
    checkpoints.jsonl    the log of checkpoints, in the same form

`base.audit_verify` reads them. Pieces are made one at a time: a slow receiver costs no memory.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import itertools
import re
from collections.abc import AsyncGenerator, Callable
from typing import Any, NamedTuple

import msgspec

from teleport.base.errors import Unavailable
from teleport.model.events.base import rfc3339
from teleport.store.audit.verify import keys_of, pruned_of
from teleport.store.backend import Backend, LogReader

PIECE = 1 << 20
"""Bytes of a piece at most."""


class Piece(NamedTuple):
    """A part of a file; parts of a file come in order, file by file."""

    file: str
    data: bytes


class _Start(NamedTuple):
    heads: dict[str, tuple[int, bytes]]
    pruned: dict[str, tuple[int, bytes]]
    keys: list[bytes]


async def pieces(backend: Backend, cluster: str, now: dt.datetime) -> AsyncGenerator[Piece, None]:
    """Yield the files of the logs as they are now. Raises Unavailable (STORE-AUDIT-PRUNED) when a pruning came in
    between: the files are of no use then."""
    start = await backend.inspect(_start)
    files = _files(start)
    yield Piece("audit-heads.json", _heads(start, files, cluster, now))
    told = [
        {"key": hashlib.sha256(key).hexdigest(), "public_key": base64.b64encode(key).decode()} for key in start.keys
    ]
    yield Piece("audit-keys.json", msgspec.json.format(msgspec.json.encode(told)) + b"\n")
    for log, file in files.items():
        yield Piece(file, b"")
        at, last = start.pruned.get(log, (0, b""))[0], start.heads[log][0]
        while at < last:
            data, reached = await backend.inspect(_part(log, at, last))
            for offset in range(0, len(data), PIECE):
                yield Piece(file, data[offset : offset + PIECE])
            if reached == at:
                break  # the log ends too early: the check of the export will say so
            at = reached
    if await backend.inspect(pruned_of) != start.pruned:
        raise Unavailable("STORE-AUDIT-PRUNED")


def _start(reader: LogReader) -> _Start:
    heads = {log: (sequence, digest) for log, sequence, digest in reader.heads()}
    return _Start(heads, pruned_of(reader), keys_of(reader))


def _files(start: _Start) -> dict[str, str]:
    """Give every log a file of its own, named like it as far as names of files go."""
    files: dict[str, str] = {}
    for log in start.heads:
        stem = re.sub(r"[^A-Za-z0-9_.-]", "-", log)[:120].lstrip(".-") or "log"
        names = itertools.chain((stem,), (f"{stem}.{number}" for number in itertools.count(2)))
        name = next(name for name in names if f"{name}.jsonl" not in files.values())
        files[log] = f"{name}.jsonl"
    return files


def _heads(start: _Start, files: dict[str, str], cluster: str, now: dt.datetime) -> bytes:
    logs: dict[str, dict[str, Any]] = {
        log: {"file": files[log], "sequence": sequence, "digest": digest.hex()}
        for log, (sequence, digest) in start.heads.items()
    }
    for log, (sequence, digest) in start.pruned.items():
        logs.setdefault(log, {"file": "", "sequence": 0, "digest": ""})
        logs[log]["pruned"] = {"sequence": sequence, "digest": digest.hex()}
    document = {"cluster": cluster, "time": rfc3339(now), "logs": logs}
    return msgspec.json.format(msgspec.json.encode(document)) + b"\n"


def _part(log: str, after: int, last: int) -> Callable[[LogReader], tuple[bytes, int]]:
    """Return work for `Backend.inspect`: the next lines of a log, about a piece of them, and how far they reach."""

    def read(reader: LogReader) -> tuple[bytes, int]:
        lines, size, at = list[bytes](), 0, after
        for page in reader.pages(log, after):
            for sequence, data, digest in page:
                if sequence > last or size >= PIECE:
                    return b"".join(lines), at
                lines.append(_line(sequence, data, digest))
                size, at = size + len(lines[-1]), sequence
        return b"".join(lines), at

    return read


def _line(sequence: int, data: bytes, digest: bytes) -> bytes:
    try:
        content = {"data": data.decode()}
    except UnicodeDecodeError:
        content = {"base64": base64.b64encode(data).decode()}
    return msgspec.json.encode({"sequence": sequence, "digest": digest.hex(), **content}) + b"\n"
