"""Our node and OpenSSH's server side by side, for `bench.ssh`: each behind its jump host, each with a user let in.

Both get the same client, the same key exchange and the same cipher; the user's certificate and the host's are checked
on both. What a server computes is that of all its processes, of commands that have ended too.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.walk import openssh
from tests.support.cluster import BIN, NAME, NODE, OWN, Cluster
from tests.support.processes import tree

KEX = "curve25519-sha256"
GCM, CHACHA = "aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com"


@dataclass(frozen=True)
class Peer:
    """A server and how OpenSSH's client gets there."""

    folder: Path
    direct: str
    """Text of a configuration of `ssh` that goes straight to the node."""
    tunnel: str
    """One that goes through the jump host, with `options`."""
    options: tuple[str, ...]
    target: str
    pid: int
    """The process whose children do the work."""
    environment: dict[str, str]

    def argv(
        self, *command: str, jump: bool = False, cipher: str = GCM, program: str = "ssh", options: Sequence[str] = ()
    ) -> list[str]:  # fmt: skip
        """Return a command line; the cipher holds for both legs of a jump."""
        path = self.folder / f"{'tunnel' if jump else 'direct'}-{cipher.partition('-')[0]}"
        if not path.exists():
            text = self.tunnel if jump else self.direct
            path.write_text(f"KexAlgorithms {KEX}\nCiphers {cipher}\nLogLevel ERROR\n{text}")
        return [program, "-F", str(path), *(self.options if jump else ()), *options, self.target, *command]

    def facts(self) -> dict[str, str]:
        """Return what `ssh` makes of the direct configuration: names of files, host and port."""
        said = subprocess.run(["ssh", "-G", *self.argv()[1:]], capture_output=True, text=True, check=True)
        return {name: value for name, _, value in (line.partition(" ") for line in said.stdout.splitlines())}

    def computing(self) -> float:
        """Return the seconds that the server has computed, commands that have ended included."""
        total = 0
        for process in tree(self.pid):
            try:
                fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            total += sum(int(field) for field in fields[11:15])
        return total / os.sysconf("SC_CLK_TCK")


@contextmanager
def theirs(folder: Path) -> Iterator[Peer | None]:
    """Run OpenSSH's server twice, as jump host and as node; None where there is none."""
    folder.mkdir(mode=0o700)
    with openssh(folder) as command:
        if command is None:
            yield None
            return
        config = (folder / "ssh").read_text()
        mine = [process.pid for process in tree(os.getpid()) if f"-f {folder}/sshd-" in process.arguments]
        port = next(line.split()[1] for line in config.partition("Host node")[2].splitlines() if "Port" in line)
        node = next(pid for pid in mine if f"sshd-{port}" in Path(f"/proc/{pid}/cmdline").read_text())
        yield Peer(folder, config, config, ("-J", "jump"), "node", node, dict(os.environ))


@contextmanager
def ours(folder: Path, *, recording: str = "node") -> Iterator[tuple[Peer, Cluster]]:
    """Run a cluster of one process, and a user who may enter its node."""
    folder.mkdir()
    with Cluster(folder, auth_service=f"  session_recording: {recording}\n").running() as cluster:
        cluster.role("developer", logins=[OWN])
        user = cluster.sign_up("alice", ["developer"])
        tunnel = user.tsh("config").out
        yield (
            Peer(
                folder, user._config.read_text(), tunnel, ("-J", f"alice@{cluster.public}"), f"{OWN}@{NODE}.{NAME}",
                cluster.pid, cluster.environment("alice"),
            ),
            cluster,
        )  # fmt: skip


def tsh(peer: Peer, *command: str) -> list[str]:
    """Return the command line of our own client."""
    return [str(BIN / "tsh"), "ssh", f"{OWN}@{NODE}", *command]


@contextmanager
def every(folder: Path) -> Iterator[dict[str, Peer]]:
    """Run `node` (records, as clusters do), `plain` (does not) and, where there is one, `sshd`."""
    with ExitStack() as stack:
        found = {"node": stack.enter_context(ours(folder / "node"))[0],
                 "plain": stack.enter_context(ours(folder / "plain", recording="off"))[0]}  # fmt: skip
        peer = stack.enter_context(theirs(folder / "sshd"))
        yield found if peer is None else {**found, "sshd": peer}


def seconds(argv: Sequence[str], environment: dict[str, str], *, stdin: Path | None = None) -> float:
    """Run a command that must succeed; its output is thrown away."""
    with open(stdin or os.devnull, "rb") as source:
        began = time.perf_counter()
        subprocess.run(argv, check=True, stdin=source, stdout=subprocess.DEVNULL, env=environment)
        return time.perf_counter() - began
