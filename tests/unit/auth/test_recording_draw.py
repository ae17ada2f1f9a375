"""Drawing in a process of its own: what it answers, and what its failures do to nobody else."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator

import pytest

from teleport.auth import recording_draw
from teleport.auth.recording_draw import draw
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
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "signal 9"),
        ("import sys; sys.exit(3)", "status 3"),
        ("import sys; sys.stdin.buffer.read(); x = 'x'; sys.stdout.write(x * 100); sys.exit(1)", "status 1"),
        ("import sys, time; sys.stdin.buffer.read(); time.sleep(600)", "longer"),
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
        asyncio.run(draw(parts([]), program="import sys; sys.stdin.buffer.read(); sys.stdout.write('nonsense')"))
    assert caught.value.code == "INDEX-DAMAGED"
    monkeypatch.setattr(recording_draw, "LARGEST_ANSWER", 1000)
    endless = "import sys\nwhile True: sys.stdout.write('x' * 1000)"
    with pytest.raises(TeleportError) as caught:
        asyncio.run(draw(parts([]), program=endless, patience=60.0))
    assert caught.value.code == "INDEX-NOT-DRAWN"


def test_the_process_is_limited() -> None:
    program = (
        "import os, sys\n"
        "from teleport.auth.recording_draw_process import restrict; restrict()\n"
        "sys.stdin.buffer.read()\n"
        "if os.nice(0) < 10: sys.exit(5)\n"
        "try: bytearray(2 << 30)\n"
        "except MemoryError: sys.exit(6)"
    )
    with pytest.raises(Unavailable) as caught:
        asyncio.run(draw(parts([]), program=program))
    assert "status 6" in caught.value.what
