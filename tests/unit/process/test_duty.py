"""Which of two processes speaks for the host."""

import asyncio

from teleport.base import tasks
from teleport.process.duty import Duty


def test_it_is_on_until_it_is_handed_over_and_may_come_back():
    async def body():
        duty, told = Duty(), []
        await duty.wait()
        with duty.telling(lambda: told.append(duty.on)):
            duty.hand_over()
        waiting = tasks.spawn(duty.wait(), name="waiting", on_error=told.append)
        await asyncio.sleep(0)
        assert (duty.on, told, waiting.done()) == (False, [False], False)
        duty.take_back()
        await waiting
        duty.hand_over()
        assert told == [False]

    asyncio.run(body())
