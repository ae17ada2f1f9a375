"""Places of processes that share a data directory, on a disk and in virtual time."""

import asyncio

import pytest

from teleport.base import tasks
from teleport.base.disk import SystemDisk
from teleport.base.errors import Unavailable
from teleport.process.place import LOOK_EVERY, MOST, Place
from tests.support.virtual_loop import run


def test_each_process_has_its_own_and_the_first_the_usual_names(tmp_path):
    disk = SystemDisk()
    first, second = Place(disk, tmp_path), Place(disk, tmp_path)
    assert (first.number, first.name("node"), second.name("node")) == (1, "node", "node-2")
    assert not first.alone
    first.release()
    assert second.alone
    assert Place(disk, tmp_path).number == 1
    for _ in range(MOST - 2):
        Place(disk, tmp_path)
    with pytest.raises(Unavailable):
        Place(disk, tmp_path)


def test_what_somebody_has_left_is_taken_when_they_are_gone(tmp_path):
    async def body():
        disk = SystemDisk()
        first, second = Place(disk, tmp_path), Place(disk, tmp_path)
        left, taken = {1, 5}, []

        async def work(number):
            taken.append(number)
            if number == 5 and len(taken) == 1:
                raise Unavailable("NET-REFUSED", address="auth")
            left.discard(number)

        inheriting = tasks.spawn(
            second.inherit(lambda number: number in left, work), name="inheriting", on_error=left.add
        )
        await asyncio.sleep(1)
        assert taken == [5], "the first one is still there"
        first.release()
        await asyncio.sleep(LOOK_EVERY)
        assert (taken, left) == ([5, 1, 5], set())
        await tasks.cancel(inheriting)

    run(body())
