"""OpenTunnels: tunnels that a proxy has taken, and how they end when it stops.

Whoever is at the other end hears that the proxy takes no more streams, and goes to another proxy, or to another process
of this one; what is open goes on. Tunnels that this proxy itself uses stay for the connections that it still has, until
the process ends. Others are closed, and the process waits for that (`process.drain`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from teleport.base import tasks
from teleport.base.log import logger
from teleport.net.tunnel import Tunnel

log = logger("PROXY:SERVER")


class OpenTunnels:
    """A set of tunnels. It drains with the process."""

    def __init__(self, address: str, leaving: Callable[[], None] = lambda: None, *, used: bool = False) -> None:
        """`address` is for whoever counts connections; `leaving` is called when the process begins to drain; `used`:
        this proxy opens streams in them."""
        self.address = address
        self.waited_for = not used
        self.spare = used
        self.draining = False
        self._leaving = leaving
        self._tunnels: set[Tunnel] = set()
        self._ending: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._tunnels)

    def add(self, tunnel: Tunnel) -> None:
        """Take one. One that comes while the process drains ends at once."""
        self._tunnels.add(tunnel)
        if self.draining:
            self._end(tunnel, _failed, keep=False)

    def discard(self, tunnel: Tunnel) -> None:
        """Forget one that is closed."""
        self._tunnels.discard(tunnel)

    def drain(self, bound: float, on_error: Callable[[BaseException], None]) -> None:
        """Tell everybody; close what is not used when nothing is open in it any more."""
        self.draining = True
        self._leaving()
        for tunnel in self._tunnels:
            self._end(tunnel, on_error, keep=self.spare)

    def _end(self, tunnel: Tunnel, on_error: Callable[[BaseException], None], *, keep: bool) -> None:
        task = tasks.spawn(_retire(tunnel, keep), name="tunnel draining", on_error=on_error)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


async def _retire(tunnel: Tunnel, keep: bool) -> None:
    await tunnel.drain()
    if not keep:
        await tunnel.close("this proxy stops")


def _failed(error: BaseException) -> None:
    log.debug("A tunnel is not drained", error=error)
