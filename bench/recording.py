"""What recording costs: 100 MB of output through a session, recorded and not, in turn. `python -m bench.recording`.

Two clusters on one machine differ in nothing but `session_recording`. The output is coloured text like that of a build;
stock `ssh` takes it, with a terminal and without one. The server's computing is that of all its processes. Between
sessions there is time to send the recording. Drawing it for the search takes minutes at a low priority: it goes on
beside, and is no part of the figures.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.walk import Row
from tests.support.cluster import OWN, Cluster, User
from tests.support.processes import tree, wait_for

MEGABYTES = 100
ROUNDS = 3
MODES = ("off", "node")
DRAWING = "recording_draw_process"
"""What the command line of such a process contains."""


def text(path: Path) -> None:
    """Write output as a compiler's: lines of words, some of them coloured."""
    source = random.Random(4)
    words = ["".join(source.choices("abcdefghijklmnopqrstuvwxyz/._-", k=source.randint(2, 14))) for _ in range(4000)]
    block = bytearray()
    while len(block) < 1_000_000:
        line = " ".join(source.choices(words, k=source.randint(3, 14)))
        block += (
            f"\x1b[3{source.randint(1, 7)}m{line}\x1b[0m\n".encode() if source.random() < 0.2 else f"{line}\n".encode()
        )
    with path.open("wb") as file:
        for number in range(MEGABYTES):
            file.write(f"part {number}\n".encode() + block[: 1_000_000 - len(f"part {number}\n")])


def computing(pid: int) -> float:
    """Return the seconds of computing of a process, its children included but for those that draw recordings."""
    total = 0
    for each in {pid, *(process.pid for process in tree(pid) if DRAWING not in process.arguments)}:
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


@contextmanager
def served(folder: Path, mode: str) -> Iterator[tuple[Cluster, User]]:
    """Run a cluster with this mode of recording, and a user who may enter its node."""
    folder.mkdir()
    with Cluster(folder, auth_service=f"  session_recording: {mode}\n").running() as cluster:
        cluster.role("developer", logins=[OWN])
        yield cluster, cluster.sign_up("alice", ["developer"])


def settle(cluster: Cluster) -> None:
    """Wait until what earlier sessions left is sent: that goes on after them, slowly on purpose."""
    spool = cluster.data / "log" / "upload" / "streaming" / "default"
    wait_for("the recordings to be stored", lambda: not [*spool.glob("*.rec")], seconds=600)


def once(cluster: Cluster, user: User, path: Path, *, terminal: bool) -> tuple[float, float]:
    """Return megabytes per second, and seconds of the server's computing."""
    options = ("-tt",) if terminal else ()
    before, began = computing(cluster.pid), time.perf_counter()
    subprocess.run(
        user.ssh_argv(f"cat {path}", options=options), env=cluster.environment(user.name), check=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return MEGABYTES / (time.perf_counter() - began), computing(cluster.pid) - before


def rows() -> list[Row]:
    """Measure all ways in turn, and return the rows of the table."""
    shown: list[Row] = []
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        path = Path(name, "output")
        text(path)
        clusters = {mode: stack.enter_context(served(Path(name, mode), mode)) for mode in MODES}
        for terminal in (False, True):
            found: dict[str, list[tuple[float, float]]] = {mode: [] for mode in MODES}
            for number in range(ROUNDS + 1):
                for mode, (cluster, user) in clusters.items():
                    settle(cluster)
                    took = once(cluster, user, path, terminal=terminal)
                    if number:
                        found[mode].append(took)
            rates = {mode: statistics.median(rate for rate, _ in took) for mode, took in found.items()}
            seconds = {mode: statistics.median(spent for _, spent in took) for mode, took in found.items()}
            shown.append((
                f"{MEGABYTES} MB of output {'on a terminal' if terminal else 'of a command'}, recorded",
                f"{rates['node']:.0f} MB/s; not recorded {rates['off']:.0f}; ratio {rates['node'] / rates['off']:.2f}; "
                f"computing {seconds['node']:.1f} s against {seconds['off']:.1f} s",
            ))  # fmt: skip
    return shown


if __name__ == "__main__":
    for what, figure in rows():
        print(f"| {what} | {figure} |")
