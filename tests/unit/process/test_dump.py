"""The text of a dump, in the shape that operators know. Rows S0-24, S0-25, S0-26."""

import asyncio
import os
import re
import threading

from teleport.process import dump
from teleport.process.pulse import Pulse


def make(tasks=0):
    async def body():
        loop = asyncio.get_running_loop()
        waiting = [loop.create_task(asyncio.sleep(60), name=f"waiting {n}") for n in range(tasks)]
        await asyncio.sleep(0)
        text = dump.text(loop, threading.get_ident(), Pulse())
        for task in waiting:
            task.cancel()
        return text

    return asyncio.run(body())


def test_stats_come_first_under_the_known_labels():
    lines = make(3).splitlines()
    assert lines[0] == "Runtime stats"
    assert lines[1] == "goroutines: 4"
    assert re.fullmatch(r"OS threads: [1-9]\d*", lines[2])
    assert lines[3] == f"GOMAXPROCS: {len(os.sched_getaffinity(0))}"
    assert lines[4] == f"num CPU: {os.cpu_count()}"


def test_a_summary_groups_equal_places():
    text = make(5)
    assert re.search(r"(?m)^goroutines: \d+$\n     5 \[sleep\] asyncio.tasks.sleep$", text)


def test_stacks_are_numbered_and_have_states():
    text = make(2)
    body = text.partition("\nGoroutines\n")[2]
    assert body.startswith("goroutine 1 [running]:\n")
    numbers = [int(number) for number in re.findall(r"(?m)^goroutine (\d+) \[[^\]]+\]:$", body)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert "asyncio.tasks.sleep(...)\n\t" in body
    assert "in task waiting 1\n" in body


def test_it_works_before_the_loop_runs():
    text = dump.text(None, threading.get_ident(), Pulse())
    assert "goroutines: 0" in text
    assert "goroutine 1 [running]:" in text


def test_it_is_bounded(monkeypatch):
    monkeypatch.setattr(dump, "MOST", 10)
    text = make(50)
    assert "and 41 more tasks that are not shown" in text
    assert text.count("in task ") == 10
    assert "goroutines: 51" in text


def test_long_waits_are_told():
    assert dump._duration(1.5) == "1 seconds"
    assert dump._duration(600) == "10 minutes"


def test_writing_gives_up_when_nobody_reads(monkeypatch):
    monkeypatch.setattr(dump, "PATIENCE", 0.05)
    reading, writing = os.pipe()
    try:
        dump.write(writing, "x" * 1_000_000)
        assert len(os.read(reading, 1_000_000)) < 1_000_000
    finally:
        os.close(reading)
        os.close(writing)
    dump.write(writing, "to nobody")  # a descriptor that is closed is no error either
