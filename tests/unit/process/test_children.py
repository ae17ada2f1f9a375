"""Watching the programs beside the process: ready while they run, an error when they end."""

import asyncio
import os
import subprocess
import sys

import pytest

from teleport.base import tasks
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import Unavailable
from teleport.process.children import Child
from teleport.process.supervisor import Entry, Supervisor


@pytest.fixture
def program():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


async def watch(child, ready=lambda: None):
    async with asyncio.timeout(20):
        with pytest.raises(Unavailable) as caught:
            await child.run(ready)
    return caught.value


def test_child_is_ready_until_it_ends(program):
    async def story():
        error = await watch(Child("signer", program.pid), program.kill)
        assert (error.code, error.fields) == ("PROC-CHILD-GONE", {"child": "signer"})

    asyncio.run(story())
    assert program.wait() == -9, "the end is still there for whoever waits for it"


def test_child_that_has_ended_is_never_ready(program):
    program.kill()
    os.waitid(os.P_PID, program.pid, os.WEXITED | os.WNOWAIT)
    told = []

    async def story():
        for _ in range(2):
            assert (await watch(Child("spawner", program.pid), lambda: told.append(1))).code == "PROC-CHILD-GONE"
            program.wait()  # the second time nobody knows it any more

    asyncio.run(story())
    assert told == []


def test_process_goes_on_without_it_but_is_not_ready(program):
    async def story():
        supervisor = Supervisor([Entry(Child("signer", program.pid), critical=False)], entropy=SeededEntropy(1))
        failures = []
        task = tasks.spawn(supervisor.run(lambda: None), name="run", on_error=failures.append)
        async with asyncio.timeout(20):
            while not supervisor.is_ready:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            program.kill()
            while supervisor.is_ready:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert "signer" in supervisor.entries[0].failure
        assert not task.done()
        supervisor.stop()
        await task
        assert failures == []

    asyncio.run(story())


def test_watching_ends_when_it_is_cancelled(program):
    async def story():
        ready = asyncio.Event()
        task = tasks.spawn(Child("signer", program.pid).run(ready.set), name="watch", on_error=print)
        await ready.wait()
        await tasks.cancel(task)
        assert task.cancelled()

    asyncio.run(story())
    assert program.poll() is None
