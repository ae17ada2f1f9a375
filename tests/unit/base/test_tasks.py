"""No failure is lost; loops keep their rhythm; cancelling waits."""

import asyncio

from teleport.base.entropy import SeededEntropy
from teleport.base.tasks import cancel, every, lull, spawn
from tests.support import virtual_loop


def test_failure_is_handed_on():
    heard = []

    async def fail() -> None:
        raise ValueError("lost?")

    async def main() -> None:
        task = spawn(fail(), name="failing", on_error=heard.append)
        assert task.get_name() == "failing"
        await asyncio.wait([task])
        await asyncio.sleep(0)

    asyncio.run(main())
    assert str(heard[0]) == "lost?"


def test_success_and_cancellation_are_no_failure():
    heard = []

    async def main() -> None:
        task = spawn(asyncio.sleep(0), name="ok", on_error=heard.append)
        await task
        task = spawn(asyncio.Event().wait(), name="long", on_error=heard.append)
        await cancel(task)
        assert task.cancelled()

    asyncio.run(main())
    assert heard == []


def test_cancel_waits_for_whatever_the_task_ends_with():
    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("while ending")

    async def main() -> None:
        heard: list[BaseException] = []
        task = spawn(stubborn(), name="stubborn", on_error=heard.append)
        await asyncio.sleep(0)
        await cancel(task)
        assert [str(e) for e in heard] == ["while ending"]

    asyncio.run(main())


def test_every_runs_again_until_cancelled():
    async def main() -> None:
        thrice = asyncio.Event()
        runs = []

        async def step() -> None:
            runs.append(1)
            if len(runs) == 3:
                thrice.set()

        task = spawn(every(0.001, step, entropy=SeededEntropy(1)), name="loop", on_error=print)
        await asyncio.wait_for(thrice.wait(), 5)
        await cancel(task)

    asyncio.run(main())


def test_a_lull_is_waited_for_but_not_for_ever():
    done = [0]

    async def main() -> list[float]:
        loop, took = asyncio.get_running_loop(), list[float]()
        for busy in (0.0, 0.35, 60.0):
            began = loop.time()

            async def work(ends: float) -> None:
                while loop.time() < ends:
                    done[0] += 1
                    await asyncio.sleep(0.05)

            task = spawn(work(began + busy), name="work", on_error=lambda error: None)
            await lull(lambda: done[0], pause=0.1, most=2.0)
            took.append(round(loop.time() - began, 1))
            await cancel(task)
        return took

    idle, short, long = virtual_loop.run(main())
    assert idle <= 0.2
    assert 0.35 < short <= 0.6
    assert long == 2.0
