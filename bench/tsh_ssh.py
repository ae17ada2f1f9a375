"""`tsh ssh node true` against `ssh -J jump node true` with OpenSSH, whole processes in turn: `python -m bench.tsh_ssh`.

Three ways of ours: a new connection each time, over a connection that is held, and what Python itself takes to start.
Beside the clock stands what each command itself computes, which other work on the machine distorts less.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import tempfile
from pathlib import Path

from bench.ssh_peers import Peer, ours, seconds, theirs
from teleport.client import holder_call
from tests.support.cluster import BIN, NAME, NODE, OWN

ROUNDS = 15


def main() -> None:
    """Print the medians in milliseconds, and their ratio to OpenSSH's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ours(folder / "node") as (peer, _), theirs(folder / "sshd") as sshd:
            held = holding(peer)
            argv = [str(BIN / "tsh"), "ssh", f"{OWN}@{NODE}.{NAME}", "true"]
            ways = {
                "tsh ssh, new connection": (argv, peer.environment), "tsh ssh, held connection": (argv, held),
                "python -c pass": ([sys.executable, "-c", "pass"], held),
            }  # fmt: skip
            if sshd is not None:
                ways["ssh -J"] = (sshd.argv("true", jump=True), sshd.environment)
                ways["ssh -J, default key exchange"] = (_default(sshd.argv("true", jump=True)), sshd.environment)
            took: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
            for number in range(options.rounds + 1):
                for way, (command, environment) in ways.items():
                    before = computed()
                    elapsed = seconds(command, environment)
                    if number:
                        took[way].append((elapsed * 1000, (computed() - before) * 1000))
            let_go(peer)
    show(took)


def holding(peer: Peer) -> dict[str, str]:
    """Return an environment in which connections are held."""
    environment = {**peer.environment, "XDG_RUNTIME_DIR": ""}
    environment.pop("TELEPORT_NO_HOLDER", None)
    return environment


def let_go(peer: Peer) -> None:
    """End what holds connections of the peer's user."""
    environment = holding(peer)
    home = holder_call.home(environment)
    holder_call.end_all(environment, home, Path(home, "current-profile").read_text().strip())


def computed() -> float:
    """Return the seconds that commands which have ended have computed."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def show(took: dict[str, list[tuple[float, float]]]) -> None:
    """Print the load of the machine, and of each way the medians and the best."""
    print("load {:.1f}, {:.1f}, {:.1f}".format(*os.getloadavg()))
    base = statistics.median(clock for clock, _ in took["ssh -J"]) if "ssh -J" in took else float("nan")
    for way, times in took.items():
        clocks, computing = zip(*times, strict=True)
        median = statistics.median(clocks)
        print(
            f"{way:30} {median:7.1f} ms (best {min(clocks):6.1f})  {median / base:5.2f} x ssh -J;"
            f"  computing {statistics.median(computing):6.1f} ms (best {min(computing):6.1f})"
        )


def _default(argv: list[str]) -> list[str]:
    """The same without the choice of a key exchange."""
    path = Path(argv[2])
    other = path.with_name(f"{path.name}-default")
    other.write_text("".join(line for line in path.read_text().splitlines(True) if "KexAlgorithms" not in line))
    return [*argv[:2], str(other), *argv[3:]]


if __name__ == "__main__":
    main()
