"""The program that draws recordings: it forks for each one, which reads frames and writes the index of its screens.

A fork lives for one recording and has nothing: no key, no network, no file to write; memory, time and priority are
limited. What a recording holds was written by programs that nobody trusts, so whatever drawing it does to the fork,
neither the Auth Service feels it nor the next recording. Standard input is a socket: over it comes, for each
recording, one end of a connection, and what became of the fork goes back. Not here: who starts it
(`auth.recording_draw`).
"""

from __future__ import annotations

import gc
import io
import os
import resource
import socket
import struct
from collections.abc import Callable, Iterator
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


def serve(work: Callable[[BinaryIO], bytes]) -> None:
    """Have `work` done in a fork for each connection that comes, until nobody is left who could send one."""
    control = socket.socket(fileno=0)
    while True:
        _, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not descriptors:
            return
        child = os.fork()
        if not child:
            control.close()
            _work(work, descriptors[0])
        os.close(descriptors[0])
        _, status = os.waitpid(child, 0)
        control.sendall(struct.pack(">i", os.waitstatus_to_exitcode(status)))


def _work(work: Callable[[BinaryIO], bytes], descriptor: int) -> None:
    """Answer one connection. Never returns."""
    status = 1
    try:
        with socket.socket(fileno=descriptor) as connection, connection.makefile("rb") as source:
            connection.sendall(work(source))
        status = 0
    finally:
        os._exit(status)


def main() -> None:
    """Draw what comes."""
    restrict()
    draw(io.BytesIO())  # so that the modules are there before the first fork
    gc.freeze()
    serve(draw)


if __name__ == "__main__":
    main()
