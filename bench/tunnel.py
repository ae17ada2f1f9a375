"""Tunnels against OpenSSH and HAProxy: bytes, latency, new connections, computing, and what 5,000 idle ones hold.

`bench.tunnel_ways` says which ways there are. Everything is measured in turn, and the medians of the rounds count. On a
machine that others use too, a few seconds at real-time priority say more than minutes:
`chrt -f 50 python -m bench.tunnel latency`.

`python -m bench.tunnel` prints all rows, `bytes`, `latency`, `setup` and `idle` only some, `--profile` where our time
goes instead.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from bench.edge import make_certificates
from bench.tunnel_ways import HERE, OURS, OURS_STDIO, SSH, SSH_STDIO, Way, answers, haproxy, ours, running, theirs, to
from bench.walk import proportional
from tests.support.ports import free_ports
from tests.support.processes import wait_for

ROUNDS = 5
IDLE = 5000
PAIRS = ((OURS, SSH), (OURS_STDIO, SSH_STDIO), (OURS, "HAProxy"))
"""What is compared: the same legs, of which the same ones are encrypted."""
Row = tuple[str, str]
Figures = dict[str, float]


def _bytes(way: Way) -> Figures:
    down, down_cpu = way.transfer("get")
    up, up_cpu = way.transfer("put")
    return {"down": down, "up": up, "down_cpu": down_cpu, "up_cpu": up_cpu}


def _latency(way: Way) -> Figures:
    return {"latency": way.latency()}


def _setup(way: Way) -> Figures:
    if way.starts:  # what a program takes to start is not the tunnel's
        return {}
    took = way.setup()
    return {"p50": statistics.median(took), "p99": took[int(len(took) * 0.99)]}


PARTS: dict[str, Callable[[Way], Figures]] = {"bytes": _bytes, "latency": _latency, "setup": _setup}


def rows(parts: list[str]) -> list[Row]:
    """Measure all ways in turn, and return the rows of the table."""
    found: dict[tuple[str, str], list[float]] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        make_certificates(folder)
        (target,) = free_ports(1)
        stack.enter_context(running(folder, "backend", target))
        wait_for("the backend", lambda: answers(target))
        ways = {"direct": Way(to(target))}
        for start in (ours, theirs, haproxy):
            ways |= stack.enter_context(start(folder, target))
        for number in range(ROUNDS + 1):
            for part in parts:
                for who, way in ways.items():
                    figures = PARTS[part](way)
                    for what, figure in figures.items() if number else ():
                        found.setdefault((who, what), []).append(figure)
    return _table({key: statistics.median(figures) for key, figures in found.items()})


def _table(found: dict[tuple[str, str], float]) -> list[Row]:
    shown: list[Row] = []
    for mine, peer in PAIRS:
        for what, text in _TEXTS.items():
            if (mine, what) in found and (peer, what) in found:
                direct, scale, digits = _SHOWN[what]
                base = found["direct", what] if direct else 0.0
                ours, theirs = (scale * (found[who, what] - base) for who in (mine, peer))
                shown.append(
                    (
                        f"{text}, {mine} against {peer}",
                        f"{ours:.{digits}f}; {theirs:.{digits}f}; ratio {ours / theirs:.2f}",
                    )
                )
    if ("direct", "latency") in found:
        shown.append(("64 bytes there and back without a tunnel, us", f"{1e6 * found['direct', 'latency']:.0f}"))
    if ("direct", "p50") in found:
        p50, p99 = (1e3 * found["direct", what] for what in ("p50", "p99"))
        shown.append(("a new connection without a tunnel, p50 and p99, ms", f"{p50:.2f}; {p99:.2f}"))
    return shown


_TEXTS = {
    "down": "bytes to the client, GB/s", "up": "bytes from the client, GB/s",
    "down_cpu": "computing of all processes for a GB to the client, s",
    "up_cpu": "computing of all processes for a GB from the client, s",
    "latency": "added to 64 bytes there and back, us",
    "p50": "a new connection through an open tunnel, p50, ms",
    "p99": "a new connection through an open tunnel, p99, ms",
}  # fmt: skip
_SHOWN = {
    "down": (False, 1.0, 2), "up": (False, 1.0, 2), "down_cpu": (False, 1.0, 2), "up_cpu": (False, 1.0, 2),
    "latency": (True, 1e6, 0), "p50": (False, 1e3, 2), "p99": (False, 1e3, 2),
}  # fmt: skip
"""Whether what it takes without a tunnel is left out; the unit; digits."""


def idle(count: int = IDLE, *, minutes: float = 1 / 3) -> list[Row]:
    """Return what idle tunnels hold in the process of each side, and how many of them end in so many minutes."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        make_certificates(folder)
        port, tunnels, doors = free_ports(3)
        outside = stack.enter_context(running(folder, "public", port, tunnels, doors, core="0"))
        wait_for("the public side", lambda: not socket.socket().connect_ex((HERE, tunnels)))
        before = _mine(outside)
        began = time.perf_counter()
        inside = stack.enter_context(running(folder, "inner", tunnels, tunnels, count, core="1"))
        wait_for("the tunnels", lambda: _connections(inside) >= count, seconds=300)
        took = time.perf_counter() - began
        time.sleep(5)
        grown, whole = _mine(outside) - before, _mine(inside)
        computed = Way(to(port), (outside, inside))
        start, there, waited = computed.computing(), _connections(inside), 60 * minutes
        time.sleep(waited)
        share, lost = (computed.computing() - start) / waited, there - _connections(inside)
    return [
        (f"{count} idle tunnels: memory of each on the public side", f"{grown / count / 1e3:.0f} kB"),
        (
            f"{count} idle tunnels: memory of each on the inner side (one process)",
            f"{whole / count / 1e3:.0f} kB",
        ),
        (f"{count} idle tunnels: made in", f"{took:.0f} s ({count / took:.0f} /s)"),
        (f"{count} idle tunnels: computing of both processes, pings every 15 s", f"{100 * share:.0f} % of a core"),
        (f"{count} idle tunnels: lost in {minutes:.1f} minutes", f"{lost}"),
    ]


def _mine(pid: int) -> int:
    return proportional(pid)


def _connections(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def profile() -> None:
    """Print where our time goes, on both sides, for bytes both ways."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        make_certificates(folder)
        (target,) = free_ports(1)
        stack.enter_context(running(folder, "backend", target))
        wait_for("the backend", lambda: answers(target))
        for verb in ("get", "put", "latency", "setup"):
            print("----", verb, flush=True)
            with ours(folder, target, profile=True) as ways:
                way = ways[OURS]
                if verb in ("get", "put"):
                    print(way.transfer(verb), flush=True)
                else:
                    getattr(way, verb)()


def main() -> None:
    """Print the rows, or a profile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS, "idle"])
    parser.add_argument("--minutes", type=float, default=1 / 3, help="How long idle tunnels are watched.")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    if options.profile:
        profile()
        return
    chosen = options.parts or [*PARTS, "idle"]
    measured = [part for part in PARTS if part in chosen]
    for what, figure in [
        *(rows(measured) if measured else []),
        *(idle(minutes=options.minutes) if "idle" in chosen else []),
    ]:
        print(f"| {what} | {figure} |")


if __name__ == "__main__":
    main()
