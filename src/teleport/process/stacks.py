"""Stacks: where every task and every thread of this process stands, and what it waits for.

Frames are read as file, line and function: never arguments, never local variables, because those hold
passwords, keys and what people type. Safe to call from a thread while the event loop is stuck.
Not here: how it is shown (`process.dump`, `process.profiles`).
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from teleport.base.escape import escape
from teleport.process.pulse import Pulse

DEPTH = 64
"""Frames of one stack at most; the innermost are kept."""
NAME = 120
"""Characters of a task's or thread's name at most."""

_TASK_STATES = {
    ("asyncio.tasks", "sleep"): "sleep",
    ("asyncio.locks", "Event.wait"): "event wait",
    ("asyncio.locks", "Condition.wait"): "condition wait",
    ("asyncio.locks", "Lock.acquire"): "lock wait",
    ("asyncio.locks", "Semaphore.acquire"): "semaphore wait",
    ("asyncio.queues", "Queue.get"): "queue receive",
    ("asyncio.queues", "Queue.put"): "queue send",
    ("asyncio.streams", "StreamReader._wait_for_data"): "IO wait",
    ("asyncio.tasks", "_wait"): "task wait",
    ("asyncio.taskgroups", "TaskGroup.__aexit__"): "task wait",
}
"""What it means when the innermost frame is this function."""
_THREAD_STATES = {"selectors": "select", "threading": "lock wait", "queue": "queue receive", "socket": "IO wait"}
_KERNEL_STATES = {"R": "running", "S": "sleep", "D": "disk wait"}


class Frame(NamedTuple):
    """One call."""

    function: str
    """`module.qualified.name`."""
    file: str
    line: int


@dataclass(frozen=True)
class Stack:
    """A task or a thread, its innermost frame first."""

    kind: str
    """`task` or `thread`."""
    name: str
    state: str
    waited: float
    """Seconds for which it is known to have stood there; 0 where nobody knows."""
    frames: tuple[Frame, ...]
    more: int = 0
    """Outer frames that were left out."""


def threads(loop_thread: int, pulse: Pulse) -> list[Stack]:
    """Return every thread: the calling one first, then the one that runs the loop."""
    known = {thread.ident: thread for thread in threading.enumerate()}
    order = {threading.get_ident(): 0, loop_thread: 1}
    found = []
    for ident, frame in sorted(sys._current_frames().items(), key=lambda item: order.get(item[0], 2)):
        thread = known.get(ident)
        frames, more = walk(frame)
        is_loop = ident == loop_thread
        if ident == threading.get_ident():
            state = "running"
        else:
            state = _loop_state(frames) if is_loop else _thread_state(frames, thread)
        waited = pulse.silence if is_loop and state == "running" else 0.0
        name = _shown(thread.name if thread else f"thread {ident}")
        found.append(Stack("thread", name, state, waited, frames, more))
    return found


def tasks(loop: asyncio.AbstractEventLoop, pulse: Pulse, *, limit: int) -> tuple[list[Stack], int]:
    """Return the tasks of a loop, those that have waited longest first, and how many there are in all.

    At most `limit` are described.
    """
    every = asyncio.all_tasks(loop)
    current = asyncio.current_task(loop)
    chosen = sorted(every, key=lambda task: (-pulse.waited(task), task.get_name()))[:limit]
    return [_task(task, pulse, running=task is current) for task in chosen], len(every)


def _task(task: asyncio.Task[Any], pulse: Pulse, *, running: bool) -> Stack:
    frames, more = _walk_in(task.get_coro())
    state = "running" if running else _task_state(task, frames)
    waited = 0.0 if running else pulse.waited(task)
    return Stack("task", _shown(task.get_name()), state, waited, frames, more)


def _task_state(task: asyncio.Task[Any], frames: tuple[Frame, ...]) -> str:
    waiter = getattr(task, "_fut_waiter", None)
    if waiter is None:
        return "done" if task.done() else "runnable"
    if frames:
        module, _, name = frames[0].function.partition(":")
        if state := _TASK_STATES.get((module, name)):
            return state
    if isinstance(waiter, asyncio.Task):
        return f"task wait: {_shown(waiter.get_name())}"
    return "future wait"


def _loop_state(frames: tuple[Frame, ...]) -> str:
    return "select" if frames and frames[0].function.startswith("selectors:") else "running"


def _thread_state(frames: tuple[Frame, ...], thread: threading.Thread | None) -> str:
    module = frames[0].function.partition(":")[0] if frames else ""
    if state := _THREAD_STATES.get(module):
        return state
    try:
        number = thread.native_id if thread else None
        fields = Path(f"/proc/self/task/{number}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return "running"
    return _KERNEL_STATES.get(fields[0], "running")


def walk(frame: FrameType | None) -> tuple[tuple[Frame, ...], int]:
    """Follow a thread's frames from the innermost outwards."""
    found: list[Frame] = []
    more = 0
    while frame is not None:
        if len(found) < DEPTH:
            found.append(_frame(frame))
        else:
            more += 1
        frame = frame.f_back
    return tuple(found), more


def _walk_in(awaited: Any) -> tuple[tuple[Frame, ...], int]:
    """Follow what a suspended task awaits from its outermost coroutine inwards; return it innermost first."""
    frames = [_frame(frame) for frame in _suspended(awaited)]
    frames.reverse()
    return tuple(frames[:DEPTH]), max(0, len(frames) - DEPTH)


def _suspended(awaited: Any) -> Iterator[FrameType]:
    for _ in range(16 * DEPTH):  # a bound, should something await itself
        frame = _attribute(awaited, "cr_frame", "gi_frame", "ag_frame")
        if frame is not None:
            yield frame
            awaited = _attribute(awaited, "cr_await", "gi_yieldfrom", "ag_await")
        elif type(awaited).__name__ in ("async_generator_asend", "async_generator_athrow", "coroutine_wrapper"):
            inside = [o for o in gc.get_referents(awaited) if _attribute(o, "cr_frame", "ag_frame") is not None]
            awaited = inside[0] if inside else None
        else:
            return
        if awaited is None:
            return


def _attribute(thing: Any, *names: str) -> Any:
    for name in names:
        if (value := getattr(thing, name, None)) is not None:
            return value
    return None


def _frame(frame: FrameType) -> Frame:
    code = frame.f_code
    module = frame.f_globals.get("__name__")
    return Frame(f"{module}:{code.co_qualname}", code.co_filename, frame.f_lineno or code.co_firstlineno)


def _shown(name: str) -> str:
    return escape(name if len(name) <= NAME else name[: NAME - 3] + "...")
