"""Static tokens with what stands in the files that they name."""

from __future__ import annotations

import pytest

from teleport.base.disk import MemoryDisk
from teleport.base.errors import NotFound
from teleport.model.config.static_token import parse
from teleport.process.static_tokens import read


def test_a_file_holds_the_secret() -> None:
    disk = MemoryDisk()
    disk.make_dir("/etc")
    entries = [parse("node:abc"), parse("app:/etc/token")]
    with pytest.raises(NotFound):
        read(entries, disk)
    disk.write("/etc/token", b" secret \n")
    assert [token.name for token in read(entries, disk)] == ["abc", "secret"]
