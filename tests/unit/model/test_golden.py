"""Every kind's YAML and table, compared with files. `UPDATE_GOLDEN=1 pytest ...` writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from teleport.base.text import table
from teleport.model import resource as kinds
from teleport.model.document import dump_yaml
from tests.unit.model.samples import SAMPLES

GOLDEN = Path(__file__).parents[2] / "golden" / "kinds"


def compare(path: Path, text: str) -> None:
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text)
    assert path.read_text() == text


@pytest.mark.parametrize("kind", sorted(SAMPLES))
def test_yaml(kind: str) -> None:
    compare(GOLDEN / f"{kind}.yaml", dump_yaml([kinds.load(SAMPLES[kind])]))


@pytest.mark.parametrize("kind", sorted(SAMPLES))
def test_table(kind: str) -> None:
    resource = kinds.load(SAMPLES[kind])
    columns = resource.info.columns
    rows = [[column.cell(resource) for column in columns]]
    compare(GOLDEN / f"{kind}.txt", "\n".join(table([c.heading for c in columns], rows)) + "\n")


def test_locks_look_as_other_servers_print_them() -> None:
    printed = (GOLDEN / "lock.yaml").read_text()
    assert "generation\n    mismatch, possibly" in printed
    assert printed.startswith("kind: lock\nmetadata:\n  id: 1658359514703080513\n  name: 5cee")
