"""Files of indexes: sealed, each part for itself."""

from __future__ import annotations

import pytest

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import BadParameter
from teleport.store.recordings import index_contents, index_file
from teleport.store.recordings.index_filter import Question
from teleport.store.recordings.index_lines import Collector, find

KEY, OTHER = bytes(32), bytes([1]) * 32


def sealed(name: str = "s-1") -> bytes:
    collector = Collector()
    collector.plain(["a secret line", "another"], 5)
    return index_file.seal(name, index_contents.of(collector.lines()), KEY, SeededEntropy(1))


def opened(data: bytes) -> None:
    file = index_file.read("s-1", data)
    index_file.open_filter(file, KEY)
    index_file.open_lines(file, KEY)


def test_sealed_and_opened() -> None:
    data = sealed()
    assert b"secret" not in data
    file = index_file.read("s-1", data)
    assert Question("secret").possible(index_file.open_filter(file, KEY))
    assert find(index_file.open_lines(file, KEY), "secret", limit=5)[0].at == 5


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_part_opens_in_its_own_place_alone(part: int) -> None:
    file = index_file.read("s-1", sealed())
    for name, number, key in (("s-2", part, KEY), ("s-1", (part + 1) % 3, KEY), ("s-1", part, OTHER)):
        with pytest.raises(BadParameter) as caught:
            index_file.open_part(name, number, file.parts[part], key)
        assert caught.value.code == "INDEX-DAMAGED"


def test_every_changed_byte_is_noticed() -> None:
    data = sealed()
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises(BadParameter):
            opened(bytes(changed))


def test_what_is_cut_is_refused() -> None:
    data = sealed()
    for size in (0, 3, 10, 40, len(data) - 1):
        with pytest.raises(BadParameter):
            index_file.read("s-1", data[:size])


def test_a_recording_that_has_no_index_says_why() -> None:
    file = index_file.read("s-1", index_file.failed("it broke"))
    assert (file.problem, file.parts) == ("it broke", ())
    assert index_file.read("s-1", index_file.failed("")).problem
