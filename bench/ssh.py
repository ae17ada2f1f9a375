"""The SSH node against OpenSSH's server, in turn, with the same client: `python -m bench.ssh [section ...]`.

Sections: sessions, exec, bulk, sftp, recording, idle, resumption; without one all of them. Each figure is the median of
ROUNDS rounds after one that does not count; a ratio is ours to theirs. Through the proxy the computing of ours is that
of proxy, node and Auth Service, that of theirs the node's alone.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import asyncssh

from bench import recording
from bench.ssh_peers import CHACHA, GCM, Peer, every, ours, seconds, tsh
from bench.tsh_ssh import holding, let_go
from bench.walk import Row, proportional
from tests.support.processes import tree

ROUNDS = 5
MEGABYTES = 200
EXECS = 30
"""Commands of one round on one connection."""
IDLE = 500
ONLY = ""
"""Part of the name of a transfer: others are left out."""


class Took(NamedTuple):
    """One measurement."""

    clock: float
    computing: float


Way = Callable[[], Took]


def medians(ways: Mapping[str, Way], *, rounds: int = 0) -> dict[str, Took]:
    """Measure all ways in turn."""
    found: dict[str, list[Took]] = {name: [] for name in ways}
    for number in range((rounds or ROUNDS) + 1):
        for name, way in ways.items():
            took = way()
            if number:
                found[name].append(took)
    return {
        name: Took(statistics.median(t.clock for t in took), statistics.median(t.computing for t in took))
        for name, took in found.items()
    }


def measured(peer: Peer, argv: list[str], *, stdin: Path | None = None) -> Way:
    """Return what runs a command once."""

    def once() -> Took:
        before = peer.computing()
        return Took(seconds(argv, peer.environment, stdin=stdin), peer.computing() - before)

    return once


def verdict(ratio: float, target: float, *, most: bool) -> str:
    """Say whether a ratio keeps its target, or at least its floor, which is 0.6 of it."""
    met = ratio <= target if most else ratio >= target
    floor = ratio <= target / 0.6 if most else ratio >= target * 0.6
    bound = f"{'at most' if most else 'at least'} {target:.2f} x"
    return f"{ratio:.2f} x ({bound}: {'yes' if met else 'no, above its floor' if floor else 'NO, below its floor'})"


def sessions(peers: dict[str, Peer], folder: Path) -> list[Row]:
    """A new session from nothing, through the jump host or proxy."""
    node = peers["node"]
    ways = {
        "ssh -J over our proxy": measured(node, node.argv("true", jump=True)),
        "ssh to our node": measured(node, node.argv("true")),
        "tsh ssh": measured(node, tsh(node, "true")),
        "tsh ssh, held connection": measured(replace(node, environment=holding(node)), tsh(node, "true")),
    }
    if sshd := peers.get("sshd"):
        ways["ssh -J over sshd"] = measured(sshd, sshd.argv("true", jump=True))
        ways["ssh to sshd"] = measured(sshd, sshd.argv("true"))
    took = medians(ways, rounds=3 * ROUNDS)
    let_go(node)
    shown = [(f"new session, {way}", f"{one.clock * 1e3:.0f} ms") for way, one in took.items()]
    if sshd:
        jump = took["ssh -J over sshd"].clock
        shown += [
            ("new session, ssh -J: ours to sshd", verdict(took["ssh -J over our proxy"].clock / jump, 0.35, most=True)),
            ("new session, tsh ssh to ssh -J over sshd", verdict(took["tsh ssh"].clock / jump, 0.25, most=True)),
            ("the same over a held connection", verdict(took["tsh ssh, held connection"].clock / jump, 0.1, most=True)),
        ]
    return shown


async def connected(peer: Peer) -> asyncssh.SSHClientConnection:
    """Return a connection of asyncssh's client, with the files that `ssh` would use."""
    facts = peer.facts()
    return await asyncssh.connect(
        facts["hostname"], int(facts["port"]), username=facts["user"], config=None, agent_path=None, known_hosts=None,
        client_keys=[(facts["identityfile"], facts["certificatefile"])], kex_algs=["curve25519-sha256"],
        encryption_algs=[GCM],
    )  # fmt: skip


def execs(peers: dict[str, Peer], folder: Path) -> list[Row]:
    """`true` on a connection that is open."""

    async def one(connection: asyncssh.SSHClientConnection) -> float:
        began = time.perf_counter()
        assert (await connection.run("true")).exit_status == 0
        return time.perf_counter() - began

    async def main() -> dict[str, list[float]]:
        connections = {name: await connected(peer) for name, peer in peers.items()}
        found: dict[str, list[float]] = {name: [] for name in peers}
        for number in range(ROUNDS + 1):
            for name, connection in connections.items():
                took = [await one(connection) for _ in range(EXECS)]
                found[name] += took if number else []
        for connection in connections.values():
            connection.close()
            await connection.wait_closed()
        return found

    took = {name: statistics.median(each) * 1e3 for name, each in asyncio.run(main()).items()}
    shown = [(f"a command on an open connection, {name}", f"{one:.1f} ms") for name, one in took.items()]
    if "sshd" in took:
        for name, words in (("node", "recorded"), ("plain", "not recorded")):
            ratio = verdict(took[name] / took["sshd"], 1.0, most=True)
            shown.append((f"a command on an open connection, {words}: ours to sshd", ratio))
    return shown


def bulk(peers: dict[str, Peer], folder: Path) -> list[Row]:
    """Bytes of one session, both ways, with both ciphers, and through the jump host."""
    data = contents(folder)
    commands: dict[str, tuple[str, Path | None]] = {
        "download": (f"cat {data}", None), "upload": ("cat >/dev/null", data),
    }  # fmt: skip
    shown: list[Row] = []
    for cipher, way, jump in itertools.product((GCM, CHACHA), commands, (False, True)):
        what = f"{way}, {cipher.partition('@')[0]}{', through the proxy' if jump else ''}"
        if ONLY not in what:
            continue
        command, stdin = commands[way]
        ways = {
            name: measured(peer, peer.argv(command, cipher=cipher, jump=jump), stdin=stdin)
            for name, peer in peers.items() if name != "node"  # its recordings would be sent meanwhile
        }  # fmt: skip
        shown += speeds(what, medians(ways), 0.95 if jump else 1.0)
    return shown


def speeds(what: str, took: dict[str, Took], target: float) -> list[Row]:
    """Return the rows of one kind of transfer."""
    shown = [
        (f"{what}: {name}", f"{MEGABYTES / one.clock:.0f} MB/s, computing {one.computing / MEGABYTES * 1e3:.2f} s/GB")
        for name, one in took.items()
    ]
    if "sshd" in took and "plain" in took:
        ratio = verdict(took["sshd"].clock / took["plain"].clock, target, most=False)
        computing = took["sshd"].computing / took["plain"].computing
        shown.append((f"{what}: ours to sshd", f"{ratio}; bytes per second of computing {computing:.2f} x"))
    return shown


def contents(folder: Path) -> Path:
    """Return a file of many bytes."""
    path = folder / "bytes"
    if not path.exists():
        block = bytes(range(256)) * 4096
        with path.open("wb") as file:
            for _ in range(MEGABYTES * 1_000_000 // len(block)):
                file.write(block)
    return path


def sftp(peers: dict[str, Peer], folder: Path) -> list[Row]:
    """Files with OpenSSH's `sftp`; nothing where the node serves none yet."""
    data, shown = contents(folder), list[Row]()
    orders = {"get": f"get {data} /dev/null\n", "put": f"put {data} {folder}/put\n"}
    for way, order in orders.items():
        (script := folder / f"sftp-{way}").write_text(order)
        ways = {
            name: measured(peer, peer.argv(program="sftp", options=("-q", "-b", str(script))))
            for name, peer in peers.items() if name != "node"
        }  # fmt: skip
        try:
            shown += speeds(f"sftp {way}", medians(ways), 1.0)
        except OSError as error:  # not served
            return [("sftp", f"not measured: {error}")]
        except Exception as error:  # the client says why on standard error
            return [("sftp", f"not measured: {type(error).__name__}")]
    return shown


def resumption(peers: dict[str, Peer], folder: Path) -> list[Row]:
    """`tsh ssh` with connections that can be resumed, and without."""
    peer, data, shown = peers["plain"], contents(folder), list[Row]()
    jobs: dict[str, tuple[str, Path | None]] = {
        "download": (f"cat {data}", None), "upload": ("cat >/dev/null", data), "new session": ("true", None),
    }  # fmt: skip
    for job, (command, stdin) in jobs.items():
        line = tsh(peer, command)
        ways = {
            "resumable": measured(peer, line, stdin=stdin),
            "not": measured(peer, [*line[:2], "--no-resume", *line[2:]], stdin=stdin),
        }  # fmt: skip
        took = medians(ways, rounds=ROUNDS if job != "new session" else 5 * ROUNDS)
        shown += [(f"tsh ssh, {job}, {way}: clock", f"{one.clock * 1e3:.0f} ms") for way, one in took.items()]
        clock = took["not"].clock / took["resumable"].clock
        computing = took["not"].computing / took["resumable"].computing if took["resumable"].computing else 1.0
        text = f"{verdict(clock, 0.95, most=False)}; speed by the servers' computing {computing:.2f} x"
        shown.append((f"tsh ssh, {job}: resumable to not", text))
    return shown


def recorded(peers: dict[str, Peer], folder: Path) -> list[Row]:
    """Output on a terminal, recorded and not (`bench.recording`)."""
    return recording.rows()


def idle(peers: dict[str, Peer], folder: Path) -> list[Row]:
    """What connections hold that have one shell each and do nothing."""

    async def main(peer: Peer) -> tuple[dict[str, float], int]:
        before, count = family(peer.pid), len(tree(peer.pid))
        made = [await connected(peer) for _ in range(IDLE)]
        shells = [await connection.create_process("cat", term_type="xterm") for connection in made]
        for shell in shells:
            shell.stdin.write("x\n")
            await shell.stdout.readline()
        after, more = family(peer.pid), len(tree(peer.pid)) - count
        for connection in made:
            connection.close()
        for connection in made:
            await connection.wait_closed()
        return {name: (size - before.get(name, 0)) / IDLE / 1e3 for name, size in after.items()}, more

    with ours(folder / "idle") as (peer, _):
        grown, more = asyncio.run(main(peer))
    shown = [
        (f"{IDLE} idle sessions, memory of each in {name}", f"{size:.0f} kB")
        for name, size in sorted(grown.items()) if name.startswith("teleport")
    ]  # fmt: skip
    mine = sum(size for name, size in grown.items() if name.startswith("teleport"))
    ratio = "yes" if mine <= 1000 else "no"
    return [*shown, (f"{IDLE} idle sessions", f"{mine:.0f} kB each (at most 1 MB: {ratio}), {more} more processes")]


def family(pid: int) -> dict[str, float]:
    """Return the bytes of the processes of a server (PSS), by name."""
    sizes: dict[str, float] = {}
    for process in tree(pid):
        name = "teleport" if process.pid == pid else process.arguments.partition(" ")[0]
        try:
            sizes[name] = sizes.get(name, 0.0) + proportional(process.pid)
        except OSError:
            continue
    return sizes


SECTIONS = {
    "sessions": sessions, "exec": execs, "bulk": bulk, "sftp": sftp, "recording": recorded, "idle": idle,
    "resumption": resumption,
}  # fmt: skip


def rows(wanted: list[str]) -> list[Row]:
    """Measure some sections, and return the rows of the table."""
    shown: list[Row] = []
    with tempfile.TemporaryDirectory() as name, every(Path(name)) as peers:
        for section in wanted or SECTIONS:
            shown += SECTIONS[section](peers, Path(name))
    return shown


def main() -> None:
    """Print the table."""
    global MEGABYTES, ROUNDS, ONLY, IDLE
    parser = argparse.ArgumentParser(prog="python -m bench.ssh")
    parser.add_argument("section", nargs="*", choices=[[], *SECTIONS])
    parser.add_argument("--megabytes", type=int, default=MEGABYTES, help="of each transfer (recording: always 100)")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--idle", type=int, default=IDLE, help="sessions of the section `idle`")
    parser.add_argument("--only", default=ONLY, help="of `bulk`, the transfers that are called so, as `download, aes`")
    given = parser.parse_args()
    MEGABYTES, ROUNDS, ONLY, IDLE = given.megabytes, given.rounds, given.only, given.idle
    print("| what | median |\n|---|---|")
    for what, figure in rows(given.section):
        print(f"| {what} | {figure} |")


if __name__ == "__main__":
    main()
