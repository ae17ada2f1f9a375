"""Every kind of Stream passes the same checks."""

import asyncio
from pathlib import Path

import pytest

from tests.support import check_stream
from tests.support.pairs import pairs


@pytest.mark.parametrize("one", check_stream.CHECKS, ids=lambda one: one.__name__.removeprefix("check_"))
@pytest.mark.parametrize("kind", pairs(Path()))
def test_stream(kind: str, one: check_stream.Check, tmp_path: Path) -> None:
    asyncio.run(check_stream.check(pairs(tmp_path)[kind], one))
