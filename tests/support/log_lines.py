"""The log of a test: what the code under test said, and everything as it was before afterwards."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from teleport.base import log


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """The lines written during the test, from level INFO up."""
    root, ours = logging.getLogger(), logging.getLogger("teleport")  # noqa: TID251 - put back as it was
    handlers, levels = list(root.handlers), (root.level, ours.level)
    out = io.StringIO()
    log.setup(level="INFO", stream=out)
    yield out
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])
