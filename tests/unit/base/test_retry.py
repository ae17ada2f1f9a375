"""Back-off and deadlines, in a loop whose time is ours."""

import asyncio

import pytest

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import BadParameter, TimedOut, Unavailable
from teleport.base.retry import Backoff, retry


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time jumps to the next timer as soon as nothing is ready."""

    def __init__(self) -> None:
        super().__init__()
        self._offset = 0.0
        select = self._selector.select
        self._selector.select = lambda timeout=None: self._jump(select, timeout)

    def _jump(self, select, timeout):
        if timeout:
            self._offset += timeout
        return select(0)

    def time(self) -> float:
        return 1000.0 + getattr(self, "_offset", 0.0)


def run(work):
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


class Full:
    """Entropy whose fractions are just below 1: the longest waits."""

    def token(self, size: int) -> bytes:
        return b"\xff" * size


def failing(times: int, error: Exception | None = None):
    calls = []

    async def attempt() -> int:
        calls.append(asyncio.get_running_loop().time())
        if len(calls) <= times:
            raise error or Unavailable("DISK-FULL", path="x")
        return len(calls)

    return attempt, calls


def test_waits_grow_to_the_most():
    waits = Backoff(first=1, factor=2, most=5).waits(Full())
    assert [round(next(waits), 3) for _ in range(5)] == [1, 2, 4, 5, 5]


def test_waits_are_jittered_over_the_whole_range():
    waits = Backoff(first=1, factor=1).waits(SeededEntropy(1))
    found = [next(waits) for _ in range(200)]
    assert min(found) < 0.1
    assert max(found) > 0.9


def test_succeeds_after_failures_and_tells_of_them():
    attempt, calls = failing(2)
    heard = []
    result = run(retry(attempt, entropy=Full(), backoff=Backoff(first=1), on_failure=lambda e, w: heard.append(w)))
    assert result == 3
    assert [round(w, 3) for w in heard] == [1, 2]
    assert [round(t - calls[0], 3) for t in calls] == [0, 1, 3]


def test_other_errors_are_raised_at_once():
    attempt, calls = failing(5, BadParameter("CFG-SWITCH", value="x"))
    with pytest.raises(BadParameter):
        run(retry(attempt, entropy=Full()))
    assert len(calls) == 1


def test_after_the_deadline_the_last_failure_is_raised():
    attempt, calls = failing(99)
    with pytest.raises(Unavailable) as caught:
        run(retry(attempt, entropy=Full(), within=10, backoff=Backoff(first=1)))
    assert caught.value.code == "DISK-FULL"
    assert calls[-1] - calls[0] < 10


def test_attempt_that_never_ends_is_cut_at_the_deadline():
    async def attempt() -> None:
        await asyncio.sleep(1e6)

    with pytest.raises(TimedOut, match="within 10 s") as caught:
        run(retry(attempt, entropy=Full(), within=10))
    assert caught.value.code == "RETRY-TIMEOUT"


def test_hanging_later_attempt_reports_the_earlier_failure():
    calls = []

    async def attempt() -> None:
        calls.append(1)
        if len(calls) > 1:
            await asyncio.sleep(1e6)
        raise Unavailable("DISK-FULL", path="x")

    with pytest.raises(Unavailable):
        run(retry(attempt, entropy=Full(), within=10))
    assert len(calls) == 2
