"""Watching the programs that were started beside this process: the signer and the spawner.

Neither is started again: a signer that died may have been killed for a reason, and a spawner can only be
started before the event loop. What works without them goes on; that something is missing shows in the log,
again and again, and in readiness, so that whoever runs the process can restart it.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable

from teleport.base.errors import Unavailable


class Child:
    """A program beside this one, as a service: ready while it runs. For an `Entry` that is not critical."""

    def __init__(self, name: str, pid: int) -> None:
        """`pid` is a child of this process that somebody else waits for."""
        self.name = name
        self._pid = pid

    async def run(self, ready: Callable[[], None]) -> None:
        """Wait for its end. Raises Unavailable (PROC-CHILD-GONE)."""
        try:
            descriptor = os.pidfd_open(self._pid)
        except ProcessLookupError:
            raise Unavailable("PROC-CHILD-GONE", child=self.name) from None
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(descriptor, ended.set)  # readable at its end, before anybody has waited for it
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            if not poll.poll(0):
                ready()
            await ended.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        raise Unavailable("PROC-CHILD-GONE", child=self.name)
