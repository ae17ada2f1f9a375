"""No failure is lost; loops keep their rhythm; cancelling waits."""

import asyncio

from teleport.base.entropy import SeededEntropy
from teleport.base.tasks import cancel, every, spawn


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
