"""Journal: order, bound, and what a crash, a full disk or a damaged file leaves."""

from __future__ import annotations

import errno
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.base.append import AppendFile, SystemFolder
from teleport.base.errors import TeleportError, Unavailable
from teleport.store.journal import Journal


def opened(path: Path, **bounds: int) -> Journal:
    return Journal(SystemFolder(str(path / "spool")), **bounds)


def taken(journal: Journal) -> list[bytes]:
    """Everything that waits, oldest first; nothing waits afterwards."""
    found: list[bytes] = []
    while (segment := journal.oldest()) is not None:
        found += segment.records
        journal.drop(segment)
    assert journal.empty()
    return found


def test_records_are_taken_in_order_also_after_a_restart(tmp_path: Path) -> None:
    journal = opened(tmp_path, segment=40)
    assert journal.empty()
    assert not (tmp_path / "spool").exists()
    for number in range(10):
        journal.append([b"record %d" % number, b""])
    assert len(os.listdir(tmp_path / "spool")) > 2
    sizes = [file.stat().st_size for file in (tmp_path / "spool").iterdir()]
    assert sum(sizes) - 40 < journal.size() <= sum(sizes)
    again = opened(tmp_path)
    assert again.size() == journal.size()
    assert not again.empty()
    assert taken(again) == [part for number in range(10) for part in (b"record %d" % number, b"")]
    assert os.listdir(tmp_path / "spool") == []
    assert (tmp_path / "spool").stat().st_mode & 0o777 == 0o700


def test_what_is_added_while_somebody_takes_comes_behind(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append([b"1"])
    segment = journal.oldest()
    assert segment is not None
    journal.append([b"2"])
    journal.drop(segment)
    journal.append([b"3"])
    assert taken(journal) == [b"2", b"3"]
    journal.append([b"4"])
    journal.close()
    journal.append([b"5"])
    assert taken(journal) == [b"4", b"5"]


def test_a_full_journal_refuses_and_keeps_what_it_has(tmp_path: Path) -> None:
    journal = opened(tmp_path, bound=100)
    journal.append([b"x" * 60])
    with pytest.raises(Unavailable) as caught:
        journal.append([b"y" * 60])
    assert caught.value.code == "STORE-JOURNAL-FULL"
    journal.append([b"z"])
    assert taken(journal) == [b"x" * 60, b"z"]
    journal.append([b"y" * 60])
    assert taken(journal) == [b"y" * 60]


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 200), flip=st.none() | st.integers(0, 199))
def test_a_torn_or_damaged_end_costs_only_itself(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: int | None
) -> None:
    path = tmp_path_factory.mktemp("torn")
    records = [b"record %d" % number for number in range(8)]
    journal = opened(path)
    journal.append(records)
    journal.close()
    (file,) = (path / "spool").iterdir()
    data = bytearray(file.read_bytes()[:cut])
    if flip is not None and flip < len(data):
        data[flip] ^= 0x10
    file.write_bytes(data)
    again = opened(path)
    again.append([b"later"])
    found = taken(again)
    assert found[-1] == b"later"
    assert found[:-1] == records[: len(found) - 1]
    if flip is None or flip >= len(data):
        assert len(found) - 1 == max((min(cut, 8 + 8 * 16) - 8) // 16, 0)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize(("place", "later"), [("write", False), ("fsync", False), ("write", True), ("fdatasync", True)])
def test_a_failed_write_counts_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, place: str, later: bool
) -> None:
    journal = opened(tmp_path)
    if later:
        journal.append([b"before"])
    whole = os.write

    def broken(handle: int, *rest: Any) -> int:
        if place == "write":
            whole(handle, bytes(rest[0])[:5])
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, place, broken)
        with pytest.raises(TeleportError) as caught:
            journal.append([b"lost"])
    assert caught.value.code == ("DISK-FULL" if number == errno.ENOSPC else "DISK-IO")
    journal.append([b"after"])
    assert taken(journal) == ([b"before"] if later else []) + [b"after"]


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "README").write_text("hello")
    journal = opened(tmp_path)
    assert journal.empty()
    journal.append([b"1"])
    assert taken(journal) == [b"1"]
    assert os.listdir(tmp_path / "spool") == ["README"]


def test_zeros_are_the_end_and_an_empty_record_is_none(tmp_path: Path) -> None:
    journal = opened(tmp_path, segment=4096)
    journal.append([b"one", b"", bytes(16), b""])
    (file,) = (tmp_path / "spool").iterdir()
    assert file.stat().st_size == 4096
    assert taken(opened(tmp_path)) == [b"one", b"", bytes(16), b""]


def test_segments_of_earlier_releases_are_read(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    records = [b"one", b"", b"two"]
    data = b"".join(struct.pack(">II", len(each), zlib.crc32(each)) + each for each in records)
    (tmp_path / "spool" / "0000000000000007.journal").write_bytes(b"TPJRNL1\n" + data + b"\0\0\0\x09torn")
    journal = opened(tmp_path)
    assert not journal.empty()
    journal.append([b"three"])
    assert taken(journal) == [*records, b"three"]


def test_a_segment_that_is_prepared_is_used_next(tmp_path: Path) -> None:
    journal = opened(tmp_path, segment=100)
    assert not journal.ready(1)
    journal.prepare()
    journal.prepare()
    (spare,) = (tmp_path / "spool").iterdir()
    assert (journal.empty(), journal.oldest(), journal.ready(90)) == (True, None, True)
    inode = spare.stat().st_ino
    assert journal.append([b"x" * 84]) == spare.name
    assert (spare.stat().st_ino, spare.stat().st_size) == (inode, 100)
    assert not journal.ready(1)
    journal.prepare()
    journal.append([b"y"])
    assert journal.ready(10)
    assert taken(journal) == [b"x" * 84, b"y"]


def test_a_segment_that_was_never_needed_holds_nothing_up(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    journal.append([b"1"])
    journal.prepare()
    crashed = opened(tmp_path)
    assert not crashed.empty()
    crashed.append([b"2"])
    assert taken(crashed) == [b"1", b"2"]
    crashed.prepare()
    assert opened(tmp_path).empty()
    crashed.close()
    assert os.listdir(tmp_path / "spool") == []


def test_preparing_on_a_full_disk_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = opened(tmp_path)
    journal.append([b"1"])

    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(Unavailable) as caught:
            journal.prepare()
    assert caught.value.code == "DISK-FULL"
    assert len(os.listdir(tmp_path / "spool")) == 1
    journal.append([b"2"])
    journal.prepare()
    assert taken(journal) == [b"1", b"2"]


def test_a_segment_that_is_made_too_late_is_left_out(tmp_path: Path) -> None:
    class Slow(SystemFolder):
        def reserve(self, name: str, data: bytes, size: int) -> AppendFile:
            made = super().reserve(name, data, size)
            if name.startswith("0000000000000001"):
                journal.append([b"meanwhile"])
            return made

    journal = Journal(Slow(str(tmp_path / "spool")))
    journal.prepare()
    assert os.listdir(tmp_path / "spool") == ["0000000000000002.journal"]
    journal.append([b"later"])
    assert taken(journal) == [b"meanwhile", b"later"]


def shared(path: Path, **bounds: int) -> Journal:
    return Journal(SystemFolder(str(path / "spool")), owners=(b"a", b"b"), **bounds)


def of(journal: Journal, owner: bytes) -> list[bytes]:
    """Everything that waits of an owner; nothing of it waits afterwards."""
    found: list[bytes] = []
    while (waiting := journal.oldest(owner)) is not None:
        found += waiting.records
        journal.drop(waiting, owner)
    assert journal.empty(owner)
    return found


def test_each_owner_takes_its_own_in_its_own_time(tmp_path: Path) -> None:
    journal = shared(tmp_path)
    journal.append([b"a1", b"b1", b"a2"])
    assert of(journal, b"a") == [b"a1", b"a2"]
    assert not journal.empty(b"b")
    journal.append([b"a3"])
    assert of(journal, b"a") == [b"a3"]
    assert of(journal, b"b") == [b"b1"]
    assert os.listdir(tmp_path / "spool") == []


def test_what_was_taken_of_a_segment_that_stays_is_known_after_a_crash(tmp_path: Path) -> None:
    journal = shared(tmp_path, segment=40)
    journal.append([b"a1", b"b1"])
    journal.append([b"a2" * 20])
    journal.append([b"a3", b"b2"])
    waiting = journal.oldest(b"a")
    assert waiting is not None
    journal.drop(waiting, b"a")
    assert not shared(tmp_path).empty(b"a")
    assert waiting.records == [b"a1", b"a2" * 20]
    assert of(journal, b"a") == [b"a3"]
    journal.append([b"a4"])
    again = shared(tmp_path)
    assert of(again, b"a") == [b"a4"]
    assert of(again, b"b") == [b"b1", b"b2"]
    assert os.listdir(tmp_path / "spool") == []


def test_segments_go_in_their_order(tmp_path: Path) -> None:
    """A later one says how far an earlier one was taken."""
    journal = shared(tmp_path, segment=20)
    journal.append([b"a1", b"b1"])
    journal.append([b"a2"])
    assert of(journal, b"a") == [b"a1", b"a2"]
    assert len(os.listdir(tmp_path / "spool")) == 2
    again = shared(tmp_path)
    assert again.empty(b"a")
    assert of(again, b"b") == [b"b1"]
    assert of(again, b"a") == []
    assert os.listdir(tmp_path / "spool") == []


def test_what_an_owner_lets_go_is_not_written_to(tmp_path: Path) -> None:
    journal = shared(tmp_path)
    name = journal.append([b"a1", b"b1"])
    journal.release(name, b"b")
    journal.release("no such segment", b"b")
    assert journal.empty(b"b")
    assert journal.append([b"b2"]) != name
    assert of(journal, b"a") == [b"a1"]
    assert of(journal, b"b") == [b"b2"]


def test_a_segment_that_cannot_be_removed_goes_with_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = opened(tmp_path)
    journal.append([b"1"])
    waiting = journal.oldest()
    assert waiting is not None

    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "broken")

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", broken)
        with pytest.raises(Unavailable):
            journal.drop(waiting)
    assert len(os.listdir(tmp_path / "spool")) == 1
    journal.append([b"2"])
    assert taken(journal) == [b"2"]
    assert os.listdir(tmp_path / "spool") == []
