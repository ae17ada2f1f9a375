"""New sessions at a steady rate on random nodes, for as long as one likes: none fails, none gets slow, nothing grows.

    python -m tests.ssh.soak --minutes 30 --rate 10

Each node is a real process with everything a cluster has; sessions are recorded. A session is a new connection, a login
with a certificate and one command whose output is compared; it begins at its appointed time whether or not those
before it are done, and its latency counts from there. The table at the end says what was met.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import hashlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import asyncssh

from tests.support.cluster import OWN, Cluster, User
from tests.support.processes import tree

NODES = 2
LOOK = 1.0
"""Seconds between two looks at memory: many, because garbage comes and goes by a megabyte between two collections."""
ROWS = 16
"""Looks that are printed."""
WARM = 0.3
"""Part of a run that counts as warming up."""
PATIENCE = 60.0
"""Seconds that one session may take."""
LATENCY, SLOPE = 2.0, 1.0
"""p99 over p50 at most; megabytes an hour at most."""
LONG = 10.0
"""Minutes from which on a slope means something."""


class Look(NamedTuple):
    """What the processes of a node held at a time."""

    hours: float
    resident: tuple[float, ...]
    """Megabytes, of each of its own processes."""
    descriptors: int


@dataclass
class Node:
    """A node, and the way there."""

    cluster: Cluster
    host: str
    port: int
    user: str
    keys: tuple[str, str]
    pids: dict[str, int]
    """The processes of the server that stay, by name."""
    looks: list[Look] = field(default_factory=list)

    def look(self, hours: float) -> None:
        """Take note of what the processes of the server hold."""
        page, pids = os.sysconf("SC_PAGE_SIZE") / 1e6, self.pids.values()
        resident = tuple(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page for pid in pids)
        self.looks.append(Look(hours, resident, sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)))

    @property
    def slope(self) -> float:
        """Megabytes an hour of all processes together, after the warm-up: by least squares through the median of each
        minute, because for some seconds in five minutes the index of the audit log takes memory and gives it back."""
        minutes: dict[int, list[Look]] = {}
        for look in self.looks[int(len(self.looks) * WARM) :]:
            minutes.setdefault(int(look.hours * 60), []).append(look)
        if len(minutes) < 3:
            return 0.0
        hours = [statistics.mean(look.hours for look in looks) for looks in minutes.values()]
        sizes = [statistics.median(sum(look.resident) for look in looks) for looks in minutes.values()]
        return statistics.linear_regression(hours, sizes).slope

    def course(self) -> list[str]:
        """Return memory over time, one line for each of some looks."""
        step = max(1, (len(self.looks) - 1) // ROWS)
        rows = [
            f"  {look.hours * 60:5.1f} min: {' + '.join(f'{size:.2f}' for size in look.resident)} "
            f"= {sum(look.resident):.2f} MB, {look.descriptors} descriptors"
            for look in self.looks[::step]
        ]
        return [f"memory of {', '.join(self.pids)}:", *rows]


@dataclass
class Tally:
    """What became of the sessions of a run."""

    seed: int
    nodes: list[Node]
    failures: list[str] = field(default_factory=list)
    took: dict[str, list[float]] = field(default_factory=dict)

    def percentile(self, kind: str, part: float) -> float:
        """Return the latency in milliseconds that so large a part of the sessions of a kind kept to."""
        ordered = sorted(self.took[kind])
        return ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1e3

    def rows(self) -> list[str]:
        """Return the table."""
        shown = ["| what | figure |", "|---|---|"]
        for kind, took in sorted(self.took.items()):
            middle, most, late = (self.percentile(kind, part) for part in (0.5, 0.95, 0.99))
            ratio = late / middle
            shown.append(
                f"| {kind}: {len(took)} sessions | p50 {middle:.0f} ms, p95 {most:.0f} ms, p99 {late:.0f} ms, "
                f"longest {max(took) * 1e3:.0f} ms; p99 is {ratio:.2f} x p50 "
                f"({_met(ratio <= LATENCY, f'{LATENCY} x')}) |"
            )
        for number, node in enumerate(self.nodes):
            first, last = node.looks[0], node.looks[-1]
            warm = last.hours * 60 * WARM
            shown.append(
                f"| node {number} | {sum(first.resident):.1f} MB, then {sum(last.resident):.1f} MB; "
                f"{node.slope:+.2f} MB/h after a warm-up of {warm:.1f} minutes "
                f"({_met(node.slope < SLOPE, f'{SLOPE} MB/h')}); "
                f"{first.descriptors} descriptors, then {last.descriptors} |"
            )
        return [*shown, f"| failures | {len(self.failures)} |"]

    def good(self, *, long: bool) -> bool:
        """Whether the promises were kept; those about time and memory are looked at in long runs."""
        if self.failures or not long:
            return not self.failures
        slow = any(self.percentile(kind, 0.99) > LATENCY * self.percentile(kind, 0.5) for kind in self.took)
        return not slow and all(node.slope < SLOPE for node in self.nodes)


def _met(kept: bool, promise: str) -> str:
    return f"at most {promise}: {'yes' if kept else 'NO'}"


def way_to(cluster: Cluster, user: User) -> Node:
    """Ask `ssh` which files and which port its configuration means."""
    argv = user.ssh_argv("true")
    said = subprocess.run([*argv[: argv.index("ssh") + 1], "-G", *argv[argv.index("ssh") + 1 :]],
                          capture_output=True, text=True, check=True, env=cluster.environment(user.name))  # fmt: skip
    facts = {name: value for name, _, value in (line.partition(" ") for line in said.stdout.splitlines())}
    files = facts["identityfile"], facts["certificatefile"]
    return Node(
        cluster,
        facts["hostname"],
        int(facts["port"]),
        facts["user"],
        files,
        {p.arguments.split()[0]: p.pid for p in tree(cluster.pid)},
    )


async def echo(connection: asyncssh.SSHClientConnection, word: str) -> bool:
    """A command."""
    done = await connection.run(f"echo {word}")
    return (done.stdout, done.exit_status) == (f"{word}\n", 0)


async def terminal(connection: asyncssh.SSHClientConnection, word: str) -> bool:
    """A command at a terminal, with a status of its own."""
    done = await connection.run(f"echo {word}; exit 3", term_type="xterm")
    return (done.stdout, done.exit_status) == (f"{word}\r\n", 3)


async def upload(connection: asyncssh.SSHClientConnection, word: str) -> bool:
    """A command that reads."""
    data = word.encode() * 5000
    done = await connection.run("sha256sum", input=data, encoding=None)
    return str(done.stdout).find(hashlib.sha256(data).hexdigest()) >= 0 and done.exit_status == 0


KINDS = (echo, echo, echo, terminal, upload)


async def session(node: Node, kind: Callable[..., object], word: str, due: float, tally: Tally) -> None:
    """Run one session and keep what became of it."""
    name = kind.__name__
    try:
        async with asyncio.timeout(PATIENCE):
            connection = await asyncssh.connect(
                node.host, node.port, username=node.user, config=None, agent_path=None, known_hosts=None,
                client_keys=[node.keys], kex_algs=["curve25519-sha256"],
            )  # fmt: skip
            async with connection:
                good = await kind(connection, word)  # type: ignore[misc]
    except (OSError, TimeoutError, asyncssh.Error) as error:
        tally.failures.append(f"{name}: {type(error).__name__}: {error}")
        return
    if not good:
        tally.failures.append(f"{name}: wrong output or status")
    tally.took.setdefault(name, []).append(asyncio.get_running_loop().time() - due)


async def sessions(nodes: Sequence[Node], *, minutes: float, rate: float, seed: int) -> Tally:
    """Begin a session each 1/`rate` seconds."""
    pick, tally = random.Random(seed), Tally(seed, list(nodes))
    loop = asyncio.get_running_loop()
    for node in nodes:  # everything that is loaded when it is first needed
        await session(node, echo, "first", loop.time(), Tally(seed, []))
    gc.collect()
    gc.freeze()  # or the client's own looks for garbage are what is measured
    looking = loop.create_task(look_at(nodes))
    began, count = loop.time(), int(minutes * 60 * rate)
    running: set[asyncio.Task[None]] = set()
    for number in range(count):
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - loop.time()))
        work = session(pick.choice(nodes), pick.choice(KINDS), f"{pick.getrandbits(64):016x}", due, tally)
        task = loop.create_task(work)
        running.add(task)
        task.add_done_callback(running.discard)
    while running:
        await asyncio.wait(running)
    looking.cancel()
    await asyncio.wait([looking])
    return tally


async def look_at(nodes: Sequence[Node]) -> None:
    """Look at the nodes again and again."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        for node in nodes:
            node.look((loop.time() - began) / 3600)
        await asyncio.sleep(LOOK)


def run(folder: Path, *, minutes: float, rate: float, seed: int, nodes: int = NODES) -> Tally:
    """Start the nodes, and do all of it."""
    with ExitStack() as stack:
        found: list[Node] = []
        for number in range(nodes):
            (place := folder / f"node-{number}").mkdir()
            cluster = stack.enter_context(Cluster(place).running())
            cluster.role("developer", logins=[OWN])
            found.append(way_to(cluster, cluster.sign_up("alice", ["developer"])))
        return asyncio.run(sessions(found, minutes=minutes, rate=rate, seed=seed))


def main() -> int:
    """Print seed and table; the status says whether the promises were kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.ssh.soak")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=10.0, help="new sessions a second")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    asked = parser.parse_args()
    say = sys.stdout.write
    say(f"seed {asked.seed}; {asked.minutes:g} minutes at {asked.rate:g} sessions a second, {NODES} nodes\n")
    with tempfile.TemporaryDirectory() as name:
        tally = run(Path(name), minutes=asked.minutes, rate=asked.rate, seed=asked.seed)
    course = [line for number, node in enumerate(tally.nodes) for line in (f"node {number}:", *node.course())]
    say("\n".join([*course, *tally.failures[:20], *tally.rows()]) + "\n")
    return 0 if tally.good(long=asked.minutes >= LONG) else 1


if __name__ == "__main__":
    sys.exit(main())
