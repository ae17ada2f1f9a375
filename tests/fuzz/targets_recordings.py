"""Targets of playback: what programs printed, files that claim to be recordings, and indexes on the disk."""

from __future__ import annotations

from teleport.client.recordings import asciicast, paint
from teleport.client.recordings.emulator import Emulator
from teleport.client.recordings.sanitize import Sanitizer
from teleport.store.recordings import index_file
from teleport.store.recordings.index_contents import unpack
from teleport.store.recordings.index_lines import Collector, find
from teleport.wire.recording import OUTPUT, RESIZE, Frame
from tests.fuzz.engine import Target, plain, register

_PRINTED = (
    b"\x1b[1;31mred\x1b[0m\r\n\x1b[?1049h\x1b[2J\x1b[3;4H\xed\x95\x9c\x1b[K\x1b[2;5r\x1bM\x1b[2L\x1b[3P\x1b[4@\x1b[4h"
    b"\x1b]52;c;eA==\x07\x1bP$qm\x1b\\\x1b(0lqk\x1b(B\x1b[5b\x1b[6n\x1b7\x1b[99S\x1b8\x1bc\x1b[?7l\x1b#8\x9b1m"
)
_CAST = b'{"version": 2, "width": 80, "height": 24}\n[0.5, "o", "x\\u001b[m"]\n[1, "r", "10x5"]\n[2, "m", "end"]\n'


def _printed(data: bytes) -> object:
    """It is drawn within the screen's bounds, and what a viewer's terminal gets asks nothing."""
    collector = Collector()
    emulator = Emulator(20, 6, collector)
    for at, part in enumerate((data, data[::-1], data)):
        emulator.frame(Frame(at * 300, OUTPUT, part))
        emulator.frame(Frame(at * 300, RESIZE, b"13x4"))
        assert len(emulator.screen.rows) == emulator.screen.lines
        assert all(len(line.cells) == len(line.times) <= emulator.screen.columns for line in emulator.screen.rows)
        paint.paint(emulator.screen)
    emulator.finish()
    lines = collector.lines()
    for line in lines.text.split("\n")[:3]:
        assert not line or find(lines, line, limit=1)
    once = Sanitizer().feed(data)
    assert Sanitizer().feed(once) == once
    assert b"\x1b]" not in once
    return len(lines.text)


def _cast(data: bytes) -> object:
    return len(list(asciicast.read(data.split(b"\n"))))


def _index(data: bytes) -> object:
    file = index_file.read("s", data)
    return file.problem or index_file.open_filter(file, bytes(32))


register(Target("recordings.printed", plain(_printed), lambda: [_PRINTED]))
register(Target("recordings.cast", plain(_cast), lambda: [_CAST]))
register(Target("recordings.index", plain(_index), lambda: [index_file.failed("why"), b"TSI1" + bytes(12)]))
register(Target("recordings.unpack", plain(unpack), lambda: [b"\x95\xc4\x01f\xc4\x01t\xc4\x01x\x00\x00"]))
