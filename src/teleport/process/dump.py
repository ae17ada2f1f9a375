"""The diagnostic dump of SIGUSR1: numbers of the process, then the stack of every thread and task.

The labels are those that operators and their tools know: a `goroutine` here is a thread or an asyncio task.
`goroutines` counts tasks, `OS threads` threads, `GOMAXPROCS` the CPUs that the process may use. A stack is
the innermost call first; no argument and no variable is shown. Bounded, however many tasks there are.
"""

from __future__ import annotations

import asyncio
import os
import select
from collections import Counter
from collections.abc import Iterator

from teleport.process import facts, stacks
from teleport.process.pulse import Pulse
from teleport.process.stacks import Stack

MOST = 2000
"""Tasks that are shown with their stacks; all are counted."""
GROUPS = 20
"""Lines of the summary of equal places."""
PATIENCE = 10.0
"""Seconds that a reader of stderr may take for each part before the rest is given up."""


def text(loop: asyncio.AbstractEventLoop | None, loop_thread: int, pulse: Pulse) -> str:
    """Return the dump. May be called from any thread; `loop` is None before the event loop runs."""
    threads = stacks.threads(loop_thread, pulse)
    tasks, count = stacks.tasks(loop, pulse, limit=MOST) if loop is not None else ([], 0)
    lines = [*_stats(count, pulse), "", *_summary(threads + tasks, len(threads) + count), "", "Goroutines"]
    for number, stack in enumerate(threads + tasks, 1):
        lines += [*_stack(number, stack), ""]
    if count > len(tasks):
        lines += [f"and {count - len(tasks)} more tasks that are not shown", ""]
    return "\n".join(lines)


def _stats(tasks: int, pulse: Pulse) -> Iterator[str]:
    now = facts.look()
    yield "Runtime stats"
    yield f"goroutines: {tasks}"
    yield f"OS threads: {now.threads}"
    yield f"GOMAXPROCS: {now.usable_cpus}"
    yield f"num CPU: {now.cpus}"
    yield f"CPU time: {now.cpu_seconds:.1f} s"
    yield f"resident memory: {now.resident >> 20} MiB"
    yield f"open files: {now.descriptors} of {now.descriptors_limit}"
    yield f"event loop: silent for {pulse.silence:.1f} s, latest delay {pulse.lag:.3f} s, worst {pulse.worst:.3f} s"


def _summary(found: list[Stack], count: int) -> Iterator[str]:
    """How many stand at the same place: with thousands of tasks this is what one reads."""
    yield f"goroutines: {count}"
    places = Counter((_place(stack), stack.state) for stack in found)
    for (place, state), number in places.most_common(GROUPS):
        yield f"{number:6} [{state}] {place}"


def _place(stack: Stack) -> str:
    """The innermost frame of ours: the library's own lines are the same for everybody."""
    for frame in stack.frames:
        if frame.function.startswith("teleport."):
            return f"{_name(frame.function)} {os.path.basename(frame.file)}:{frame.line}"
    return _name(stack.frames[0].function) if stack.frames else stack.name


def _stack(number: int, stack: Stack) -> Iterator[str]:
    state = stack.state + (f", {_duration(stack.waited)}" if stack.waited >= 1 else "")
    yield f"goroutine {number} [{state}]:"
    for frame in stack.frames:
        yield f"{_name(frame.function)}(...)"
        yield f"\t{frame.file}:{frame.line}"
    if stack.more:
        yield f"... {stack.more} outer frames"
    yield f"in {stack.kind} {stack.name}"


def _name(function: str) -> str:
    return function.replace(":", ".", 1)


def _duration(seconds: float) -> str:
    return f"{int(seconds // 60)} minutes" if seconds >= 120 else f"{int(seconds)} seconds"


def write(descriptor: int, content: str) -> None:
    """Write everything to a descriptor, past all buffers; gives up when nobody reads or nobody is there."""
    left = memoryview(content.encode(errors="backslashreplace"))
    try:
        while left:
            if not select.select([], [descriptor], [], PATIENCE)[1]:
                return
            # A pipe that select calls writable takes this much without blocking (PIPE_BUF).
            left = left[os.write(descriptor, left[:4096]) :]
    except (OSError, ValueError):
        return
