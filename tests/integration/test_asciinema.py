"""A downloaded recording in a player that others wrote: asciinema reads it and shows what was recorded."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from teleport.client.recordings import asciicast
from teleport.wire.recording import END, HEADER, MARKER, OUTPUT, RESIZE, Frame
from tests.recordings import planted
from tests.support import programs

OUTPUTS = [b"$ \x1b[1;32mls\x1b[0m\r\n", b"\xed\x95", b"\x9c\xea\xb8\x80\r\n", b"\x1b[2J\x1b[Hend\r\n"]


@pytest.fixture
def asciinema() -> str:
    return programs.need("asciinema")


def cast(folder: Path, frames: list[Frame]) -> Path:
    path = folder / "session.cast"
    path.write_text("".join(asciicast.write(frames)), encoding="utf-8", newline="")
    return path


def played(*command: str | Path, home: Path) -> bytes:
    """Run a player on a terminal of its own; return what it wrote there."""
    ours, theirs = pty.openpty()
    environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": str(home), "TERM": "xterm"}
    with subprocess.Popen(
        ["setsid", "-c", "-w", *command], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        found = bytearray()
        try:
            while part := os.read(ours, 65536):
                found += part
        except OSError:
            pass  # the terminal of a process that has ended
        os.close(ours)
    assert process.returncode == 0, found.decode(errors="replace")
    return bytes(found)


def test_a_recording_plays_in_asciinema(tmp_path: Path, asciinema: str) -> None:
    facts = {"columns": 90, "rows": 30, "login": "root", "hostname": "node-1", "start": "2026-01-02T03:04:05Z"}
    frames = [Frame(0, HEADER, json.dumps(facts).encode())]
    frames += [Frame(number * 50, OUTPUT, data) for number, data in enumerate(OUTPUTS)]
    frames += [Frame(200, RESIZE, b"100x40"), Frame(201, MARKER, b"locked"), Frame(202, END, b"{}")]
    file = cast(tmp_path, frames)
    whole = b"".join(OUTPUTS)
    assert whole.replace(b"\r\n", b"\n") in played(asciinema, "cat", file, home=tmp_path).replace(b"\r", b"")
    assert whole.replace(b"\r\n", b"\n") in played(asciinema, "play", "-s", "100", file, home=tmp_path).replace(
        b"\r", b""
    )


def test_what_programs_print_arrives_byte_for_byte(tmp_path: Path, asciinema: str) -> None:
    writer = planted.write(11, 4, 12, 0)
    whole = b"".join(frame.data for frame in writer.frames if frame.kind == OUTPUT)
    found = played(asciinema, "cat", cast(tmp_path, writer.frames), home=tmp_path)
    assert whole.replace(b"\r", b"") in found.replace(b"\r", b"")
