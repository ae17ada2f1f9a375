"""Pipes of a command: every byte in order, back-pressure both ways, ends that are told apart."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import random
import tty

from teleport.agents.ssh.pipes import BACKLOG, CHUNK, PIPE, InputPipe, OutputPipe
from tests.support.until import until


def pair() -> tuple[int, int]:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    return reading, writing


def test_output_is_delivered_until_its_end() -> None:
    async def main() -> None:
        reading, writing = pair()
        got: list[bytes] = []
        ended: list[bool] = []
        pipe = OutputPipe(reading, deliver=got.append, ended=lambda: ended.append(True))
        pipe.flow(True)
        os.write(writing, b"one")
        await until(lambda: got == [b"one"])
        pipe.flow(False)
        os.write(writing, b"two")
        os.close(writing)
        for _ in range(20):
            await asyncio.sleep(0)
        assert (got, ended, pipe.open) == ([b"one"], [], True)
        pipe.flow(True)
        await until(lambda: ended == [True])
        assert (b"".join(got), pipe.open) == (b"onetwo", False)
        pipe.flow(True)
        pipe.close()

    asyncio.run(main())


def test_output_that_is_closed_by_us_has_no_end() -> None:
    async def main() -> None:
        reading, writing = pair()
        ended: list[bool] = []
        pipe = OutputPipe(reading, deliver=lambda data: None, ended=lambda: ended.append(True))
        pipe.flow(True)
        pipe.close()
        try:
            os.write(writing, b"x")
            raise AssertionError("the pipe is open")
        except BrokenPipeError:
            pass
        os.close(writing)
        assert ended == []

    asyncio.run(main())


def test_input_arrives_in_order_and_ends() -> None:
    """With a reader that is slower than the writer, in pieces of every size."""
    chance = random.Random(7)
    pieces = [chance.randbytes(chance.choice((1, 100, 5000, 70_000))) for _ in range(200)]

    async def main() -> None:
        reading, writing = pair()
        crowded: list[bool] = []
        pipe = InputPipe(writing, crowded=crowded.append)
        got = bytearray()
        sent = 0

        def read() -> None:
            try:
                got.extend(os.read(reading, 3000))
            except BlockingIOError:
                pass

        while sent < len(pieces):
            if not crowded or not crowded[-1]:
                pipe.write(pieces[sent])
                sent += 1
            read()
            await asyncio.sleep(0)
        pipe.end()
        pipe.write(b"late")
        whole = b"".join(pieces)
        async with asyncio.timeout(20):
            while len(got) < len(whole):
                read()
                await asyncio.sleep(0)
        await until(lambda: os.read(reading, 1) == b"")
        assert bytes(got) == whole
        assert crowded == [True, False] * (len(crowded) // 2)
        assert crowded
        os.close(reading)

    asyncio.run(main())


def test_relief_may_bring_the_rest_and_the_end_at_once() -> None:
    """The channel delivers what it held while it is being resumed: nothing of it may be lost."""

    async def main() -> None:
        reading, writing = pair()
        held = [b"b" * (2 * BACKLOG), b"c" * 100_000]

        def crowded(full: bool) -> None:
            if not full:
                while held:
                    pipe.write(held.pop(0))
                pipe.end()

        pipe = InputPipe(writing, crowded=crowded)
        pipe.write(b"a" * (3 * BACKLOG))
        got = bytearray()
        async with asyncio.timeout(20):
            while True:
                try:
                    data = os.read(reading, 65536)
                except BlockingIOError:
                    await asyncio.sleep(0)
                    continue
                if not data:
                    break
                got.extend(data)
        assert bytes(got) == b"a" * (3 * BACKLOG) + b"b" * (2 * BACKLOG) + b"c" * 100_000
        os.close(reading)

    asyncio.run(main())


def test_a_command_that_does_not_read_crowds_the_input() -> None:
    async def main() -> None:
        reading, writing = pair()
        crowded: list[bool] = []
        pipe = InputPipe(writing, crowded=crowded.append)
        pipe.write(b"x" * (BACKLOG // 2))
        assert crowded == []
        pipe.write(b"x" * (CHUNK + BACKLOG))
        assert crowded == [True]
        os.close(reading)
        await until(lambda: crowded == [True, False])  # it has closed its input: the rest is nobody's
        pipe.write(b"more")
        pipe.end()
        pipe.close()

    asyncio.run(main())


def test_input_without_data() -> None:
    async def main() -> None:
        reading, writing = pair()
        InputPipe(writing, crowded=lambda full: None).end()
        assert os.read(reading, 1) == b""
        os.close(reading)

    asyncio.run(main())


def test_a_burst_of_a_terminal_is_joined() -> None:
    """A terminal gives 4 KiB at a time; what is recorded and encrypted should not be that small."""
    total = 1_000_000

    async def main() -> None:
        taken: list[int] = []
        ended = asyncio.Event()
        ours, theirs = pty.openpty()
        tty.setraw(theirs)
        os.set_blocking(ours, False)
        output = OutputPipe(ours, deliver=lambda data: taken.append(len(data)), ended=ended.set)
        process = await asyncio.create_subprocess_exec("head", "-c", str(total), "/dev/zero", stdout=theirs)
        os.close(theirs)
        output.flow(True)
        await ended.wait()
        await process.wait()
        assert sum(taken) == total
        assert max(taken) > 4096
        assert not output.open

    asyncio.run(main())


def test_the_last_burst_comes_before_the_end() -> None:
    async def main() -> None:
        story: list[bytes | str] = []
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        output = OutputPipe(reading, deliver=story.append, ended=lambda: story.append("end"))
        os.write(writing, b"last words")
        os.close(writing)
        output.flow(True)
        await until(lambda: "end" in story)
        assert story == [b"last words", "end"]

    asyncio.run(main())


def capacity(descriptor: int) -> int:
    return fcntl.fcntl(descriptor, fcntl.F_GETPIPE_SZ)


def test_a_busy_pipe_of_output_holds_more_and_is_read_at_once() -> None:
    async def main() -> None:
        reading, writing = pair()
        got: list[bytes] = []
        pipe = OutputPipe(reading, deliver=got.append, ended=lambda: None)
        pipe.flow(True)
        os.write(writing, bytes(1000))
        await until(lambda: len(got) == 1)
        assert capacity(writing) == PIPE
        os.write(writing, bytes(PIPE))
        await until(lambda: len(got) == 2)
        await until(lambda: capacity(writing) == CHUNK)
        assert os.write(writing, bytes(CHUNK)) == CHUNK
        await until(lambda: len(got) == 3)
        assert [len(each) for each in got] == [1000, PIPE, CHUNK]
        pipe.close()
        os.close(writing)

    asyncio.run(main())


def test_a_busy_pipe_of_input_holds_more() -> None:
    """Pieces that wait go together, cut wherever the pipe is full; an empty one is none."""
    chance = random.Random(8)
    pieces = [chance.randbytes(size) for size in (70_000, 0, 1, 200_000, 3, 0, 90_000, 5)]

    async def main() -> None:
        reading, writing = pair()
        pipe = InputPipe(writing, crowded=lambda crowded: None)
        assert capacity(writing) == PIPE
        for piece in pieces:
            pipe.write(piece)
        assert capacity(writing) == CHUNK
        pipe.end()
        got = bytearray()

        def read() -> None:
            got.extend(os.read(reading, 30_000))

        asyncio.get_running_loop().add_reader(reading, read)
        await until(lambda: len(got) == sum(map(len, pieces)))
        assert bytes(got) == b"".join(pieces)
        asyncio.get_running_loop().remove_reader(reading)
        assert os.read(reading, 1) == b""
        os.close(reading)

    asyncio.run(main())
