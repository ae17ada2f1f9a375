"""How a `tsh` command reaches the cluster: the current profile, one connection, one event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from teleport.api.client import AuthClient
from teleport.base.clock import SystemClock
from teleport.base.disk import SystemDisk
from teleport.base.errors import NotAuthenticated
from teleport.client.cluster import connect
from teleport.client.profile import Home
from teleport.net.network import SystemNetwork

T = TypeVar("T")


def call(work: Callable[[AuthClient], Awaitable[T]]) -> T:
    """Run `work` with a client of the cluster of the current profile.

    Raises NotFound (CLIENT-NOT-LOGGED-IN), NotAuthenticated (CLIENT-EXPIRED) and what `work` raises.
    """
    clock = SystemClock()
    home = Home.from_environment(os.environ, SystemDisk())
    profile = home.current()
    if profile.valid_until <= clock.now():
        raise NotAuthenticated(
            "CLIENT-EXPIRED", user=profile.user, proxy=profile.proxy_host, until=profile.valid_until.isoformat()
        )

    async def run() -> T:
        async with connect(home, profile, SystemNetwork()) as client:
            return await work(client)

    return asyncio.run(run())


async def collect(series: AsyncIterator[T]) -> list[T]:
    """Return everything that a listing yields."""
    return [entry async for entry in series]
