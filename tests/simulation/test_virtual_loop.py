"""The virtual loop itself."""

import asyncio
import datetime as dt
import time

import pytest

from teleport.base.entropy import new_id
from tests.support.virtual_loop import START, Deadlock, current, run

DAY = 86400


def test_a_thousand_timers_for_a_day_take_no_time() -> None:
    async def renewals(index: int) -> int:
        count = 0
        while current().time() < DAY:
            await asyncio.sleep(1200 + index)
            count += 1
        return count

    async def main() -> int:
        return sum(await asyncio.gather(*(renewals(index) for index in range(1000))))

    began = time.monotonic()
    assert run(main()) == sum(-(-DAY // (1200 + index)) for index in range(1000))
    assert time.monotonic() - began < 20


def test_clock_follows_the_loop() -> None:
    async def main() -> dt.timedelta:
        await asyncio.sleep(3600.5)
        return current().clock.now() - START

    assert run(main()) == dt.timedelta(seconds=3600.5)


def test_order_and_entropy_are_repeatable() -> None:
    async def main() -> list[str]:
        seen: list[str] = []

        async def worker(name: str) -> None:
            for _ in range(3):
                await asyncio.sleep(current().entropy.token(1)[0])
                seen.append(name + new_id(current().entropy))

        await asyncio.gather(*(worker(name) for name in "abc"))
        return seen

    assert run(main(), seed=7) == run(main(), seed=7)
    assert run(main(), seed=7) != run(main(), seed=8)


def test_deadlock_is_found_and_names_the_seed() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock) as found:
        run(main(), seed=42)
    assert "seed=42" in found.value.__notes__[0]


def test_timeouts_are_virtual() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(900):
                await asyncio.Event().wait()
        return current().time()

    assert run(main()) == 900


def test_threads_run_inline() -> None:
    async def main() -> int:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        return await asyncio.to_thread(lambda: 5)

    assert run(main()) == 5


def test_failure_that_nobody_awaited_fails_the_run() -> None:
    async def main() -> None:
        current().call_soon(lambda: 1 // 0)
        await asyncio.sleep(1)

    with pytest.raises(ZeroDivisionError):
        run(main())
