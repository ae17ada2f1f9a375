"""A shell at a terminal, used the way people use one, and found again by what was on the screen."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from tests.support.cluster import User
from tests.support.processes import wait_for
from tests.support.terminal import Terminal

SHELL = "PS1='> ' exec sh -i"


def a_shell(user: User, argv: Sequence[str], meanwhile: Callable[[], None] = lambda: None) -> None:
    """Type, resize, interrupt and leave; then search the recordings. `argv` is the client's command line with SHELL at
    its end, `meanwhile` looks at the session while it is open."""
    environment = user.cluster.environment(user.name, TERM="xterm")
    with Terminal([*argv], environment, status=5) as screen:
        screen.see("> ")
        screen.type("stty size; echo on-$((40 + 2))-screen $TERM\n")
        screen.see("24 80\r\n")
        screen.see("on-42-screen xterm\r\n")
        meanwhile()
        screen.resize(101, 33)
        screen.type("until [ $(stty size | cut -c1-2) = 33 ]; do sleep 0.1; done; stty size\n")
        screen.see("33 101\r\n")
        screen.type("sh -c 'echo slee$((1))p; exec sleep 600'\n")  # says so when it is in the foreground
        screen.see("slee1p\r\n")
        screen.type("\x03")
        screen.see("> ")
        screen.type("exit 5\n")
    found = wait_for(
        "the index of the recording",
        lambda: json.loads(user.tsh("recordings", "search", "on-42-screen", "--format=json").out), seconds=60,
    )  # fmt: skip
    assert found[0]["line"].startswith("on-42-screen")
