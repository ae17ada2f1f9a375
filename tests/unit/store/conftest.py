"""Both drivers behind one fixture: `run(body)` opens a store, runs `await body(backend)`, and closes it."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from teleport.base.clock import ManualClock
from teleport.store.memory import MemoryBackend
from teleport.store.sqlite import SqliteBackend

START = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
Driver = MemoryBackend | SqliteBackend


class Run(Protocol):
    """Opens a store, runs the body with it, closes it, and returns what the body returned."""

    def __call__(self, body: Callable[[Any], Awaitable[Any]], **options: Any) -> Any: ...


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture(params=["memory", "sqlite"])
def run(request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path) -> Run:
    async def whole(body: Callable[[Any], Awaitable[Any]], **options: Any) -> Any:
        backend: Driver
        if request.param == "memory":
            backend = MemoryBackend(clock, **options)
        else:
            backend = await SqliteBackend.open(tmp_path / "backend", clock, **options)
        try:
            return await body(backend)
        finally:
            await backend.close()

    return lambda body, **options: asyncio.run(whole(body, **options))
