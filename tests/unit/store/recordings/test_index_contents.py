"""Contents of an index on their way from the program that draws."""

from __future__ import annotations

import zlib

import pytest

from teleport.base.errors import BadParameter
from teleport.store.recordings import index_contents
from teleport.store.recordings.index_contents import pack, unpack
from teleport.store.recordings.index_filter import Question
from teleport.store.recordings.index_lines import Lines


def test_what_is_packed_is_unpacked() -> None:
    contents = index_contents.of(Lines("한글 line\n", b"times", 3, 500))
    assert unpack(pack(contents)) == contents
    assert zlib.decompress(contents.text).decode() == "한글 line\n"
    assert (zlib.decompress(contents.times), contents.dropped, contents.dropped_at) == (b"times", 3, 500)
    assert Question("글 line").possible(contents.filter)
    assert not Question("absent").possible(contents.filter)


def test_nonsense_is_told() -> None:
    whole = pack(index_contents.of(Lines("a line\n", b"")))
    for broken in (b"", b"nonsense", whole[:-3], b"\xc1"):
        with pytest.raises(BadParameter) as caught:
            unpack(broken)
        assert caught.value.code == "INDEX-DAMAGED"
