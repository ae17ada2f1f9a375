"""A new session as a bot against `ssh -J`, with the same client and the same algorithms: `python -m bench.tbot_ssh`.

Two ways of a bot: through the sockets of `ssh-multiplexer`, and with the ProxyCommand of an identity output. Two peers:
a user's `ssh -J` over our proxy to the same node, and over two OpenSSH servers. Whole processes, in turn.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from bench.ssh_peers import GCM, KEX, ours, seconds, theirs
from bench.tsh_ssh import computed, show
from tests.support.cluster import NAME, NODE, OWN
from tests.support.processes import wait_for
from tests.support.serving_bot import Tbot, service

ROUNDS = 25
SAME = ("-o", f"KexAlgorithms={KEX}", "-o", f"Ciphers={GCM}", "-o", "LogLevel=ERROR")


def main() -> None:
    """Print the medians in milliseconds, and their ratio to `ssh -J` over OpenSSH's servers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with ours(folder / "node") as (peer, cluster), theirs(folder / "sshd") as sshd:
            services = [service("identity", folder / "id"), service("ssh-multiplexer", folder / "mux")]
            with Tbot(cluster, folder / "bot", roles=["developer"], services=services).running():
                wait_for("the sockets", (folder / "mux" / "agent.sock").is_socket, seconds=60)
                ways = {
                    way: (["ssh", "-F", str(folder / place / "ssh_config"), *SAME, f"{OWN}@{NODE}.{NAME}", "true"],
                          cluster.environment("nobody"))
                    for way, place in (("ssh, ssh-multiplexer", "mux"), ("ssh, tbot ssh-proxy-command", "id"))
                }  # fmt: skip
                ways["ssh -J over our proxy"] = (peer.argv("true", jump=True), peer.environment)
                if sshd is not None:
                    ways["ssh -J"] = (sshd.argv("true", jump=True), sshd.environment)
                took: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
                for number in range(options.rounds + 1):
                    for way, (command, environment) in ways.items():
                        before = computed()
                        elapsed = seconds(command, environment)
                        if number:
                            took[way].append((elapsed * 1000, (computed() - before) * 1000))
    show(took)


if __name__ == "__main__":
    main()
