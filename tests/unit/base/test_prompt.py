"""Prompt: what is done at once, and what a slow disk sends to the threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from teleport.base.prompt import PROOF, SLOW, SLOW_THERE, Prompt


class Desk:
    """Work of chosen length, by a clock that only it moves."""

    def __init__(self) -> None:
        self.at = 0.0
        self.threads = 0
        self.prompt = Prompt(lambda: self.at)

    async def thread(self, work: Callable[[], int]) -> int:
        self.threads += 1
        return work()

    async def do(self, seconds: float, *, ready: bool = True) -> bool:
        """Return whether it was done at once."""

        def work() -> int:
            self.at += seconds
            return 7

        before = self.threads
        assert await self.prompt.run(work, self.thread, ready=ready) == 7
        return self.threads == before


def test_work_that_was_quick_is_done_at_once() -> None:
    async def story() -> None:
        desk = Desk()
        assert [await desk.do(SLOW_THERE / 2) for _ in range(PROOF + 2)] == [False] * PROOF + [True, False]
        assert [await desk.do(0.0) for _ in range(PROOF)] == [False] * (PROOF - 1) + [True]
        assert not await desk.do(0.0, ready=False)
        assert await desk.do(SLOW * 2)
        assert not await desk.do(0.0)

    asyncio.run(story())


def test_a_slow_thread_has_to_prove_itself_anew() -> None:
    async def story() -> None:
        desk = Desk()
        for _ in range(PROOF - 1):
            await desk.do(0.0)
        await desk.do(SLOW_THERE * 2)
        assert [await desk.do(0.0) for _ in range(PROOF + 1)] == [False] * PROOF + [True]

    asyncio.run(story())


def test_what_work_raises_comes_through() -> None:
    def work() -> int:
        raise ValueError("of the work")

    async def story() -> None:
        desk = Desk()
        with pytest.raises(ValueError, match="work"):
            await desk.prompt.run(work, desk.thread)

    asyncio.run(story())
