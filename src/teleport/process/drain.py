"""A network whose listeners can be drained: no new connections, those that are open go on to their end.

It stands between the services and the machine's network, so that no service needs to know. Here also: how
many connections each address serves. Not here: when to drain (`process.life`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Protocol

from teleport.base import tasks
from teleport.net.listen import Handler, Limits, Listener
from teleport.net.network import Network
from teleport.net.stream import Stream

CUT = 1.0
"""Seconds that connections get to end by themselves when a service is stopped."""


class Drainable(Protocol):
    """What may have connections when the process shall end."""

    @property
    def address(self) -> str:
        """For whoever counts connections."""
        ...

    @property
    def waited_for(self) -> bool:
        """Whether the end waits for its connections."""
        ...

    @property
    def spare(self) -> bool:
        """Whether its connections, which came to a listener and are counted there too, are not waited for."""
        ...

    def __len__(self) -> int: ...

    def drain(self, bound: float, on_error: Callable[[BaseException], None]) -> None:
        """Accept no more. Connections that are open after `bound` seconds are cut."""
        ...


class DrainableNetwork:
    """Dials and listens like the network inside it."""

    def __init__(self, inner: Network, *, kept: Collection[str] = (), cut: float = CUT) -> None:
        """Listeners of the addresses `kept`, and unix sockets, stay open while others drain."""
        self._inner = inner
        self._kept = kept
        self._cut = cut
        self._listeners: list[Drainable] = []
        self.draining = False

    async def dial(self, address: str) -> Stream:
        """See Network.dial."""
        return await self._inner.dial(address)

    async def listen(self, address: str, handler: Handler, *, limits: Limits | None = None) -> DrainableListener:
        """See Network.listen. While draining, what is opened anew serves nobody."""
        listener = DrainableListener(handler, self._cut, forget=self._forget)
        await listener.open(self._inner, address, limits)
        listener.waited_for = not address.startswith("unix:") and address not in self._kept
        self._listeners.append(listener)
        if self.draining and listener.waited_for:
            listener.drain(0.0, lambda _: None)
        return listener

    def add(self, other: Drainable) -> None:
        """Take something that gets its connections in another way, and drain it too."""
        self._listeners.append(other)
        if self.draining:
            other.drain(0.0, lambda _: None)

    def connections(self) -> dict[str, int]:
        """Return how many connections each address serves now."""
        return {listener.address: len(listener) for listener in self._listeners}

    def open(self) -> dict[str, int]:
        """Return what draining waits for: addresses with connections, and how many."""
        found = {
            listener.address: len(listener) for listener in self._listeners if listener.waited_for and len(listener)
        }
        return found if sum(found.values()) > sum(len(each) for each in self._listeners if each.spare) else {}

    def drain(self, bound: float, on_error: Callable[[BaseException], None], *, everywhere: bool = False) -> None:
        """Accept no more. Connections that are open after `bound` seconds are cut. `everywhere`: also where listeners
        would stay open otherwise, because another process has them."""
        self.draining = True
        for listener in tuple(self._listeners):
            if listener.waited_for or listener.spare or everywhere:
                listener.drain(bound, on_error)

    def _forget(self, listener: DrainableListener) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)


class DrainableListener:
    """A listener that its service believes open until the service itself closes it."""

    def __init__(self, handler: Handler, cut: float, *, forget: Callable[[DrainableListener], None]) -> None:
        self._handler = handler
        self._cut = cut
        self._forget = forget
        self._count = 0
        self._inner: Listener
        self._closed = asyncio.Event()
        self._draining: asyncio.Task[None] | None = None
        self.waited_for, self.spare = True, False

    async def open(self, network: Network, address: str, limits: Limits | None) -> None:
        """Begin to listen. Raises what `Network.listen` raises."""
        self._inner = await network.listen(address, self._serve, limits=limits)

    @property
    def address(self) -> str:
        """See Listener.address."""
        return self._inner.address

    def __len__(self) -> int:
        return self._count

    async def close(self, grace: float | None = None) -> None:
        """See Listener.close; connections get `cut` seconds at most."""
        self._closed.set()
        self._forget(self)
        await self._inner.close(self._cut if grace is None else min(grace, self._cut))
        if self._draining is not None:
            await tasks.cancel(self._draining)

    async def serve_forever(self) -> None:
        """See Listener.serve_forever."""
        await self._closed.wait()

    def drain(self, bound: float, on_error: Callable[[BaseException], None]) -> None:
        """Accept no more; cut what is open after `bound` seconds."""
        if self._draining is None:
            name = f"drain {self.address}"
            self._draining = tasks.spawn(self._inner.close(bound), name=name, on_error=on_error)

    async def _serve(self, stream: Stream) -> None:
        self._count += 1
        try:
            await self._handler(stream)
        finally:
            self._count -= 1
