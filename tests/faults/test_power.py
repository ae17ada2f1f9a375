"""faults.power: what a cut leaves and what it cannot take away."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from tests.faults.power import Platter, Step, read

CUTS = 60


class Story:
    """Steps below a folder, and all that may be left of them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.steps: list[Step] = []

    def path(self, name: str) -> str:
        return str(self.root / name) if name else str(self.root)

    def step(
        self, kind: str, first: str, second: str = "", *, failed: bool = False, at: int = 0, data: bytes = b""
    ) -> None:
        self.steps.append(Step(kind, failed, self.path(first), self.path(second) if second else "", at, data))

    def ends(self) -> set[tuple[tuple[str, bytes], ...]]:
        """Return every state that one of many cuts left."""
        start = {p.relative_to(self.root): p.read_bytes() for p in self.root.rglob("*") if p.is_file()}
        found = set()
        for seed in range(CUTS):
            shutil.rmtree(self.root)
            self.root.mkdir()
            for name, data in start.items():
                (self.root / name).write_bytes(data)
            platter = Platter(self.root)
            for step in self.steps:
                platter.take(step)
            platter.cut(random.Random(seed))
            left = {str(p.relative_to(self.root)): p.read_bytes() for p in self.root.rglob("*") if p.is_file()}
            found.add(tuple(sorted(left.items())))
        return found


def story(tmp_path: Path, **files: bytes) -> Story:
    root = tmp_path / "root"
    root.mkdir()
    for name, data in files.items():
        (root / name).write_bytes(data)
    return Story(root)


def test_what_was_synced_stays_and_the_rest_may_go(tmp_path: Path) -> None:
    it = story(tmp_path, a=b"old")
    it.step("write", "a", data=b"new")
    assert it.ends() == {(("a", b"old"),), (("a", b"new"),)}
    it.step("sync", "a")
    assert it.ends() == {(("a", b"new"),)}


def test_pages_are_lost_in_any_order_and_leave_zeros(tmp_path: Path) -> None:
    it = story(tmp_path, a=b"")
    it.step("write", "a", data=b"x" * 4096 + b"y" * 4096)
    ends = {dict(end)["a"] for end in it.ends()}
    assert ends == {b"", b"x" * 4096, bytes(4096) + b"y" * 4096, b"x" * 4096 + b"y" * 4096}


def test_a_new_file_needs_its_folder_synced(tmp_path: Path) -> None:
    it = story(tmp_path)
    it.step("create", "a")
    it.step("write", "a", data=b"1")
    it.step("sync", "a")
    assert it.ends() == {(), (("a", b"1"),)}
    it.step("sync", "")
    assert it.ends() == {(("a", b"1"),)}


def test_names_change_in_order(tmp_path: Path) -> None:
    it = story(tmp_path, a=b"1")
    it.step("rename", "a", "b")
    it.step("link", "b", "c")
    it.step("unlink", "b")
    one, both, last = (("b", b"1"),), (("b", b"1"), ("c", b"1")), (("c", b"1"),)
    assert it.ends() == {(("a", b"1"),), one, both, last}


def test_a_folder_that_is_renamed_takes_its_files_along(tmp_path: Path) -> None:
    it = story(tmp_path)
    it.step("create", "d", at=1)
    it.step("create", "d/a")
    it.step("rename", "d", "e")
    it.step("sync", "")
    assert it.ends() == {(("e/a", b""),)}


def test_folders_that_change_places(tmp_path: Path) -> None:
    it = story(tmp_path, a=b"1", b=b"2")
    it.step("rename", "a", "b", at=2)
    it.step("sync", "")
    assert it.ends() == {(("a", b"2"), ("b", b"1"))}


def test_what_a_failed_sync_left_is_not_kept_by_the_next_one(tmp_path: Path) -> None:
    it = story(tmp_path, a=b"")
    it.step("write", "a", data=b"1" * 4096)
    it.step("sync", "a", failed=True)
    it.step("write", "a", at=4096, data=b"2" * 4096)
    it.step("sync", "a")
    assert {dict(end)["a"][:1] for end in it.ends()} == {b"\0", b"1"}
    it.step("write", "a", data=b"3")  # the page is written anew, and whole
    it.step("sync", "a")
    assert {dict(end)["a"][:2] for end in it.ends()} == {b"31"}


def test_nothing_follows_a_truncation_that_was_lost(tmp_path: Path) -> None:
    it = story(tmp_path, a=b"old content")
    it.step("truncate", "a", at=0)
    it.step("write", "a", data=b"new")
    assert {dict(end)["a"] for end in it.ends()} == {b"old content", b"", b"new"}


def test_an_empty_trace_has_no_steps() -> None:
    assert list(read(b"")) == []
