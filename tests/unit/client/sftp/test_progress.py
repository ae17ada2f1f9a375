"""The line that says how far a copy is."""

import io

import pytest

from teleport.client.sftp import progress
from teleport.client.sftp.progress import Line, Silent, amount


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (1_234_567, "1.2 MB"), (999_949_999, "999.9 MB"),
     (999_999_999, "1.0 GB"), (5 * 10**20, "500000.0 PB")],
)  # fmt: skip
def test_amounts(size, text):
    assert amount(size) == text


def test_a_line_is_written_anew_until_the_end(monkeypatch):
    times = iter([0.0, 0.1, 0.5, 1.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(times))
    terminal = io.StringIO()
    line = Line(terminal)
    line.begin("x" * 60, 2000)
    line.advance(500)
    line.advance(500)
    line.end()
    drawn = terminal.getvalue().split("\r")[1:]
    assert [part[:40] for part in drawn] == ["…" + "x" * 39] * 2
    assert " 50%   1.0 KB   2.0 KB/s" in drawn[0]
    assert drawn[1].endswith("\n")


def test_an_empty_file_is_whole():
    terminal = io.StringIO()
    line = Line(terminal)
    line.begin("empty", 0)
    line.end()
    assert "100%" in terminal.getvalue()


def test_silence():
    silent = Silent()
    silent.begin("x", 1)
    silent.advance(1)
    silent.end()
