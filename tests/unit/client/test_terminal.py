"""The user's own terminal: what is asked of a server for it, and that it is given back."""

from __future__ import annotations

import os
import select
import signal
import termios
from collections.abc import Iterator

import pytest

from teleport.client.terminal import Terminal
from teleport.net import terminal as device
from teleport.wire.terminal import Size
from teleport.wire.terminal import Terminal as Wanted


@pytest.fixture
def slave() -> Iterator[int]:
    master, made = device.open_pair(Wanted("x", Size(90, 30), {}))
    yield made
    os.close(master)
    os.close(made)


def test_what_is_wanted(slave: int) -> None:
    wanted = Terminal(slave, {"TERM": "screen"}).wanted()
    assert (wanted.name, wanted.size) == ("screen", Size(90, 30))
    assert wanted.modes[5] == 4
    reading, writing = os.pipe()
    try:
        assert Terminal(reading, {}).wanted() == Wanted("xterm", Size(), {})
    finally:
        os.close(reading)
        os.close(writing)


def test_it_is_raw_inside_and_given_back_after_an_error(slave: int) -> None:
    before = termios.tcgetattr(slave)

    sizes: list[Size] = []

    def session() -> None:
        with Terminal(slave, {}).raw(sizes.append):
            assert not termios.tcgetattr(slave)[3] & termios.ICANON
            raise RuntimeError("the session broke")

    with pytest.raises(RuntimeError):
        session()
    assert termios.tcgetattr(slave) == before
    assert sizes == [Size(90, 30)]


def test_signals_tell_of_sizes_and_ends(slave: int) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    sizes: list[Size] = []
    ends: list[int] = []
    with Terminal(slave, {}).watched() as signals:
        signals.tell(sizes.append, ends.append)
        device.resize(slave, Size(60, 20))
        os.kill(os.getpid(), signal.SIGWINCH)
        os.kill(os.getpid(), signal.SIGTERM)
        while not (sizes and ends):
            ((descriptor, events),) = signals.wants()
            assert select.select([descriptor], [], [], 20)[0]
            signals.ready(descriptor, events)
    assert (sizes[0], ends) == (Size(60, 20), [signal.SIGTERM])
    assert signal.getsignal(signal.SIGTERM) == handler
    assert signal.set_wakeup_fd(-1) == -1
