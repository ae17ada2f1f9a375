"""Recorded sessions as both `tsh` and `tctl` list them and write them to files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from teleport.base.disk import SystemDisk
from teleport.base.errors import AlreadyExists
from teleport.base.text import table
from teleport.cli.common import show

if TYPE_CHECKING:
    from teleport.api.recording_messages import Recording


def print_recordings(found: Sequence[Recording], output_format: str) -> None:
    """Print recordings in the order that they come in."""
    if output_format != "text":
        show([as_document(recording) for recording in found], output_format)
        return
    rows = [
        [r.session_id, r.kind, ", ".join(r.participants or (r.user,)), r.hostname, f"{r.start:%Y-%m-%d %H:%M:%S} UTC"]
        for r in found
    ]
    for line in table(["ID", "Type", "Participants", "Hostname", "Timestamp"], rows):
        click.echo(line)


def as_document(recording: Recording) -> dict[str, Any]:
    """Return a recording as plain data."""
    return {**asdict(recording), "start": recording.start.isoformat(), "stop": recording.stop.isoformat()}


def free_path(folder: str, session_id: str, ending: str) -> str:
    """Return where a recording goes. Raises AlreadyExists (DISK-EXISTS), before anything is fetched."""
    path = os.path.join(os.path.abspath(folder), f"{_word(session_id)}.{ending}")
    if os.path.exists(path):
        raise AlreadyExists("DISK-EXISTS", path=path)
    return path


def write_recording(path: str, data: bytes) -> None:
    """Write a file that is not there yet, making its folder, and say so. Raises AlreadyExists (DISK-EXISTS), DISK-*."""
    disk = SystemDisk()
    disk.make_dir(os.path.dirname(path))
    disk.write(path, data, exclusive=True)
    click.echo(f"{path}: {len(data)} bytes")


def _word(session_id: str) -> str:
    """Return an id as a name of a file: what is not of an id is left out."""
    return "".join(char for char in session_id if char.isalnum() or char == "-")[:64] or "recording"
