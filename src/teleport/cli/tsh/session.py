"""How a `tsh` command reaches the cluster: credentials, one connection, one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from teleport.api.client import AuthClient
from teleport.base.clock import SystemClock
from teleport.cli.tsh.quick import credentials
from teleport.client.cluster import connect
from teleport.client.credentials import Credentials, Wanted
from teleport.client.profile import Profile
from teleport.net.network import SystemNetwork

T = TypeVar("T")


def call(who: Wanted, work: Callable[[AuthClient], Awaitable[T]]) -> T:
    """Run `work` with a client of the cluster.

    Raises what `client.credentials` raises, NotAuthenticated (CLIENT-EXPIRED) and what `work` raises.
    """
    chosen = credentials(who)
    chosen.check_valid(SystemClock())
    return ask(chosen, work)


def call_as(who: Wanted, work: Callable[[AuthClient, Profile], Awaitable[T]]) -> T:
    """As `call`, for work that also looks at whose credentials they are."""
    chosen = credentials(who)
    chosen.check_valid(SystemClock())
    return ask(chosen, lambda client: work(client, chosen.profile))


def ask(chosen: Credentials, work: Callable[[AuthClient], Awaitable[T]]) -> T:
    """Run `work` with a client of the cluster, as somebody who is known already. Raises what `work` raises."""

    async def run() -> T:
        async with connect(chosen.home, chosen.profile, SystemNetwork()) as client:
            return await work(client)

    with chosen.in_use():
        return asyncio.run(run())


async def collect(series: AsyncIterator[T]) -> list[T]:
    """Return everything that a listing yields."""
    return [entry async for entry in series]
