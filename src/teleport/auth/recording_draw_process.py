"""The program that draws one recording: frames on standard input, the index of its screens on standard output.

It runs for one recording and has nothing: no key, no network, no file to write; memory, time and priority are
limited. What a recording holds was written by programs that nobody trusts, so whatever drawing it does to this
process, the Auth Service does not feel it. Not here: who starts it (`auth.recording_draw`).
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from typing import BinaryIO

MEMORY = 1024 * 1024 * 1024
"""Bytes of address space."""
SECONDS = 900
"""Of processor time."""
_NICE = 10
"""Others come first, but on a busy machine an index is made all the same."""
_HEAD = 13
"""Bytes before the data of a frame (`wire.recording`)."""


def restrict() -> None:
    """Give up what drawing needs not."""
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    for limit in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
        resource.setrlimit(limit, (0, 0))


def draw(source: BinaryIO) -> bytes:
    """Return the packed index of the frames that `source` yields until its end.

    Raises ProtocolError (WIRE-RECORDING).
    """
    from teleport.client.recordings.emulator import Emulator
    from teleport.store.recordings import index_contents
    from teleport.store.recordings.index_lines import Collector
    from teleport.wire import recording

    collector = Collector()
    emulator = Emulator(sink=collector)
    for data in _frames(source):
        for frame in recording.decode(data):
            emulator.frame(frame)
    emulator.finish()
    return index_contents.pack(index_contents.of(collector.lines()))


def _frames(source: BinaryIO) -> Iterator[bytes]:
    while head := source.read(_HEAD):
        yield head + source.read(int.from_bytes(head[-4:], "big"))


def main() -> None:
    """Draw what comes on standard input."""
    restrict()
    packed = draw(sys.stdin.buffer)
    sys.stdout.buffer.write(packed)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
