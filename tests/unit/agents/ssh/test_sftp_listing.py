"""The line of `ls -l`, and folders while they change."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from teleport.agents.ssh.sftp_listing import Folder, Names, attrs_of, longname
from teleport.wire.sftp import Attrs

NOW = 1_700_000_000.0


def facts(**changes: float) -> os.stat_result:
    values = {"mode": stat.S_IFREG | 0o4755, "ino": 1, "dev": 1, "nlink": 2, "uid": 0, "gid": 0, "size": 1234}
    values |= {"atime": 5, "mtime": NOW - 60, "ctime": 5} | changes
    return os.stat_result(list(values.values()))


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("moment", "date"),
    [(NOW - 60, b"Nov 14 22:12"), (NOW + 60, b"Nov 14  2023"), (1_000_000_000, b"Sep  9  2001"), (2**62, b"?")],
)
def test_dates(moment: float, date: bytes) -> None:
    line = longname(b"name", facts(mtime=moment), Names(), NOW)
    assert line == b"-rwsr-xr-x    2 root     root         1234 " + date + b" name"


def test_who_is_not_known_is_a_number() -> None:
    names = Names()
    line = longname(b"\xff\n", facts(uid=4_294_000_000, gid=4_294_000_001), names, NOW)
    assert b" 4294000000 4294000001 " in line
    assert line.endswith(b" \xff\n")
    for number in range(4_200_000_000, 4_200_002_000):
        names.user(number)
    assert len(names._users) <= 1024


def test_numbers_that_the_protocol_cannot_say_are_the_nearest() -> None:
    assert attrs_of(facts(atime=-5, mtime=2**40)) == Attrs(1234, 0, 0, stat.S_IFREG | 0o4755, 0, 2**32 - 1)


def test_what_goes_while_it_is_read_is_left_out(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / str(number)).touch()
    folder = Folder(os.fsencode(tmp_path))
    try:
        (tmp_path / "3").unlink()
        tmp_path.rename(tmp_path.with_name("moved"))
        found = {entry.name for entry in folder.next(Names(), NOW)}
        assert found - {b"3"} == {b".", b"..", b"0", b"1", b"2", b"4"}
        assert folder.next(Names(), NOW) == []
    finally:
        folder.close()
