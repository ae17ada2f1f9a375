"""Expiry: the number that stands for a moment at rest, and the task that sweeps away what has expired.

Expired items are invisible at once, whoever reads; sweeping only frees their place and tells watches.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable

from teleport.base.tasks import spawn

EVERY = 5.0
"""Seconds between sweeps."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


def to_number(moment: dt.datetime) -> int:
    """Return the microseconds since 1970 of an aware moment, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def from_number(microseconds: int) -> dt.datetime:
    """Return the moment, in UTC."""
    return _EPOCH + microseconds * _MICROSECOND


def start_sweeping(
    sweep: Callable[[], Awaitable[int]], interval: float, *, wanted: Callable[[], bool]
) -> asyncio.Task[None]:
    """Call `sweep` every `interval` seconds for as long as `wanted()`; the caller keeps and cancels the task."""
    loop = asyncio.get_running_loop()

    async def run() -> None:
        while wanted():
            await asyncio.sleep(interval)
            await sweep()

    def failed(error: BaseException) -> None:
        loop.call_exception_handler({"message": "sweeping of expired items stopped", "exception": error})

    return spawn(run(), name="store: sweep expired items", on_error=failed)
