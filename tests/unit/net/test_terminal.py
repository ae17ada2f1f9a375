"""Terminals of the kernel: modes to and fro, sizes, and the keys that they know."""

from __future__ import annotations

import os
import signal
import subprocess
import termios
from collections.abc import Iterator

import pytest

from teleport.net import terminal
from teleport.wire.terminal import Size, Terminal, read_modes, write_modes

MODES = {1: 7, 2: 255, 36: 0, 51: 1, 53: 0, 70: 0, 42: 1, 90: 1, 92: 1, 93: 1, 128: 38400}
WANTED = Terminal("xterm", Size(101, 33), MODES)


@pytest.fixture
def pair() -> Iterator[tuple[int, int]]:
    made = terminal.open_pair(WANTED)
    yield made
    for descriptor in made:
        os.close(descriptor)


def test_a_pair_has_the_wanted_modes_and_size(pair: tuple[int, int]) -> None:
    master, slave = pair
    input, output, _, local, _, _, characters = termios.tcgetattr(slave)
    assert characters[termios.VINTR] == b"\x07"
    assert characters[termios.VQUIT] == b"\0", "255 takes a key away"
    assert not input & termios.ICRNL
    assert not local & termios.ECHO
    assert local & termios.ICANON
    assert not output & termios.OPOST
    assert terminal.size(slave) == Size(101, 33)
    assert not os.get_blocking(master)
    assert terminal.end_of_input(master) == b"\x04"


def test_modes_of_one_terminal_are_those_of_the_other(pair: tuple[int, int]) -> None:
    """What a client reads of its own terminal makes a remote one alike."""
    _, slave = pair
    modes = terminal.modes_of(termios.tcgetattr(slave))
    other = terminal.open_pair(Terminal("xterm", Size(), read_modes(write_modes(modes))))
    try:
        assert terminal.modes_of(termios.tcgetattr(other[1])) == modes
        assert modes[1] == 7
        assert modes[2] == terminal.NO_CHARACTER
    finally:
        for descriptor in other:
            os.close(descriptor)


def test_a_size_arrives_as_a_signal_would(pair: tuple[int, int]) -> None:
    master, slave = pair
    terminal.resize(master, Size(70, 20))
    assert terminal.size(slave) == Size(70, 20)


def test_what_is_no_terminal_has_the_default_size_and_no_keys() -> None:
    reading, writing = os.pipe()
    try:
        assert terminal.size(reading) == Size()
        assert terminal.end_of_input(reading) == b""
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_keys_reach_the_foreground(pair: tuple[int, int], number: signal.Signals) -> None:
    master, slave = pair
    command = ["sh", "-c", "trap 'exit 9' INT QUIT; echo ready; while :; do sleep 0.05; done"]
    with subprocess.Popen(command, preexec_fn=lambda: os.login_tty(os.dup(slave))) as process:
        os.set_blocking(master, True)
        shown = b""
        while b"ready" not in shown:
            shown += os.read(master, 100)
        terminal.interrupt(master, number)
        assert process.wait(20) == 9
