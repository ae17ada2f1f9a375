"""The viewer's terminal: raw while a recording plays, and as before afterwards."""

from __future__ import annotations

import os
import pty
import signal
import termios
from collections.abc import Iterator

import pytest

from teleport.client.recordings import paint
from teleport.client.recordings.tty import Tty, raw
from tests.support.terminal import shown


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


def test_raw_and_as_before(terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    before = termios.tcgetattr(theirs)
    with raw(theirs, theirs) as tty:
        during = termios.tcgetattr(theirs)
        assert not during[3] & (termios.ICANON | termios.ECHO | termios.ISIG)
        os.write(ours, b" q")
        assert tty.wait(5) == b" q"
        assert tty.wait(0) == b""
        tty.write(b"shown")
    assert termios.tcgetattr(theirs) == before
    end = paint.LEAVE + paint.END + b"\r\n"
    assert shown(ours, end) == b"shown" + end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_as_before_after_a_signal_and_after_an_error(terminal: tuple[int, int], number: signal.Signals) -> None:
    _, theirs = terminal
    before, handler = termios.tcgetattr(theirs), signal.getsignal(number)
    with pytest.raises(SystemExit), raw(theirs, theirs):
        signal.raise_signal(number)
    with pytest.raises(ZeroDivisionError), raw(theirs, theirs):
        raise ZeroDivisionError
    assert termios.tcgetattr(theirs) == before
    assert signal.getsignal(number) == handler


def test_without_a_keyboard_it_only_waits() -> None:
    reading, writing = os.pipe()
    try:
        tty = Tty(None, writing)
        assert tty.wait(0) is None
        assert tty.wait(None) is None
        tty.write(b"x" * 1000)
        assert os.read(reading, 2000) == b"x" * 1000
        keyboard, end = os.pipe()
        os.close(end)
        tty = Tty(keyboard, writing)
        assert tty.wait(None) is None
        os.close(keyboard)
    finally:
        os.close(reading)
        os.close(writing)
