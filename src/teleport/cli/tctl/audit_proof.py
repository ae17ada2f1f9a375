"""tctl audit head, verify, export, prune: proof that the audit log is what it was."""

from __future__ import annotations

import base64
import datetime as dt
import os
import re
import sys
from pathlib import Path
from typing import Any, BinaryIO

import click

from teleport.api.client import AuthClient
from teleport.base import audit_verify
from teleport.base.clock import SystemClock
from teleport.base.disk import map_errors
from teleport.base.errors import AlreadyExists, BadParameter
from teleport.base.struct import Duration
from teleport.base.text import table, terminal_width
from teleport.cli.common import format_option, show
from teleport.cli.tctl.session import Where, call, where_options

_COPIES_LIMIT = 256 << 20
"""Bytes of a file with copies of checkpoints."""
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}", re.ASCII)
_VERIFIER = "audit_verify.py"


@click.command("audit head")
@format_option
@where_options
def head(output_format: str, where: Where) -> None:
    """Print the newest signed checkpoint of the audit log, to be kept elsewhere.

    \b
    tctl audit head --format=json > /mnt/elsewhere/audit-$(date +%F).json
    tctl audit verify --checkpoint /mnt/elsewhere/audit-2026-01-31.json
    """
    found = call(where, lambda client: client.audit_proof.head())
    told = {**found.copy, "public_key": base64.b64encode(found.public_key).decode()}
    if output_format != "text":
        show(told, output_format)
        return
    for name in ("number", "time", "digest", "key", "public_key", "signature"):
        click.echo(f"{name + ':':<12}{told.get(name, 'none yet')}")
    logs = found.copy.get("checkpoint", {}).get("logs", {})
    rows = [(name, str(end["sequence"]), f"sha256:{end['digest']}") for name, end in sorted(logs.items())]
    click.echo()
    for line in table(["Log", "Records", "Digest of the last"], rows, width=terminal_width(200), wide="Log"):
        click.echo(line)


@click.command("audit verify")
@click.option(
    "--checkpoint", "files", multiple=True, metavar="FILE",
    help="Checkpoints that were kept elsewhere: from `tctl audit head`, or lines of the server's log; "
    "- is standard input; repeatable.",
)  # fmt: skip
@format_option
@where_options
def verify(files: tuple[str, ...], output_format: str, where: Where) -> None:
    """Check that nobody changed the audit log; exit status 1 if somebody did.

    Finds records that were edited, moved, removed, put in, or cut off, up to the newest checkpoint that was kept
    where nobody could change it.

    \b
    tctl audit verify --checkpoint head.json
    journalctl -u teleport | tctl audit verify --checkpoint -
    """
    copies = [copy for file in files for copy in _copies(file)]
    report = call(where, lambda client: client.audit_proof.check(copies))
    if output_format != "text":
        show(report, output_format)
    else:
        for line in _lines(report, len(copies)):
            click.echo(line)
    if not report["intact"]:
        raise BadParameter("CLI-AUDIT-BROKEN", logs=", ".join(sorted({found["log"] for found in report["findings"]})))


def _copies(file: str) -> list[dict[str, Any]]:
    """Read copies of checkpoints. Raises BadParameter (CLI-AUDIT-COPIES) and DISK-* errors."""
    with map_errors(file):
        if file == "-":
            text = sys.stdin.read(_COPIES_LIMIT)
        else:
            with open(file, encoding="utf-8", errors="replace") as opened:
                text = opened.read(_COPIES_LIMIT)
    problem = "there is none in it"
    try:
        found = audit_verify.copies(text)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        found, problem = [], str(error)[:120]
    if not found:
        raise BadParameter("CLI-AUDIT-COPIES", file=file, problem=problem)
    return found


def _lines(report: dict[str, Any], copies: int) -> list[str]:
    """Write a report for people."""
    broken = {found["log"] for found in report["findings"]}
    lines = []
    for log in report["logs"]:
        state = "BROKEN" if log["log"] in broken else "whole"
        pruned = f", {log['pruned']} pruned before" if log["pruned"] else ""
        signed = "" if log["log"] == audit_verify.CHECKPOINTS else f", proven to {log['proven']}"
        lines.append(f"{log['log']}: {log['records']} records, {state}, head sha256:{log['digest']}{signed}{pruned}")
    newest = report["newest_checkpoint"]
    if newest:
        lines.append(f"newest checkpoint: {newest['number']} of {newest['time']}, sha256:{newest['digest']}")
    lines.append(f"checkpoints kept elsewhere: {copies or 'none given: a forged end of the log would not be seen'}")
    for found in report["findings"]:
        lines += _finding(found)
    return lines


def _finding(found: dict[str, Any]) -> list[str]:
    lines = [f"WRONG: {found['log']} record {found['sequence']}: {found['what']}"]
    event = found["event"]
    if event:
        lines.append(f"  event: {event.get('event', '')} of {event.get('time', '')}, uid {event.get('uid', '')}")
    return [ascii(line)[1:-1] for line in [*lines, f"  why: {found['why']}", f"  fix: {found['fix']}"]]


@click.command("audit export")
@click.option("--out", required=True, metavar="DIR", help="Where the files go: a new or an empty folder.")
@format_option
@where_options
def export(out: str, output_format: str, where: Where) -> None:
    """Write the audit log as files that anybody can check, with the program that does it.

    \b
    tctl audit export --out audit-export
    python3 audit-export/audit_verify.py audit-export --checkpoint head.json
    """
    folder = Path(out).absolute()
    with map_errors(out):
        folder.mkdir(mode=0o700, exist_ok=True)
        if any(folder.iterdir()):
            raise AlreadyExists("CLI-AUDIT-FOLDER", path=out, problem="something is there already")
    program = Path(audit_verify.__file__).read_bytes()
    sizes = call(where, lambda client: _write(client, folder))
    with _Files(folder) as files:
        sizes[_VERIFIER] = files.add(_VERIFIER, program)
    if output_format != "text":
        show({"folder": str(folder), "files": sizes}, output_format)
        return
    click.echo(f"{len(sizes)} files, {sum(sizes.values())} bytes in {out}")
    click.echo(f"check them with: python3 {out}/{_VERIFIER} {out} --checkpoint FILE")


async def _write(client: AuthClient, folder: Path) -> dict[str, int]:
    sizes: dict[str, int] = {}
    with _Files(folder) as files:
        async for name, data in client.audit_proof.export():
            sizes[name] = sizes.get(name, 0) + files.add(name, data)
    return sizes


class _Files:
    """New files in a folder, written one after the other, private."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._name = folder, ""
        self._file: BinaryIO | None = None

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, name: str, data: bytes) -> int:
        """Write on; with another name than before, a new file is begun. Returns how many bytes that were."""
        if not _FILE.fullmatch(name):
            raise BadParameter("CLI-AUDIT-FOLDER", path=self._folder, problem=f"the server named a file {name[:60]!r}")
        with map_errors(str(self._folder / name)):
            if self._file is None or name != self._name:
                if self._file is not None:
                    self._file.close()
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                self._file, self._name = os.fdopen(os.open(self._folder / name, flags, 0o600), "wb"), name
            return self._file.write(data)


@click.command("audit prune")
@click.option("--before", required=True, metavar="DATE|TIME", help="A day (2026-01-31, UTC) or an age (365d).")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@format_option
@where_options
def prune(before: str, dry_run: bool, output_format: str, where: Where) -> None:
    """Remove old audit records for good; the rest can be checked as before.

    Each log is cut where the last checkpoint before that time saw it end. Checkpoints are kept.

    \b
    tctl audit prune --before=365d --dry-run
    """
    limit = _moment(before)
    done = call(where, lambda client: client.audit_proof.prune(limit, dry_run=dry_run))
    if output_format != "text":
        told = {"dry_run": dry_run, "before": limit.isoformat(), "checkpoint": done.checkpoint}
        logs = [{"log": log.log, "first": log.first, "last": log.last} for log in done.logs]
        show({**told, "logs": logs, "records": sum(log.last - log.first + 1 for log in done.logs)}, output_format)
        return
    for log in done.logs:
        click.echo(f"{log.log}: records {log.first} to {log.last}")
    records = sum(log.last - log.first + 1 for log in done.logs)
    click.echo(f"{records} records {'would be' if dry_run else 'were'} removed")


def _moment(text: str) -> dt.datetime:
    """Read a day or an age. Raises BadParameter (CFG-DURATION)."""
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        return SystemClock().now() - Duration.parse(text).delta
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)
