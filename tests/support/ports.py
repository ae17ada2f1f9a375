"""Ports for programs that cannot be given a socket, only its number.

Whoever is told a free port and binds it later may come too late: another test that runs at the same time, or a
connection that somebody makes, has taken it. So ports come from below those that the kernel hands out, and each worker
of the tests has its own share of them.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import socket

_FIRST, _END = 10_240, 32_768
"""Above what programs listen on by default; Linux hands out 32768 and more (net.ipv4.ip_local_port_range)."""


def _share() -> range:
    """Return the ports of this worker: all of them where there is one alone."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    size = (_END - _FIRST) // workers
    return range(_FIRST + number * size, _FIRST + (number + 1) * size)


def _turns() -> itertools.cycle[int]:
    mine = _share()
    begin = random.randrange(len(mine))  # programs that a test starts ask for ports, too
    return itertools.cycle([*mine[begin:], *mine[:begin]])


_next = _turns()


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Return ports of `host` that are free now, all different, and were not returned before."""
    found: list[int] = []
    while len(found) < count:
        port = next(_next)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((host, port))
            found.append(port)
    return found


def free_port() -> int:
    """Return one free port of loopback."""
    return free_ports(1)[0]
