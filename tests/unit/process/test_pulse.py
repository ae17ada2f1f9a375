"""The beat of the event loop, on a clock that the test moves."""

import asyncio
from contextlib import suppress

from teleport.process.pulse import BEAT, Pulse


class Hands:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_lag_is_what_exceeds_a_beat():
    hands = Hands()
    pulse = Pulse(hands)
    hands.now += BEAT
    pulse.beat()
    assert pulse.lag == 0.0
    hands.now += BEAT + 0.5
    pulse.beat()
    hands.now += BEAT
    pulse.beat()
    assert (pulse.lag, pulse.worst) == (0.0, 0.5)


def test_silence_begins_after_a_missed_beat():
    hands = Hands()
    pulse = Pulse(hands)
    hands.now += 2 * BEAT
    assert pulse.silence == 0.0
    hands.now += 7
    assert pulse.silence == 7


def test_waits_are_known_from_the_first_note_on_and_forgotten_with_progress():
    async def body():
        hands = Hands()
        pulse = Pulse(hands)
        first, second = asyncio.Event(), asyncio.Event()

        async def waiter():
            await first.wait()
            await second.wait()

        task = asyncio.get_running_loop().create_task(waiter())
        await asyncio.sleep(0)
        assert pulse.waited(task) == 0
        pulse.note({task})
        hands.now += 30
        pulse.note({task})
        assert pulse.waited(task) == 30
        first.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert pulse.waited(task) == 0
        pulse.note({task})
        hands.now += 5
        assert pulse.waited(task) == 5
        second.set()
        await task

    asyncio.run(body())


def test_it_beats_by_itself():
    async def body():
        pulse = Pulse()
        began = pulse.last
        task = asyncio.get_running_loop().create_task(pulse.run())
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(task), 1.2 * BEAT)
        assert pulse.last > began
        assert pulse.waited(task) >= 0
        task.cancel()

    asyncio.run(body())
