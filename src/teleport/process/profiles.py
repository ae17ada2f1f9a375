"""Profiles of the running process, in the format of pprof.

- `goroutine`: where every thread and task stands now.
- `profile`: where CPU time goes, sampled a hundred times a second; each thread's own CPU clock decides how
  much a sample weighs, so that waiting costs nothing.
- `heap`: living objects by type, counted now. Python keeps no record of where they came from.
- `allocs`: memory allocated while it was measured and still in use, by place (`tracemalloc`; slows the process).
- `cmdline`: the command line, as text.

Arguments and variables are never recorded. Nothing is measured, and nothing slower, until somebody asks.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from teleport.base.clock import Clock
from teleport.process import stacks
from teleport.process.pprof import Profile, Sample, encode
from teleport.process.pulse import Pulse
from teleport.process.stacks import Frame

RATE = 100
"""Samples a second."""
TASKS = 20000
TYPES = 500
DEEP = 16
"""Frames that `allocs` keeps of each place."""


def goroutine(loop: asyncio.AbstractEventLoop, loop_thread: int, pulse: Pulse, clock: Clock) -> bytes:
    """Return where every thread and task stands; a label says its state."""
    found = stacks.threads(loop_thread, pulse) + stacks.tasks(loop, pulse, limit=TASKS)[0]
    counts = Counter((stack.frames, stack.kind, stack.state) for stack in found)
    samples = [
        Sample(frames, (count,), (("kind", kind), ("state", state))) for (frames, kind, state), count in counts.items()
    ]
    return encode(Profile((("goroutine", "count"),), samples, time_nanos=_nanos(clock)))


def heap(clock: Clock) -> bytes:
    """Return living objects by type: how many, and how many bytes they take without what they refer to."""
    counts: Counter[type] = Counter()
    sizes: Counter[type] = Counter()
    for thing in gc.get_objects():
        kind = type(thing)
        counts[kind] += 1
        sizes[kind] += sys.getsizeof(thing, 0)
    samples = [
        Sample((Frame(f"{_module(kind)}:{kind.__qualname__}", _module(kind), 1),), (counts[kind], size))
        for kind, size in sizes.most_common(TYPES)
    ]
    types = (("inuse_objects", "count"), ("inuse_space", "bytes"))
    return encode(Profile(types, samples, time_nanos=_nanos(clock), comment="objects that the collector tracks"))


def _module(kind: type) -> str:
    name: object = kind.__module__  # some types of libraries have something else than a name there
    return name if isinstance(name, str) else ""


def cpu(seconds: float, clock: Clock) -> bytes:
    """Sample CPU time of all threads but the calling one. Blocks for `seconds`; call it in a thread."""
    own, began = threading.get_ident(), time.monotonic_ns()
    counts: Counter[tuple[tuple[Frame, ...], str]] = Counter()
    spent: Counter[tuple[tuple[Frame, ...], str]] = Counter()
    before: dict[int, int] = {}
    end = began + int(seconds * 1e9)
    while time.monotonic_ns() < end:
        time.sleep(1 / RATE)
        frames = sys._current_frames()
        for thread in threading.enumerate():
            number, ident = thread.native_id, thread.ident
            if number is None or ident is None or ident == own or ident not in frames:
                continue
            now = _cpu_nanos(number)
            used, before[number] = now - before.get(number, now), now
            if used > 0:
                place = (stacks.walk(frames[ident])[0], thread.name)
                counts[place] += 1
                spent[place] += used
        del frames
    samples = [Sample(place[0], (counts[place], spent[place]), (("thread", place[1]),)) for place in counts]
    types = (("samples", "count"), ("cpu", "nanoseconds"))
    taken = time.monotonic_ns() - began
    return encode(Profile(types, samples, _nanos(clock), duration_nanos=taken, period=10**9 // RATE))


def allocs(seconds: float, clock: Clock, wait: Callable[[float], None] = time.sleep) -> bytes:
    """Return what is allocated in `seconds` and not freed in them. Blocks; call it in a thread."""
    tracemalloc.start(DEEP)
    try:
        wait(seconds)
        taken = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    samples = []
    for entry in taken.statistics("traceback"):
        frames = tuple(Frame(f"{Path(f.filename).stem}:line {f.lineno}", f.filename, f.lineno) for f in entry.traceback)
        samples.append(Sample(frames[::-1], (entry.count, entry.size)))
    types = (("inuse_objects", "count"), ("inuse_space", "bytes"))
    return encode(Profile(types, samples, _nanos(clock), duration_nanos=int(seconds * 1e9)))


def cmdline() -> bytes:
    """Return the command line, its words separated by NUL."""
    return Path("/proc/self/cmdline").read_bytes()


def _cpu_nanos(thread: int) -> int:
    """Return the CPU time of a thread of this process, by its number; 0 when it is gone."""
    try:
        return int(Path(f"/proc/self/task/{thread}/schedstat").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0


def _nanos(clock: Clock) -> int:
    return int(clock.now().timestamp() * 1e9)
