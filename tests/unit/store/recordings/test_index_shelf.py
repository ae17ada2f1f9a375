"""Indexes beside their recordings."""

from __future__ import annotations

import pytest

from teleport.base.disk import MemoryDisk
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import NotFound
from teleport.store.recordings import index_contents, index_file, index_shelf
from teleport.store.recordings.index_lines import Collector
from teleport.store.recordings.index_shelf import IndexShelf

KEY = bytes(32)


def sealed(name: str, text: str) -> bytes:
    collector = Collector()
    collector.plain([text], 1)
    return index_file.seal(name, index_contents.of(collector.lines()), KEY, SeededEntropy(1))


def test_kept_replaced_and_removed() -> None:
    shelf = IndexShelf(MemoryDisk(), "/records")
    assert shelf.names() == set()
    shelf.put("a", sealed("a", "first"))
    before = shelf.filter("a", KEY)
    assert shelf.filter("a", KEY) is before
    shelf.put("a", sealed("a", "second"))
    assert shelf.filter("a", KEY) != before
    shelf.put("b", index_file.failed("broken"))
    assert shelf.filter("b", KEY) is None
    assert shelf.names() == {"a", "b"}
    shelf.remove("a")
    shelf.remove("a")
    with pytest.raises(NotFound):
        shelf.filter("a", KEY)


def test_filters_in_memory_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_shelf, "FILTER_BYTES", 3000)
    shelf = IndexShelf(MemoryDisk(), "/records")
    for number in range(20):
        shelf.put(str(number), sealed(str(number), "x"))
        shelf.filter(str(number), KEY)
    assert shelf._held <= 3000
    assert len(shelf._filters) == 2
