"""PassedOn: connections to the Auth Service that go through this proxy, and how they end when it stops.

Services behind the proxy keep theirs open for as long as they run, and open others when they are lost. So a proxy that
stops does not wait for their end: it cuts each as soon as nothing is under way in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from teleport.base import tasks
from teleport.net.relay import Relay

QUIET = 2.0
"""Seconds without a byte after which nothing is under way."""
LONGEST = 30.0
"""Seconds after which what is never quiet is cut too."""


class PassedOn:
    """A set of connections. It drains with the process (`process.drain`)."""

    def __init__(self) -> None:
        self.address = "connections to the Auth Service"
        """For whoever counts connections."""
        self.waited_for, self.spare = True, False
        self._relays: set[Relay] = set()
        self._ending: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._relays)

    async def run(self, relay: Relay) -> None:
        """Run one to its end. Raises what `Relay.run` raises."""
        self._relays.add(relay)
        try:
            await relay.run()
        finally:
            self._relays.discard(relay)

    def drain(self, bound: float, on_error: Callable[[BaseException], None]) -> None:
        """Cut what is quiet."""
        if self._ending is None:
            self._ending = tasks.spawn(self._end(), name="connections to the Auth Service", on_error=on_error)

    async def _end(self) -> None:
        loop = asyncio.get_running_loop()
        latest = loop.time() + LONGEST
        while self._relays:
            before = {relay: relay.sent + relay.received for relay in self._relays}
            await asyncio.sleep(QUIET)
            for relay, moved in before.items():
                if relay.sent + relay.received == moved or loop.time() >= latest:
                    relay.cut("the proxy stops")
