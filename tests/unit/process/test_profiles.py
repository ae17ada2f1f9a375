"""Profiles of this very process."""

import asyncio
import threading

from teleport.base.clock import SystemClock
from teleport.process import profiles
from teleport.process.pulse import Pulse
from tests.unit.process.test_pprof import decoded

CLOCK = SystemClock()


def test_cpu_time_is_found_where_it_was_spent():
    stop = threading.Event()

    def burn():
        while not stop.is_set():
            sum(range(1000))

    def idle():
        stop.wait()

    threads = [threading.Thread(target=burn, name="burn"), threading.Thread(target=idle, name="idle")]
    for thread in threads:
        thread.start()
    try:
        found = decoded(profiles.cpu(0.4, CLOCK))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    spent = {}
    for _, values, labels in found["samples"]:
        spent[labels["thread"]] = spent.get(labels["thread"], 0) + values[1]
    assert spent["burn"] > 50_000_000
    assert spent.get("idle", 0) < spent["burn"] / 10
    idle = [values[0] for _, values, labels in found["samples"] if labels["thread"] == "idle"]
    assert sum(idle) < 3  # waiting is no CPU time
    functions = {frame[0] for frames, _, labels in found["samples"] if labels["thread"] == "burn" for frame in frames}
    assert any(name.endswith("burn") for name in functions)


def test_goroutine_has_tasks_and_threads_with_their_states():
    async def body():
        loop = asyncio.get_running_loop()
        task = loop.create_task(asyncio.sleep(60))
        await asyncio.sleep(0)
        data = profiles.goroutine(loop, threading.get_ident(), Pulse(), CLOCK)
        task.cancel()
        return decoded(data)

    found = asyncio.run(body())
    labels = [labels for _, _, labels in found["samples"]]
    assert {"kind": "task", "state": "sleep"} in labels
    assert {"kind": "thread", "state": "running"} in labels


def test_heap_counts_living_objects_by_type():
    class Peculiar:
        def __init__(self):
            self.own = self  # the collector tracks what can refer to something

    Peculiar.__module__ = property()  # libraries have types like this one
    kept = [Peculiar() for _ in range(1000)]
    before = profiles.TYPES
    profiles.TYPES = 100_000
    try:
        found = decoded(profiles.heap(CLOCK))
    finally:
        profiles.TYPES = before
    (count,) = [values[0] for frames, values, _ in found["samples"] if frames[0][0].endswith("Peculiar")]
    assert count == len(kept)


def test_allocs_finds_what_was_allocated_meanwhile():
    kept = []
    data = profiles.allocs(0.0, CLOCK, wait=lambda _: kept.append(bytearray(5_000_000)))
    largest = max(decoded(data)["samples"], key=lambda sample: sample[1][1])
    assert largest[1][1] >= 5_000_000
    assert any(frame[1] == __file__ for frame in largest[0])


def test_cmdline():
    assert b"python" in profiles.cmdline() or b"pytest" in profiles.cmdline()
