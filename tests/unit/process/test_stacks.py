"""Where tasks and threads stand: their frames, states, order and bounds. Rows S0-24, S0-25."""

import asyncio
import threading

from teleport.process import stacks
from teleport.process.pulse import Pulse

SECRET = "a password in a variable"


async def inner(event, password):
    await event.wait()
    return password


async def outer(event):
    return await inner(event, SECRET)


async def numbers(event):
    await event.wait()
    yield 1


async def iterate(event):
    async for _ in numbers(event):
        pass


def spawn(work, name):
    return asyncio.get_running_loop().create_task(work, name=name)


def described(*works, pulse=None, limit=100):
    """Run tasks until they wait, then describe them: by name."""

    async def body():
        tasks = [spawn(work, name) for name, work in works]
        for _ in range(3):
            await asyncio.sleep(0)
        found, count = stacks.tasks(asyncio.get_running_loop(), pulse or Pulse(), limit=limit)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return {stack.name: stack for stack in found}, count

    return asyncio.run(body())


def test_a_task_is_shown_from_the_innermost_call_outwards():
    found, _ = described(("deep", outer(asyncio.Event())))
    stack = found["deep"]
    assert stack.state == "event wait"
    assert [frame.function.partition(":")[2] for frame in stack.frames] == ["Event.wait", "inner", "outer"]
    assert stack.frames[1].file == __file__
    assert stack.frames[1].line == inner.__code__.co_firstlineno + 1
    assert SECRET not in repr(stack)


def test_generators_are_followed():
    found, _ = described(("over", iterate(asyncio.Event())))
    assert [f.function.partition(":")[2] for f in found["over"].frames] == ["Event.wait", "numbers", "iterate"]


def test_states_say_what_is_waited_for():
    async def lock_twice(lock):
        async with lock:
            await lock.acquire()

    async def join():
        await spawn(asyncio.sleep(60), "child")

    async def future():
        await asyncio.get_running_loop().create_future()

    found, _ = described(
        ("sleeper", asyncio.sleep(60)),
        ("locked", lock_twice(asyncio.Lock())),
        ("reader", asyncio.Queue().get()),
        ("parent", join()),
        ("future", future()),
    )
    states = {name: stack.state for name, stack in found.items()}
    assert states["sleeper"] == "sleep"
    assert states["locked"] == "lock wait"
    assert states["reader"] == "queue receive"
    assert states["parent"] == "task wait: child"
    assert states["future"] == "future wait"


def test_the_current_task_runs_and_one_that_was_woken_is_runnable():
    async def body():
        event = asyncio.Event()
        task = spawn(outer(event), "woken")
        await asyncio.sleep(0)
        fresh = spawn(asyncio.sleep(0), "fresh")
        found, count = stacks.tasks(asyncio.get_running_loop(), Pulse(), limit=10)
        states = {stack.name: stack.state for stack in found}
        assert states["fresh"] == "runnable"
        assert count == 3
        assert [state for name, state in states.items() if name.startswith("Task-")] == ["running"]
        event.set()
        await task
        await fresh

    asyncio.run(body())


def test_longest_wait_first_and_no_more_than_the_limit():
    class Known(Pulse):
        def waited(self, task):
            return {"old": 90.0, "older": 900.0}.get(task.get_name(), 0.0)

    works = [(name, asyncio.sleep(60)) for name in ("new", "old", "older")]
    found, count = described(*works, pulse=Known(), limit=2)
    assert list(found) == ["older", "old"]
    assert found["older"].waited == 900
    assert count == 4  # the test itself is the fourth


def test_deep_stacks_keep_their_innermost_frames():
    async def down(depth):
        if depth:
            await down(depth - 1)
        else:
            await asyncio.sleep(60)

    stack = described(("deep", down(100)))[0]["deep"]
    assert len(stack.frames) == stacks.DEPTH
    assert stack.frames[0].function == "asyncio.tasks:sleep"
    assert stack.more == 102 - stacks.DEPTH


def test_names_cannot_write_lines_of_their_own():
    found, _ = described(("evil\nINFO [AUTH] root logged in" + "x" * 300, asyncio.sleep(60)))
    (name,) = [name for name in found if name.startswith("evil")]
    assert "\n" not in name
    assert len(name) <= stacks.NAME + 3


def test_threads_the_caller_first_then_the_loops():
    release, ready = threading.Event(), threading.Event()
    found = []

    def other():
        ready.set()
        release.wait()

    thread = threading.Thread(target=other, name="other")
    thread.start()
    ready.wait()
    looker = threading.Thread(target=lambda: found.extend(stacks.threads(threading.main_thread().ident, Pulse())))
    looker.start()
    looker.join()
    release.set()
    thread.join()
    assert found[0].name == looker.name
    assert found[0].state == "running"
    assert found[1].name == threading.main_thread().name
    (blocked,) = [stack for stack in found if stack.name == "other"]
    assert blocked.state == "lock wait"
    assert any(frame.function.endswith("other") for frame in blocked.frames)


def test_a_silent_loop_is_shown_as_running_for_so_long():
    class Silent(Pulse):
        silence = 12.0

    found = []
    main = threading.main_thread().ident
    looker = threading.Thread(target=lambda: found.extend(stacks.threads(main, Silent())))
    looker.start()
    looker.join()
    assert (found[1].state, found[1].waited) == ("running", 12.0)
