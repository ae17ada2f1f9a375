"""`tsh ssh node true` against `ssh -J jump node true` with OpenSSH, whole processes in turn: `python -m bench.tsh_ssh`.

Three ways of ours: a new connection each time, over a connection that is held, and what Python itself takes to start.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.ssh_peers import ours, seconds, theirs
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
            held = {**peer.environment, "XDG_RUNTIME_DIR": ""}
            held.pop("TELEPORT_NO_HOLDER", None)
            argv = [str(BIN / "tsh"), "ssh", f"{OWN}@{NODE}.{NAME}", "true"]
            ways = {
                "tsh ssh, new connection": (argv, peer.environment), "tsh ssh, held connection": (argv, held),
                "python -c pass": ([sys.executable, "-c", "pass"], held),
            }  # fmt: skip
            if sshd is not None:
                ways["ssh -J"] = (sshd.argv("true", jump=True), sshd.environment)
                ways["ssh -J, default key exchange"] = (_default(sshd.argv("true", jump=True)), sshd.environment)
            took: dict[str, list[float]] = {way: [] for way in ways}
            for number in range(options.rounds + 1):
                for way, (command, environment) in ways.items():
                    elapsed = seconds(command, environment)
                    if number:
                        took[way].append(elapsed * 1000)
            subprocess.run([str(BIN / "tsh"), "logout"], env=held, check=True, stdout=subprocess.DEVNULL)
    base = statistics.median(took.get("ssh -J", [float("nan")]))
    for way, times in took.items():
        median = statistics.median(times)
        print(f"{way:30} {median:7.1f} ms (best {min(times):6.1f})  {median / base:5.2f} x ssh -J")


def _default(argv: list[str]) -> list[str]:
    """The same without the choice of a key exchange."""
    path = Path(argv[2])
    other = path.with_name(f"{path.name}-default")
    other.write_text("".join(line for line in path.read_text().splitlines(True) if "KexAlgorithms" not in line))
    return [*argv[:2], str(other), *argv[3:]]


if __name__ == "__main__":
    main()
