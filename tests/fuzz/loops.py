"""Event loops for targets that need one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from tests.fuzz.engine import Run

PATIENCE = 5.0
"""Seconds after which a connection that should have ended counts as one that never does."""


@contextlib.contextmanager
def loop() -> Iterator[asyncio.Runner]:
    """One event loop for a whole run, and no log: half of what is sent is worth a warning."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with asyncio.Runner() as runner:
            yield runner
    finally:
        logging.disable(before)


def asynchronous(body: Callable[[bytes], Awaitable[object]]) -> Callable[[], Any]:
    """Return `open` for a target that is a coroutine."""

    @contextlib.contextmanager
    def opened() -> Iterator[Run]:
        with loop() as runner:

            async def limited(data: bytes) -> object:
                async with asyncio.timeout(PATIENCE):
                    return await body(data)

            yield lambda data: runner.run(limited(data))

    return opened
