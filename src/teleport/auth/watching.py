"""Watching: what one caller is told of changes, for as long as they may be told.

Rights are looked at with every change. A watch on which nothing happens must not outlive them either: each one also
hears of every lock and role, and looks at the clock, so that it ends within seconds when its caller is locked, loses
the role, or holds a certificate that is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing

from teleport.api.caller import Caller, check_validity
from teleport.api.messages import Change, Name
from teleport.auth.authorize import Authorizer, Rights
from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.model.kinds.lock import Lock
from teleport.model.kinds.role import Role
from teleport.model.resource import KindInfo, Resource
from teleport.store.backend import Init
from teleport.store.resources import ResourceChanged, ResourceEvent
from teleport.store.resources import Resources as Store

LOOK_EVERY = 15.0
"""Seconds between looks at the caller's rights while nothing happens."""

_DECIDING = (Lock.info, Role.info)


async def changes(
    store: Store, authorizer: Authorizer, clock: Clock, caller: Caller, infos: Sequence[KindInfo],
    verbs: tuple[str, str],
) -> AsyncGenerator[Change, None]:  # fmt: skip
    """Yield `init` and then every change of these kinds that the caller may see.

    Raises AccessDenied (POL-*) and NotAuthenticated (API-EXPIRED) when the caller's rights end, Unavailable
    (STORE-WATCH-BEHIND) when the caller reads too slowly.
    """
    view = _View(authorizer, clock, caller, verbs, infos)
    await view.check()
    heard = {info.name: info for info in (*infos, *_DECIDING)}.values()
    async with store.watch(*heard) as events, aclosing(_timed(events, view)) as timed:
        async for event in timed:
            if isinstance(event, Init):
                await view.remember(store)
                yield Change("init")
            elif (change := await view.change(event)) is not None:
                yield change


async def _timed(events: AsyncIterator[ResourceEvent], view: _View) -> AsyncGenerator[ResourceEvent, None]:
    """Yield the events; look at the view's rights when there are none."""
    following = _follow(events.__anext__)
    try:
        while True:
            done, _ = await asyncio.wait([following], timeout=view.patience())
            if not done:
                await view.check()
                continue
            try:
                event = following.result()
            except StopAsyncIteration:
                return
            yield event
            following = _follow(events.__anext__)
    finally:
        await tasks.cancel(following)


def _follow(read: Callable[[], Awaitable[ResourceEvent]]) -> asyncio.Task[ResourceEvent]:
    """Start reading. Waiting with a limit must not cancel it: an event could be lost."""

    async def work() -> ResourceEvent:
        return await read()

    return tasks.spawn(work(), name="watch: next event", on_error=lambda _: None)  # whoever waits is told


class _View:
    """What one caller sees of a watch."""

    def __init__(
        self, authorizer: Authorizer, clock: Clock, caller: Caller, verbs: tuple[str, str], infos: Sequence[KindInfo]
    ) -> None:  # fmt: skip
        self._authorizer = authorizer
        self._clock = clock
        self._caller = caller
        self._verbs = verbs
        self._infos = infos
        self._kinds = frozenset(info.name for info in infos)
        self._seen: set[Name] = set()
        """What of the kinds with labels the caller knows of; deletions of other things stay hidden."""

    def patience(self) -> float:
        """Return how many seconds may pass until the next look at the rights."""
        left = (self._caller.known().expires - self._clock.now()).total_seconds()
        return min(max(left + 0.001, 0.1), LOOK_EVERY)

    async def check(self) -> Rights:
        """Return the caller's rights now. Raises AccessDenied when they do not cover the kinds any more."""
        check_validity(self._caller.known(), self._clock)
        rights = await self._authorizer.rights(self._caller)
        for info in self._infos:
            for verb in self._verbs:
                await self._authorizer.demand(rights, verb, info.name)
        return rights

    async def remember(self, store: Store) -> None:
        """Take note of what is visible when the watch begins."""
        rights = await self.check()
        for info in self._infos:
            for resource in await store.list(info):
                if rights.shows(self._verbs, resource):
                    self._seen.add(_name_of(resource))

    async def change(self, event: ResourceEvent) -> Change | None:
        """Return what the caller is told of an event."""
        rights = await self.check()
        if isinstance(event, ResourceChanged):
            name = _name_of(event.resource)
            if name.kind in self._kinds and rights.shows(self._verbs, event.resource):
                self._seen.add(name)
                return Change("put", resource=event.resource)
        elif isinstance(event, Init):
            return None
        else:
            name = Name(event.kind, event.name, event.sub_kind)
        if name not in self._seen:
            return None
        self._seen.discard(name)
        return Change("delete", gone=name)


def _name_of(resource: Resource[object]) -> Name:
    return Name(resource.info.name, resource.name, resource.sub_kind)
