"""Checks an audit log against its hash chain and its signed checkpoints. This one file is all that is needed:

    python3 audit_verify.py DIR [--checkpoint FILE] [--json]

DIR is what `tctl audit export` wrote; FILE has checkpoints kept elsewhere, from `tctl audit head` or lines of the
server's log (`-`: standard input). Exit status: 0 all is whole, 1 something is not, 2 it cannot be read.

digest(n) = SHA-256(digest(n-1) || n as 8 bytes, big endian || data(n)), digest(0) = 32 zero bytes. A checkpoint is
canonical JSON (sorted keys, no blanks, ASCII) of {cluster, number, time, previous, logs: {name: {sequence, digest}}},
signed with Ed25519 (RFC 8032). The server's own check is this code over its database.
"""

from __future__ import annotations

import base64
import hashlib
import heapq
import json
import os
import re
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

START, CHECKPOINTS, PRUNED, MOST, NEVER = bytes(32), "checkpoints", b'"audit.prune"', 10, 1 << 63
Row = tuple[int, bytes, bytes]
Head = tuple[int, bytes]
_POINT, _NUMBER = struct.Struct(">Q32sQ"), struct.Struct(">Q")
_FIELD = re.compile(r'(\w+):("(?:[^"\\]|\\.)*"|\S+)')


def canonical(value: object) -> bytes:
    """Write JSON in the one way that is signed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


class Report:
    """What was found: `findings`, and how far each log is whole and proven by checkpoints."""

    def __init__(self) -> None:
        self.findings: list[dict[str, Any]] = []
        self.logs: list[dict[str, Any]] = []
        self.newest: dict[str, Any] = {}

    def add(self, log: str, sequence: int, problem: str, what: str, data: bytes = b"", until: int = 0) -> None:
        """Note what is wrong from a record on, `until` another; `data` is the record, to name its event."""
        place = {"log": log, "sequence": sequence, "until": until or sequence, "event": _event(data)}
        self.findings.append({**place, "problem": problem, "what": what})

    def document(self) -> dict[str, Any]:
        """Return everything as plain data."""
        newest = {"newest_checkpoint": self.newest, "logs": self.logs, "findings": self.findings}
        return {"intact": not self.findings, **newest}


def _event(data: bytes) -> dict[str, str]:
    try:
        event = json.loads(data)
        return {name: str(event[name])[:80] for name in ("uid", "time", "event") if name in event}
    except (ValueError, TypeError, RecursionError):
        return {}


class Walk:
    """Goes along one log from what was pruned (`base`), past every point at which a checkpoint saw it."""

    def __init__(self, report: Report, log: str, base: Head, points: Iterable[tuple[int, bytes, int]]) -> None:
        self._report, self._log, self._base, self._points = report, log, base[0], iter(points)
        self._expected, self._previous, self._proven, self._damaged = base[0] + 1, base[1], 0, True
        self._next: tuple[int, bytes, int] = (0, b"", 0)
        self._told, self.full = 0, False
        self._pass(*base)
        if base[0] and self._proven != base[0]:
            report.add(log, base[0], "prune", f"no checkpoint saw record {base[0]}, up to which the log was pruned")
        self._proven, self._damaged = base[0], False

    def _pass(self, at: int, digest: bytes) -> None:
        here: list[tuple[int, bytes, int]] = []
        while self._next[0] <= at:
            here += [self._next] if at and self._next[0] == at else []
            self._next = next(self._points, (NEVER, b"", 0))
        others = [number for _, seen, number in here if seen != digest]
        if here and not others:
            self._proven, self._damaged = at, False
        elif others and not self._damaged:  # otherwise the damage that was told explains it
            self._damaged, first = True, self._proven + 1
            what = f"records {first} to {at} are not those that checkpoint {others[0]} saw"
            self._report.add(self._log, first, "rewritten", what, until=at)

    def feed(self, page: Sequence[Row]) -> None:
        """Check a page. The speed of everything hangs on this loop."""
        sha256, pack, expected, previous = hashlib.sha256, _NUMBER.pack, self._expected, self._previous
        for row in page:
            sequence, data, digest = row
            if sequence != expected or sha256(previous + pack(sequence) + data).digest() != digest:
                self._broken(row, expected)
                if self.full:
                    return
                if sequence < expected:
                    continue
            expected, previous = sequence + 1, digest
            if sequence >= self._next[0]:
                self._pass(sequence, digest)
        self._expected, self._previous = expected, previous

    def _broken(self, row: Row, expected: int) -> None:
        self._damaged, self._told = True, self._told + 1
        self.full = self._told >= MOST
        if row[0] == expected:
            self._report.add(self._log, expected, "changed", f"record {expected} was changed", row[1])
        elif row[0] > expected:
            what = f"records {expected} to {row[0] - 1} are missing"
            self._report.add(self._log, expected, "missing", what, until=row[0] - 1)
        else:
            what = f"where record {expected} belongs stands one with the number {row[0]}"
            self._report.add(self._log, expected, "misplaced", what, row[1])

    def end(self, head: Head, *, whole: bool) -> None:
        """Compare the end with the stored head, and with what checkpoints saw beyond it."""
        last, add = self._expected - 1, self._report.add
        if last < head[0]:
            add(
                self._log,
                last + 1,
                "missing",
                f"record {last + 1} is missing, and so is every later one",
                until=head[0],
            )
        elif last > head[0]:
            add(self._log, head[0] + 1, "head", f"record {head[0] + 1} stands behind the stored head", until=last)
        elif whole and self._previous != head[1]:
            add(self._log, last, "head", f"the stored head has another digest than record {last}")
        beyond = max((point for point in (self._next, *self._points) if last < point[0] < NEVER), default=None)
        if beyond:
            what = f"records {last + 1} to {beyond[0]}, which checkpoint {beyond[2]} saw, are not there"
            what += f"; {self._proven + 1} to {last} are unproven" if self._proven < last else ""
            add(self._log, last + 1, "truncated", what, until=beyond[0])
        ended = {"sequence": last, "digest": self._previous.hex(), "pruned": self._base, "proven": self._proven}
        self._report.logs.append({"log": self._log, "records": last - self._base, **ended})


class _Check:
    """One check of a source: first the checkpoints, then every log against them."""

    def __init__(self, source: Any, outside: Sequence[dict[str, Any]], over: Callable[[], bool]) -> None:
        self.report, self._source, self._over = Report(), source, over
        self._keys = {hashlib.sha256(key).hexdigest(): key for key in source.public_keys()}
        self._points: dict[str, bytearray] = {}
        self._outside: dict[str, list[tuple[int, bytes, int]]] = {}
        self._copies = outside
        self._found: dict[int, str] = {int(copy["number"]): "" for copy in outside}
        self._previous, self._cluster, self._last = START.hex(), "", 0
        self._recorded: set[tuple[str, int, str]] = set()

    def run(self) -> None:
        heads = {name: (sequence, digest) for name, sequence, digest in self._source.heads()}
        pruned = self._source.pruned()
        self._log(CHECKPOINTS, heads.pop(CHECKPOINTS, (0, START)), (0, START), self._checkpoint)
        for copy in self._copies:
            self._compare(copy)
        for name in sorted({*heads, *pruned, *self._points, *self._outside}):
            base = pruned.get(name, (0, START))
            self._log(name, heads.get(name, base), base, self._prune if pruned else None)
        for name, (sequence, digest) in pruned.items():
            if (name, sequence, digest.hex()) not in self._recorded:
                self.report.add(name, sequence, "prune", f"no event says that it was pruned up to record {sequence}")

    def _log(self, name: str, head: Head, base: Head, look: Callable[[Row], None] | None) -> None:
        stored, found = _POINT.iter_unpack(self._points.get(name, b"")), len(self.report.findings)
        points = ((sequence, digest, number) for sequence, digest, number in stored)
        walk = Walk(self.report, name, base, heapq.merge(points, sorted(self._outside.get(name, ()))))
        for page in self._source.pages(name):
            if self._over():
                return
            for row in page if look else ():
                look(row)  # type: ignore[misc]
            walk.feed(page)
            if walk.full:
                return
        walk.end(head, whole=len(self.report.findings) == found)

    def _prune(self, row: Row) -> None:
        if PRUNED in row[1]:
            try:
                cuts = json.loads(row[1])["logs"] if _event(row[1]).get("event") == "audit.prune" else ()
                self._recorded.update((cut["log"], cut["sequence"], cut["digest"]) for cut in cuts)
            except (ValueError, TypeError, KeyError):
                pass

    def _checkpoint(self, row: Row) -> None:
        number, data, _ = row
        document, digest, problem = {}, "", "it cannot be read"
        try:
            signed = json.loads(data)
            document = signed["checkpoint"]
            digest = hashlib.sha256(canonical(document)).hexdigest()
            self._cluster = self._cluster or document["cluster"]
            follows = document["previous"] == self._previous and document["cluster"] == self._cluster
            if canonical(signed) != data or document["number"] != number or not follows:
                problem = "it has another form or number, or does not follow the one before"
            elif not (problem := signature_problem(self._keys, signed)):
                self._see(number, document["logs"])
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, struct.error):
            pass
        if problem and len(self.report.findings) < MOST:
            self.report.add(CHECKPOINTS, number, "checkpoint", f"checkpoint {number}: {problem}", data)
        self._previous, self._last = digest, number
        if number in self._found:
            self._found[number] = digest
        self.report.newest = {"number": number, "time": str(document.get("time"))[:40], "digest": digest}

    def _see(self, number: int, logs: dict[str, Any]) -> None:
        for name, head in logs.items():
            points = self._points.setdefault(name, bytearray())
            last = _POINT.unpack(points[-_POINT.size :])[0] if points else 0
            if head["sequence"] < last and len(self.report.findings) < MOST:
                what = f"checkpoint {number} saw {head['sequence']} records, an earlier one {last}"
                self.report.add(name, head["sequence"] + 1, "backward", what, until=last)
            elif head["sequence"] > last:
                points += _POINT.pack(head["sequence"], bytes.fromhex(head["digest"]), number)

    def _compare(self, copy: dict[str, Any]) -> None:
        number, found, document = int(copy["number"]), self._found[int(copy["number"])], copy.get("checkpoint")
        if document and hashlib.sha256(canonical(document)).hexdigest() != copy["digest"]:
            self.report.add("copy", number, "copy", f"the copy of checkpoint {number} contradicts itself")
            return
        if problem := document and signature_problem(self._keys, copy):
            self.report.add("copy", number, "copy", f"the copy of checkpoint {number}: {problem}")
        for name, head in document["logs"].items() if document and not problem else ():
            point = (int(head["sequence"]), bytes.fromhex(head["digest"]), number)
            self._outside.setdefault(name, []).append(point)
        if not found:
            what = f"checkpoint {number}, kept elsewhere, is not in the store"
            self.report.add(CHECKPOINTS, min(number, self._last + 1), "outside", what, until=number)
        elif found != copy["digest"]:
            self.report.add(CHECKPOINTS, number, "outside", f"checkpoint {number} is not the one kept elsewhere")


def verify(source: Any, outside: Sequence[dict[str, Any]] = (), over: Callable[[], bool] = bool) -> Report:
    """Check everything. `source` has the methods of `Export` below;
    `outside` is what `copies` read; the check ends early when `over()`."""
    check = _Check(source, outside, over)
    check.run()
    check.report.logs.sort(key=lambda log: str(log["log"]))
    check.report.findings.sort(key=lambda found: (found["log"], found["sequence"]))
    return check.report


def copies(text: str) -> list[dict[str, Any]]:
    """Find checkpoints in what `tctl audit head` printed as JSON, or in lines of a log, in text or JSON."""
    try:
        told = json.loads(text)
        found = told if isinstance(told, list) else [told]
    except ValueError:
        found = [_line(line) for line in text.splitlines() if "checkpoint" in line]
    for copy in found:
        if isinstance(copy.get("checkpoint"), str):
            copy["checkpoint"] = json.loads(copy["checkpoint"])
    return [{**copy, "number": int(copy["number"])} for copy in found if {"number", "digest", "signature"} <= {*copy}]


def _line(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
        return found if isinstance(found, dict) else {}
    except ValueError:
        fields = _FIELD.findall(line)
    return {name: json.loads(value) if value[0] == '"' else value for name, value in fields}


def signature_problem(keys: dict[str, bytes], signed: dict[str, Any]) -> str:
    """Say what is wrong with the signature of a checkpoint; `keys` by their SHA-256."""
    key, message = keys.get(signed["key"]), canonical(signed["checkpoint"])
    if key is None:
        return "its key is none of the cluster's audit keys"
    return "" if is_signed(key, base64.b64decode(signed["signature"]), message) else "its signature is wrong"


def is_signed(key: bytes, signature: bytes, message: bytes) -> bool:
    """Check an Ed25519 signature, with the library where it is installed."""
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        return is_signed_slowly(key, signature, message)
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


_P, _L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
_D, _ROOT = -121665 * pow(121666, -1, _P) % _P, pow(2, (_P - 1) // 4, _P)
_Place = tuple[int, int, int, int]


def is_signed_slowly(key: bytes, signature: bytes, message: bytes) -> bool:
    """Check an Ed25519 signature with nothing but numbers (RFC 8032, 5.1.7)."""
    at, commitment, s = _decode(key), _decode(signature[:32]), int.from_bytes(signature[32:], "little")
    if at is None or commitment is None or len(key) != 32 or len(signature) != 64 or s >= _L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % _L
    base = _decode((4 * pow(5, -1, _P) % _P).to_bytes(32, "little"))
    left, right = _times(s, base), _plus(commitment, _times(k, at))  # type: ignore[arg-type]
    return all((left[i] * right[2] - right[i] * left[2]) % _P == 0 for i in (0, 1))


def _decode(data: bytes) -> _Place | None:
    y = int.from_bytes(data, "little")
    odd, y = y >> 255, y & ((1 << 255) - 1)
    u, v = y * y - 1, _D * y * y + 1
    x = u * v**3 * pow(u * v**7, (_P - 5) // 8, _P) % _P
    x = x * _ROOT % _P if (v * x * x - u) % _P else x
    if y >= _P or (v * x * x - u) % _P or (odd and not x):
        return None
    x = _P - x if x % 2 != odd else x
    return x, y, 1, x * y % _P


def _plus(p: _Place, q: _Place) -> _Place:
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % _P, (p[1] + p[0]) * (q[1] + q[0]) % _P
    c, d = 2 * p[3] * q[3] * _D % _P, 2 * p[2] * q[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(factor: int, p: _Place) -> _Place:
    found = (0, 1, 1, 0)
    while factor:
        found, p, factor = _plus(found, p) if factor & 1 else found, _plus(p, p), factor >> 1
    return found


class Export:
    """The files that `tctl audit export` wrote."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        with open(os.path.join(folder, "audit-heads.json"), encoding="utf-8") as file:
            self._logs: dict[str, dict[str, Any]] = json.load(file)["logs"]

    def heads(self) -> Iterator[tuple[str, int, bytes]]:
        for name, log in self._logs.items():
            if log["file"]:  # one without was pruned and is gone
                yield name, int(log["sequence"]), bytes.fromhex(log["digest"])

    def pruned(self) -> dict[str, Head]:
        cut = {name: log["pruned"] for name, log in self._logs.items() if log.get("pruned")}
        return {name: (int(at["sequence"]), bytes.fromhex(at["digest"])) for name, at in cut.items()}

    def public_keys(self) -> list[bytes]:
        with open(os.path.join(self._folder, "audit-keys.json"), encoding="utf-8") as file:
            return [base64.b64decode(key["public_key"]) for key in json.load(file)]

    def pages(self, log: str) -> Iterator[list[Row]]:
        name = os.path.basename(self._logs.get(log, {}).get("file", ""))
        if name:
            with open(os.path.join(self._folder, name), "rb") as file:
                while lines := file.readlines(1 << 20):
                    yield [_row(line) for line in lines]


def _row(line: bytes) -> Row:
    try:
        row = json.loads(line)
        data = row["data"].encode() if "data" in row else base64.b64decode(row["base64"])
        return int(row["sequence"]), data, bytes.fromhex(row["digest"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return 0, line, b""  # no record has this number


def lines_of(report: dict[str, Any]) -> Iterator[str]:
    """Write a report for people."""
    for log in report["logs"]:
        pruned = f", {log['pruned']} pruned before" if log["pruned"] else ""
        proven = f"proven by checkpoints to {log['proven']}" if log["log"] != CHECKPOINTS else "signed"
        yield f"{log['log']}: {log['records']} records{pruned}, {proven}, head sha256:{log['digest']}"
    for found in report["findings"]:
        event = " ".join(f"{name}:{value!r}" for name, value in found["event"].items())
        yield f"WRONG: {found['log']} record {found['sequence']}: {found['what']}" + (f" ({event})" if event else "")


def _read(path: str) -> list[dict[str, Any]]:
    with open(0 if path == "-" else path, encoding="utf-8", errors="replace") as file:
        found = copies(file.read())
    if not found:
        raise ValueError(f"{path} has no checkpoint")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Check an export; return the exit status."""
    import argparse

    parser = argparse.ArgumentParser(description="Checks an audit log that `tctl audit export` wrote.")
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument(
        "--checkpoint", metavar="FILE", help="checkpoints that were kept elsewhere; - is standard input"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    try:
        outside = _read(options.checkpoint) if options.checkpoint is not None else []
        report = verify(Export(options.folder), outside).document()
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        sys.stderr.write(f"cannot be read: {type(error).__name__}: {error}\n")
        return 2
    sys.stdout.write(json.dumps(report, indent=2) + "\n" if options.json else "\n".join(lines_of(report)) + "\n")
    return 0 if report["intact"] else 1


if __name__ == "__main__":
    sys.exit(main())
