"""The server as a process: levels of its log, restarts, violent ends, and where the CA keys are.

All tests share a data directory with one user, who signed in before: every start is a restart.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.cluster import OWN, Cluster, User
from tests.support.ports import free_ports
from tests.support.processes import Process, tree, wait_for

ROOT = Path(__file__).parents[2]


class House(NamedTuple):
    """A data directory after its first run: the user who signed in, and what there was."""

    alice: User
    records: int
    status: str
    stored: str


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    first = Cluster(tmp_path_factory.mktemp("process"))
    with first.running():
        first.role("walker", logins=["{{internal.logins}}"])
        alice = first.sign_up("alice", ["walker"], [OWN])
        return House(alice, records(first), *shown(first))


@pytest.fixture
def alice(house: House) -> User:
    return house.alice


@pytest.fixture
def cluster(alice: User) -> Iterator[Cluster]:
    with alice.cluster.running() as running:
        yield running


def records(cluster: Cluster) -> int:
    """Return the number of audit records, after checking their chain and that of the checkpoints."""
    text = cluster.tctl("audit", "verify").out
    assert text.count(", whole, ") == 2
    found = re.search(r"^audit/.*: (\d+) records, whole", text, re.MULTILINE)
    assert found is not None
    return int(found[1])


def shown(cluster: Cluster) -> tuple[str, str]:
    """Return what a restart must not change, as the command prints it."""
    return cluster.tctl("status").out, cluster.tctl("get", "user/alice,cert_authority").out


def test_a_restart_keeps_everything(cluster: Cluster, house: House) -> None:
    """Authorities, users, certificates and the audit chain are the same after a restart."""
    assert shown(cluster) == (house.status, house.stored)
    assert records(cluster) > house.records
    assert house.alice.ssh("echo in").out == "in\n"
    house.alice.sign_in()
    assert house.alice.ssh("echo in").out == "in\n"


def test_kill_nine_and_start_again(cluster: Cluster, alice: User) -> None:
    """After kill -9 the helpers end by themselves; a new start needs no help and has every record."""
    count = records(cluster)
    with alice.session():
        cluster.kill()
    assert (cluster.data / "debug.sock").is_socket(), "nobody could clean up"
    cluster.start()
    assert records(cluster) > count
    assert alice.ssh("echo in").out == "in\n"


def test_the_end_does_not_wait_for_sessions(cluster: Cluster, alice: User) -> None:
    """SIGTERM ends the server within ten seconds though a session is open; its end is recorded, and nothing of
    it is left."""
    with alice.session("echo open; exec sleep 1000") as client:
        (command,) = [process for process in tree(cluster.pid) if "sleep 1000" in process.arguments]
        cluster.stop()
        assert client.wait(10) == 255
    assert not command.alive
    cluster.start()
    event = cluster.event("exec sleep 1000", event="exec")
    assert event["exitCode"] != "0"


def test_a_second_process_is_refused(cluster: Cluster, alice: User) -> None:
    """A second process on the same data directory is refused with a code and the pid of the first, which is
    not disturbed."""
    second = cluster.folder / "second.yaml"
    text = cluster.config.read_text()
    for old, new in zip((cluster.settings["auth"], cluster.settings["ssh"]), free_ports(2), strict=True):
        text = text.replace(f":{old}", f":{new}")
    second.write_text(text.replace(cluster.public.rpartition(":")[2], str(free_ports(1)[0])))
    refused = cluster.teleport("start", "-c", str(second), status=1)
    assert "STORE-LOCKED" in refused.err
    assert f"in use by the process {cluster.pid}" in refused.err
    assert refused.out == ""
    assert 'Current log level "INFO"' in cluster.teleport("debug", "get-log-level", "-c", str(second)).out
    assert cluster.tctl("get", "users").out
    assert alice.ssh("echo in").out == "in\n"


def test_without_the_signer(cluster: Cluster, alice: User) -> None:
    """When the signer is gone, signing in fails at once with a code; what needs no signature works on."""
    os.kill(cluster.helper("teleport-signer").pid, signal.SIGKILL)
    late = User(cluster, "late")
    assert cluster.browser().set_password(cluster.invite("late", ["walker"]), late.password).status == 200
    refused = late.sign_in(status=1)
    assert "PKI-SIGNER-GONE" in refused.err
    assert "restart" in refused.err
    assert alice.ssh("echo in").out == "in\n"
    assert cluster.tctl("get", "users").out


def test_without_the_spawner(cluster: Cluster, alice: User) -> None:
    """When the spawner is gone, open sessions end and commands are refused with a code; nothing hangs."""
    with alice.session() as client:
        os.kill(cluster.helper("teleport-spawner").pid, signal.SIGKILL)
        assert client.wait(20) == 255
        assert client.stderr is not None
        assert b"SSH-SPAWNER-GONE" in client.stderr.read()
    refused = alice.ssh("echo in", status=255)
    assert (refused.out, "SSH-SPAWNER-GONE" in refused.err) == ("", True)
    assert cluster.tctl("get", "users").out
    cluster.some(event="exec", exitCode="255")


def say_nonsense(cluster: Cluster) -> None:
    """Send the proxy what no protocol begins with, and wait until it hangs up."""
    host, _, port = cluster.settings["web"].rpartition(":")
    with socket.create_connection((host, int(port))) as sock:
        sock.sendall(b"\xff" * 32)
        with contextlib.suppress(ConnectionResetError):
            sock.recv(1)


def test_log_levels_at_the_start(alice: User) -> None:
    """S0-05, S0-12, S0-13, S0-14, S0-21, S0-46: `-d` and `teleport.log.severity` (in any case) set the level and
    nothing verbose is written without them; each line goes to stderr and ends with its file and line, stdout stays
    empty."""
    cluster = alice.cluster
    first = len(cluster.log)
    with cluster.running("-d"):
        assert cluster.debug("GET", "/log-level") == (200, "DEBUG")
        alice.ssh("true")
        say_nonsense(cluster)
        wait_for("a line about the nonsense", lambda: "Z DEBU" in cluster.log[first:])
    by_flag = cluster.log[first:]
    cluster.settings["teleport"] = "  log: {severity: dEbUg}\n"
    cluster.write_configs()
    second = len(cluster.log)
    try:
        with cluster.running():
            assert cluster.debug("GET", "/log-level") == (200, "DEBUG")
            cluster.teleport("debug", "set-log-level", "WARN", "-c", str(cluster.config))
            assert cluster.debug("GET", "/log-level") == (200, "WARN")
    finally:
        cluster.settings["teleport"] = ""
        cluster.write_configs()
    third = len(cluster.log)
    with cluster.running():
        alice.ssh("true")
        say_nonsense(cluster)
    assert "Z DEBU" not in cluster.log[third:]
    assert cluster.output == ""
    for text in (cluster.log[:first], by_flag, cluster.log[second:]):
        lines = text.splitlines()
        assert len(lines) >= 5
        for line in lines:
            assert re.search(r"^\S+Z (DEBU|INFO|WARN|ERRO) \[[A-Z0-9:]+\] .* [a-z_]+/[a-z_]+\.py:\d+$", line), line


@pytest.mark.root
@pytest.mark.skipif(
    os.geteuid() != 0 and not os.environ.get("CI"), reason="reading the memory of other processes needs uid 0"
)
def test_ca_keys_are_in_the_signer_alone(cluster: Cluster, alice: User) -> None:
    """The bytes of the authorities' private keys are in no memory image of any process but the signer's."""
    cluster.sign_up("mona", ["walker"])  # the keys of the user authority have been used
    keys = sorted((cluster.data / "keys").iterdir())
    assert len(keys) >= 3
    with alice.session():
        alice.ssh("true")
        family = tree(cluster.pid)
        names = {process: process.arguments.partition(" ")[0] for process in family}
        found = {process: scan(process, keys) for process in family}
    # A program that draws recordings may be there too; it is looked into as all others are.
    assert {"cat", "teleport", "teleport-signer", "teleport-spawner"} <= set(names.values())
    holders = {names[process] for process, hits in found.items() if hits}
    assert holders == {"teleport-signer"}, found
    (held,) = [hits for hits in found.values() if hits]
    others = {key.name for key in keys if key.read_bytes().startswith(b"purpose: jwt")}
    unused = {key.name for key in keys} - others - {hit.partition(":")[0] for hit in held}
    idle = [key.read_bytes().partition(b"\n")[0].decode() for key in keys if key.name in unused]
    assert idle.count("purpose: ssh") <= 1, "nobody went to a server without an agent"
    assert idle.count("purpose: x509") <= 2, "nobody went to a database: neither of its two authorities signed"
    assert set(idle) <= {"purpose: ssh", "purpose: x509"}
    used = {key.name for key in keys} - others - unused
    assert used <= {hit.partition(":")[0] for hit in held} <= {key.name for key in keys}


def scan(process: Process, keys: list[Path]) -> set[str]:
    """Return the names of those needles that are in the memory of a process. A process of its own looks."""
    command = [sys.executable, "-m", "tests.support.memory_scan", str(process.pid), *map(str, keys)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 or not process.alive, done.stderr
    return set(done.stdout.splitlines())
