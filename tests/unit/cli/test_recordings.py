"""Recordings as both programs list and write them."""

import datetime as dt
import json

import pytest

from teleport.api.recording_messages import Recording
from teleport.base.errors import AlreadyExists
from teleport.cli.recordings import as_document, free_path, print_recordings, write_recording

START = dt.datetime(2026, 11, 23, 5, 3, 33, 123456, dt.UTC)
RECORDING = Recording(session_id="s-1", user="alice", hostname="node-1", start=START, stop=START, participants=("bob",))


def test_a_table_and_documents(capsys):
    print_recordings([RECORDING], "text")
    assert capsys.readouterr().out.splitlines()[2].split() == [
        "s-1", "ssh", "bob", "node-1", "2026-11-23", "05:03:33", "UTC",
    ]  # fmt: skip
    print_recordings([RECORDING], "json")
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps([as_document(RECORDING)]))


def test_a_folder_is_made_and_no_file_replaced(tmp_path, capsys):
    path = free_path(str(tmp_path / "a" / "b"), "s-1/../x", "cast")
    assert path == str(tmp_path / "a" / "b" / "s-1x.cast")
    write_recording(path, b"1234")
    assert capsys.readouterr().out == f"{path}: 4 bytes\n"
    with pytest.raises(AlreadyExists) as caught:
        free_path(str(tmp_path / "a" / "b"), "s-1x", "cast")
    assert caught.value.code == "DISK-EXISTS"
