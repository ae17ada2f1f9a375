"""Access lists against getfacl and setfacl, which others wrote."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.bot.destinations import acl
from teleport.bot.destinations.acl import Readers
from tests.support.programs import need

NUMBERS = st.integers(0, 0xFFFFFFFE)
READERS = st.builds(Readers, st.frozensets(NUMBERS, max_size=5), st.frozensets(NUMBERS, max_size=5))


def descriptor(path: Path) -> int:
    return os.open(path, os.O_RDONLY)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text("x")
    path.chmod(0o600)
    return path


def test_what_is_written_getfacl_reads(file: Path) -> None:
    opened = descriptor(file)
    acl.write(opened, acl.letting(Readers(frozenset({1234, 99}), frozenset({5678})), os.geteuid()))
    os.close(opened)
    shown = subprocess.run(
        [need("getfacl"), "-cnp", str(file)], capture_output=True, text=True, check=True
    ).stdout.split()  # fmt: skip
    assert shown == [
        "user::rw-",
        "user:99:r--",
        "user:1234:r--",
        "group::---",
        "group:5678:r--",
        "mask::r--",
        "other::---",
    ]


def test_what_setfacl_writes_is_read(file: Path) -> None:
    subprocess.run([need("setfacl"), "-m", "u:42:rw,g:43:r,u:44:w,m::r", str(file)], check=True)
    opened = descriptor(file)
    entries = acl.read(opened)
    assert entries is not None
    assert acl.readers_of(entries) == Readers(frozenset({42}), frozenset({43}))
    acl.clear(opened)
    acl.clear(opened)
    assert acl.read(opened) is None
    os.close(opened)


def test_what_the_mask_takes_away_is_taken_away() -> None:
    entries = (*acl.letting(Readers(frozenset({7})), 0),)
    masked = [e._replace(allowed=0) if e.kind == acl.MASK else e for e in entries]
    assert acl.readers_of(masked) == acl.NOBODY


def test_the_owner_is_no_reader() -> None:
    assert acl.letting(Readers(frozenset({5})), 5) == acl.letting(acl.NOBODY, 5)


def test_a_folder_can_be_entered_by_readers_and_its_group_may_have_a_say() -> None:
    entries = acl.letting(Readers(frozenset({5})), 0, enter=acl.ENTER, group=True)
    assert {e.kind: e.allowed for e in entries} == {
        acl.OWNER: 7, acl.USER: 5, acl.GROUP_OF_FILE: 5, acl.MASK: 5, acl.OTHER: 0
    }  # fmt: skip


@given(READERS, NUMBERS)
def test_lists_come_back_as_they_were(readers: Readers, owner: int) -> None:
    entries = acl.letting(readers, owner)
    assert acl.decode(acl.encode(reversed(entries))) == entries
    assert acl.readers_of(entries) == readers._replace(users=readers.users - {owner})


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_a_list_or_malformed(data: bytes) -> None:
    try:
        entries = acl.decode(data)
    except acl.Malformed:
        return
    assert sorted(acl.decode(acl.encode(entries))) == sorted(entries)


@pytest.mark.parametrize("data", [b"", b"\2\0\0", b"\1\0\0\0", b"\2\0\0\0" + b"\3\0\0\0" + b"\0" * 4, b"\2\0\0\0x"])
def test_what_is_no_list_is_malformed(data: bytes) -> None:
    with pytest.raises(acl.Malformed):
        acl.decode(data)


def test_no_list_where_the_attribute_holds_something_else(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getxattr", lambda *_: b"nonsense")
    assert acl.read(0) is None


def test_other_failures_are_told() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    for call in (acl.read, acl.clear):
        with pytest.raises(OSError, match="descriptor"):
            call(reading)
