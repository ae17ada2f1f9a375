"""Memory that C code has freed goes back to the system, whatever still stands behind it."""

import asyncio
import subprocess
import sys

import pytest

from teleport.base import tasks
from teleport.base.entropy import SeededEntropy
from teleport.process.heap import GIVE_BACK_EVERY, Heap
from tests.support.virtual_loop import run

START = "import ctypes, threading; from teleport.process.heap import Heap; c = ctypes.CDLL(None);"
START += "c.malloc.restype = ctypes.c_void_p; c.free.argtypes = [ctypes.c_void_p];"


def printed(program):
    return subprocess.run([sys.executable, "-c", START + program], capture_output=True, text=True, check=True).stdout


def test_all_threads_take_memory_from_one_heap():
    program = (
        "Heap().share(); found = [c.malloc(5000)];"
        "thread = threading.Thread(target=lambda: found.append(c.malloc(5000))); thread.start(); thread.join();"
        "print(abs(found[0] - found[1]) < 1 << 26)"
    )
    assert printed(program) == "True\n"


def test_free_memory_before_the_end_of_the_heap_goes_back():
    program = (
        "resident = lambda: int(open('/proc/self/statm').read().split()[1]) * 4096;"
        "c.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t];"
        "taken = [c.malloc(5000) for _ in range(8000)]; [c.memset(at, 1, 5000) for at in taken];"
        "end = c.malloc(5000); [c.free(at) for at in taken]; full = resident();"
        "print(Heap().give_back(), full - resident() > 30_000_000)"
    )
    assert printed(program) == "True True\n"


class Library:
    """A C library that has what glibc has, and counts."""

    def __init__(self):
        self.trimmed = 0

    def malloc_trim(self, left):
        assert left == 0
        self.trimmed += 1
        return 1


def test_it_is_given_back_each_minute():
    library = Library()

    async def body():
        work = tasks.spawn(Heap(library).run(SeededEntropy(1)), name="heap", on_error=pytest.fail)
        await asyncio.sleep(10.5 * GIVE_BACK_EVERY)
        await tasks.cancel(work)

    run(body())
    assert 10 <= library.trimmed <= 12


def test_another_c_library_has_nothing_to_set():
    heap = Heap(object())
    heap.share()
    assert not heap.give_back()
