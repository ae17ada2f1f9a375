"""The generated messages are those of the published .proto files."""

from __future__ import annotations

from scripts import proto


def test_generated_files_are_fresh() -> None:
    assert proto.stale() == [], "run `make proto`"
