"""Drawing in a process of its own: what it answers, and what its failures do to nobody else."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest

from teleport.auth import recording_draw
from teleport.auth.recording_draw import Drawer
from teleport.auth.recording_draw_process import draw as draw_here
from teleport.base.errors import TeleportError, Unavailable
from teleport.store.recordings import index_contents
from teleport.store.recordings.index_contents import Contents, unpack
from teleport.store.recordings.index_lines import Lines, find, inflate
from teleport.wire import recording
from teleport.wire.recording import OUTPUT, RESIZE, Frame
from tests.recordings import planted


async def parts(frames: list[Frame], *, together: int = 50) -> AsyncIterator[bytes]:
    for start in range(0, len(frames), together):
        yield recording.encode(frames[start : start + together])


async def draw(frames: AsyncIterator[bytes], **settings: Any) -> Contents:
    """Have one recording drawn."""
    drawer = Drawer(**settings)
    try:
        return await drawer.draw(frames)
    finally:
        await drawer.rest()


def drawing(body: str) -> str:
    """Return a program whose forks do `body` with what comes from `source`."""
    lines = "\n    ".join(body.splitlines())
    return (
        "import os, signal, sys, time\n"
        "from teleport.auth.recording_draw_process import restrict, serve\n"
        f"def work(source):\n    {lines}\n    return b''\n"
        "serve(work)"
    )


def shown(made: Contents) -> Lines:
    """Read contents as a search does."""
    return Lines(inflate(made.text).decode(), inflate(made.times))


def test_planted_texts_come_through_the_process() -> None:
    writer = planted.write(5, 2, 8, 0)
    lines = asyncio.run(draw(parts(writer.frames)))
    assert [planted.missed(plant, find(shown(lines), plant.text, limit=5)) for plant in writer.plants] == [""] * 8


def test_it_draws_what_would_be_drawn_here() -> None:
    writer = planted.write(6, 3, 5, 3)
    made = unpack(draw_here(io.BytesIO(recording.encode(writer.frames))))
    assert made == index_contents.of(planted.draw(writer.frames))


def test_hostile_output_ends_nothing() -> None:
    frames = [
        Frame(0, RESIZE, b"9999x9999"),
        Frame(1, OUTPUT, b"\x1b[" + b"9" * 100000 + b"H" + bytes(range(256)) * 50),
    ]
    frames += [Frame(2, OUTPUT, b"\x1b[9999@\x1b[9999L\x1b[9999b\x1b[?1049h\x1bcafter")]
    assert find(shown(asyncio.run(draw(parts(frames)))), "after", limit=1)


@pytest.mark.parametrize(
    ("program", "problem"),
    [
        (drawing("os.kill(os.getpid(), signal.SIGKILL)"), "signal 9"),
        (drawing("os._exit(3)"), "status 3"),
        (drawing("source.read(); raise ValueError"), "status 1"),
        (drawing("source.read(); time.sleep(600)"), "longer"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),
        ("import sys; sys.exit(3)", "status 3"),
    ],
)
def test_a_process_that_fails_is_told(program: str, problem: str) -> None:
    patience = 3.0 if problem == "longer" else 60.0
    frames = [Frame(1, OUTPUT, b"x" * 1000)] * 500
    with pytest.raises(Unavailable) as caught:
        asyncio.run(draw(parts(frames), program=program, patience=patience))
    assert caught.value.code == "INDEX-NOT-DRAWN"
    assert problem in caught.value.what


def test_an_answer_that_is_too_large_or_nonsense(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TeleportError) as caught:
        asyncio.run(draw(parts([]), program=drawing("source.read(); return b'nonsense'")))
    assert caught.value.code == "INDEX-DAMAGED"
    monkeypatch.setattr(recording_draw, "LARGEST_ANSWER", 1000)
    endless = drawing("source.read(); return b'x' * 10000")
    with pytest.raises(TeleportError) as caught:
        asyncio.run(draw(parts([]), program=endless, patience=60.0))
    assert caught.value.code == "INDEX-NOT-DRAWN"


def test_the_process_is_limited() -> None:
    program = drawing(
        "restrict()\n"
        "source.read()\n"
        "if os.nice(0) < 10: os._exit(5)\n"
        "try: bytearray(2 << 30)\n"
        "except MemoryError: os._exit(6)"
    )
    with pytest.raises(Unavailable) as caught:
        asyncio.run(draw(parts([]), program=program))
    assert "status 6" in caught.value.what


def test_one_process_forks_for_each_recording_until_it_rests() -> None:
    said = drawing(
        "from teleport.store.recordings import index_contents as index\n"
        "return index.pack(index.Contents(b'', b'', b'', dropped=os.getppid(), dropped_at=os.getpid()))"
    )

    async def story() -> list[Contents]:
        drawer, found = Drawer(program=said), list[Contents]()
        for number in range(5):
            if number == 3:
                await drawer.rest()
            found.append(await drawer.draw(parts([])))
        await drawer.rest()
        return found

    made = asyncio.run(story())
    assert len({one.dropped_at for one in made}) == 5
    assert [one.dropped == made[0].dropped for one in made] == [True, True, True, False, False]
    assert made[3].dropped == made[4].dropped
