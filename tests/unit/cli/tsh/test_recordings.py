"""tsh recordings and tsh play against a real Auth Service in memory; only the connection is replaced."""

from __future__ import annotations

import asyncio
import json
import os
import pty
from pathlib import Path

import pytest
import yaml

from teleport.cli.tsh import play, recordings
from teleport.wire import recording
from teleport.wire.recording import HEADER, OUTPUT, Frame
from tests.support import auth_cluster
from tests.support.admin_host import run
from tests.support.recordings import facts, session_id
from tests.support.terminal import shown
from tests.unit.auth.test_recording_search import EVERY, upload

FRAMES = [
    Frame(0, HEADER, b'{"columns": 80, "rows": 25}'),
    Frame(10, OUTPUT, b"$ ls\r\n"),
    Frame(60, OUTPUT, b"\x1b[31mred"),
]


@pytest.fixture(autouse=True)
def cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster with two recordings, which alice may read."""

    def call(_who: object, work: object) -> object:
        async def story() -> object:
            async with auth_cluster.running() as made:
                await made.admin.create(auth_cluster.role("auditing", **EVERY))
                await upload(made, 1, "$ cat notes\r\n", "permission DENIED\r\n")
                await upload(made, 2, "other", participants=("alice", "bob"), index=False)
                return await work(made.client(made.user("alice", "auditing")))  # type: ignore[operator]

        return asyncio.run(story())

    for module in (play, recordings):
        monkeypatch.setattr(module, "call", call)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "session.frames"
    path.write_bytes(recording.encode(FRAMES))
    return path


def test_the_list() -> None:
    lines = run("tsh", "recordings", "ls").out.splitlines()
    assert lines[0].split() == ["ID", "Type", "Participants", "Hostname", "Timestamp"]
    assert lines[2].startswith(f"{session_id(2)} ssh  alice, bob")
    assert lines[3].split()[3:] == ["node-1", "2030-01-01", "00:01:00", "UTC"]
    assert len(json.loads(run("tsh", "recordings", "ls", "--limit=1", "-f", "json").out)) == 1
    assert len(list(yaml.safe_load_all(run("tsh", "recordings", "ls", "--format=yaml").out))) == 2
    early = run(
        "tsh", "recordings", "ls", "--from-utc=2030-01-01T00:00:30", "--to-utc=2030-01-01T00:01:30", "-f", "json"
    )
    assert [entry["session_id"] for entry in json.loads(early.out)] == [session_id(1)]


def test_search_says_how_to_look() -> None:
    done = run("tsh", "recordings", "search", "permission denied")
    assert f"tsh play {session_id(1)} --from=2s" in done.out
    assert "permission DENIED" in done.out
    assert "1 recordings have no index yet" in done.err
    (hit,) = json.loads(run("tsh", "recordings", "search", "denied", "-f", "json").out)
    assert (hit["session_id"], hit["at_ms"], hit["line"]) == (session_id(1), 2000, "permission DENIED")
    assert run("tsh", "recordings", "search", " ").status == 1


@pytest.mark.parametrize("file_format", ["asciicast", "frames"])
def test_what_is_downloaded_plays_offline(tmp_path: Path, file_format: str) -> None:
    tmp_path /= "not/there/yet"
    done = run("tsh", "recordings", "download", session_id(1), "-o", str(tmp_path), "--format", file_format)
    (path,) = tmp_path.iterdir()
    assert str(path) in done.out
    assert path.stat().st_mode & 0o777 == 0o600
    assert run("tsh", "play", str(path), "-f", "text").out == "$ cat notes\npermission DENIED\n"
    again = run("tsh", "recordings", "download", session_id(1), "-o", str(tmp_path), "--format", file_format)
    assert "DISK-EXISTS" in again.err


def test_play_from_the_cluster_as_text_and_for_programs() -> None:
    assert run("tsh", "play", session_id(1), "--format=text").out == "$ cat notes\npermission DENIED\n"
    events = json.loads(run("tsh", "play", session_id(1), "-f", "json").out)
    assert [event["kind"] for event in events] == ["header", "output", "output", "end"]
    assert events[1] == {"at": 1000, "kind": "output", "text": "$ cat notes\r\n"}
    later = list(yaml.safe_load_all(run("tsh", "play", session_id(1), "-f", "yaml", "--from=2s").out))
    assert [event["kind"] for event in later] == ["header", "output", "end"]
    lines = run("tsh", "play", session_id(1), "-f", "asciicast").out.splitlines()
    assert json.loads(lines[0])["title"] == f"{facts(1).login}@node-1"


def test_what_cannot_be_played(tmp_path: Path, file: Path) -> None:
    assert "CLIENT-NO-RECORDING-FILE" in run("tsh", "play", "nothing").err
    assert run("tsh", "play", session_id(9)).status == 1
    assert "CLIENT-POSITION" in run("tsh", "play", str(file), "--from=soon").err
    assert run("tsh", "play", str(file), "--speed=1000x").status == 2
    assert run("tsh", "play", str(file), "--speed=fast").status == 2
    (tmp_path / "picture").write_bytes(b"\x89PNG")
    assert "CLIENT-CAST" in run("tsh", "play", str(tmp_path / "picture")).err


def test_on_a_terminal(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    ours, theirs = pty.openpty()
    keyboard, screen = os.dup(theirs), os.dup(theirs)
    with os.fdopen(keyboard) as source, os.fdopen(screen, "w") as target:
        monkeypatch.setattr("sys.stdin", source)
        monkeypatch.setattr("sys.stdout", target)
        play._watch(FRAMES, 100.0, False, 0)
        play._watch(FRAMES, 100.0, True, 20)
    written = shown(ours, b"\x1b[31mred")
    os.close(ours)
    os.close(theirs)
    assert b"$ ls\r\n" in written
