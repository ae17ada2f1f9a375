"""Searches over recorded screens: `python -m bench.recordings_search [RECORDINGS]`, and how fast output is drawn.

Recordings are written from seeds and indexed once; their indexes are kept in the folder for temporary files. The
search is the whole one of the Auth Service - rights, filters, deciphering, audit - without the network.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from teleport.base.disk import SystemDisk
from teleport.base.entropy import SystemEntropy
from teleport.client.recordings.emulator import Emulator
from teleport.store.recordings import index_contents, index_file
from teleport.store.recordings.index_lines import Collector
from teleport.store.recordings.index_shelf import IndexShelf
from teleport.wire.recording import OUTPUT, Frame
from tests.recordings.planted import Writer, text_of

KEY = bytes(32)
ROUNDS = 20
_SYLLABLES = [
    "ka",
    "lo",
    "mi",
    "ter",
    "ze",
    "gra",
    "hol",
    "nim",
    "wu",
    "box",
    "yar",
    "stu",
    "dek",
    "fin",
    "us",
    "ban",
    "qui",
    "ex",
    "dro",
    "pin",
    "sha",
    "vel",
    "or",
    "int",
    "con",
    "fig",
]
_KOREAN = [
    "서버",
    "접속",
    "기록",
    "확인",
    "배포",
    "완료",
    "오류",
    "설정",
    "파일",
    "사용자",
    "화면",
    "인증",
    "권한",
    "만료",
]


def words(seed: int, count: int) -> list[str]:
    """Return a vocabulary."""
    rng = random.Random(seed)
    return ["".join(rng.choices(_SYLLABLES, k=rng.randint(1, 4))) for _ in range(count)]


def session(number: int) -> Writer:
    """Write a session: commands that are typed, and what they print - 20 to 120 kB."""
    writer, rng = Writer(number), random.Random(number)
    own = [*words(7, 3000), *words(1000 + number, 200)]
    for _ in range(rng.randint(8, 40)):
        writer.out("user@host:~$ ")
        for char in " ".join(rng.choices(own, k=3)):
            writer.out(char, after=120)
        writer.out("\r\n")
        for _ in range(rng.randint(1, 4)):
            lines = (
                f"{rng.randint(0, 10**6):>8} {' '.join(rng.choices(own, k=rng.randint(3, 9)))} "
                f"{rng.choice(_KOREAN) if rng.random() < 0.1 else rng.choice(['ok', 'failed', 'skipped'])}\r\n"
                for _ in range(rng.randint(3, 40))
            )
            writer.out("".join(lines), after=300)
    if number % 100 == 17:
        writer.out(f"{text_of(rng, number)} needle-in-the-haystack 비밀 배포 열쇠\r\n")
    return writer


def sealed(number: int) -> tuple[int, float, bytes]:
    """Return bytes of output, seconds of drawing, and the index of a session."""
    writer = session(number)
    size = sum(len(frame.data) for frame in writer.frames)
    began = time.process_time()
    collector = Collector()
    emulator = Emulator(sink=collector)
    for frame in writer.frames:
        emulator.frame(frame)
    emulator.finish()
    lines = collector.lines()
    took = time.process_time() - began
    return size, took, index_file.seal(name(number), index_contents.of(lines), KEY, SystemEntropy())


def name(number: int) -> str:
    """Return the id of a session."""
    return f"00000000-0000-4000-8000-{number:012d}"


def prepare(count: int) -> IndexShelf:
    """Return the shelf of so many indexes, made if need be."""
    folder = Path(tempfile.gettempdir(), "teleport-bench-recordings-2")
    shelf = IndexShelf(SystemDisk(), str(folder))
    there = shelf.names()
    missing = [number for number in range(count) if name(number) not in there]
    if missing:
        size, took, stored = 0, 0.0, 0
        with ProcessPoolExecutor(2) as pool:
            for number, (output, seconds, data) in zip(missing, pool.map(sealed, missing, chunksize=8), strict=True):
                shelf.put(name(number), data)
                size, took, stored = size + output, took + seconds, stored + len(data)
        print(f"{len(missing)} sessions: {size / 1e6:.1f} MB of output drawn at {size / 1e6 / took:.2f} MB/s, "
              f"indexes of {stored / 1e6:.1f} MB")  # fmt: skip
    return shelf


def drawing() -> None:
    """Print how fast output of several sorts is drawn."""
    rng, own = random.Random(1), words(7, 3000)

    def lines(count: int, form: str) -> str:
        return "".join(form.format(" ".join(rng.choices(own, k=9))) + "\r\n" for _ in range(count))

    sorts = {
        "cat of a large file, 32 kB a frame": [lines(500, "{}") for _ in range(60)],
        "plain output, 4 kB a frame": [lines(60, "{}") for _ in range(300)],
        "coloured output": [lines(60, "\x1b[1;34m{}\x1b[0m \x1b[32mok\x1b[m") for _ in range(100)],
        "Korean output": [lines(60, "사용자 인증 만료 {} 권한 확인") for _ in range(100)],
        "full screens, drawn by address": [
            "".join(f"\x1b[{rng.randint(1, 40)};{rng.randint(1, 90)}H\x1b[3{rng.randint(0, 7)}m{rng.choice(own)}\x1b[K"
                    for _ in range(100)) for _ in range(150)
        ],
    }  # fmt: skip
    for sort, outputs in sorts.items():
        data = [output.encode() for output in outputs]
        emulator = Emulator(120, 40, Collector())
        began = time.process_time()
        for number, part in enumerate(data):
            emulator.frame(Frame(number * 100, OUTPUT, part))
        emulator.finish()
        took = time.process_time() - began
        print(f"  {sort:<36} {sum(map(len, data)) / 1e6 / took:7.2f} MB/s")


def percentiles(times: Sequence[float]) -> str:
    """Return median and 95th percentile in milliseconds."""
    ordered = sorted(times)
    return (
        f"p50 {statistics.median(ordered) * 1000:6.1f} ms   p95 {ordered[int(len(ordered) * 0.95) - 1] * 1000:6.1f} ms"
    )


async def searches(count: int, shelf: IndexShelf) -> None:
    """Print how long searches take."""
    from bench.recordings_world import World

    rng, own = random.Random(3), words(7, 3000)
    world = await World.make(count, shelf, KEY, name)
    sorts = {
        "rare (10 of 1,000 recordings)": lambda: "needle-in-the-haystack",
        "rare, Korean": lambda: "비밀 배포 열쇠",
        "of one recording": lambda: rng.choice(words(1000 + rng.randrange(count), 200)) + " " + rng.choice(own),
        "frequent (in every recording)": lambda: rng.choice(["failed", "skipped", "user@host"]),
        "frequent, Korean": lambda: rng.choice(_KOREAN),
        "two words of the vocabulary": lambda: " ".join(rng.choices(own, k=2)),
        "absent": lambda: f"zqx{rng.randrange(10**9)}wv",
        "absent, of two letters": lambda: "zq",
        "absent, Korean": lambda: "없는말씀",
    }
    began = time.perf_counter()
    await world.search("zzzz")
    print(f"  first search, nothing in memory: {(time.perf_counter() - began) * 1000:.0f} ms")
    for sort, text in sorts.items():
        times, busy, found = [], [], 0
        for _ in range(ROUNDS):
            began, at_work = time.perf_counter(), time.process_time()
            found += await world.search(text())
            times.append(time.perf_counter() - began)
            busy.append(time.process_time() - at_work)
        print(f"  {sort:<32} {percentiles(times)}   processor {percentiles(busy)}   {found / ROUNDS:6.1f} hits")


def main() -> None:
    """Print the tables."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print("Drawing:")
    drawing()
    shelf = prepare(count)
    print(f"Search over {count} recordings, a page of 50:")
    asyncio.run(searches(count, shelf))


if __name__ == "__main__":
    main()
