"""Single commands of the first walk, as the guides use them: `tctl`, `tsh status`, `teleport debug`."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from teleport.version import VERSION
from tests.support.cluster import NAME, NODE, OWN, Cluster, User
from tests.support.processes import tree, wait_for

LOCK = "5cee949f-5203-4f3b-9805-dac35d798a16"
EDITOR = '#!/bin/sh\nexec sed -i "$EDIT" "$1"\n'


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("commands")).running() as running:
        yield running


@pytest.fixture(scope="module")
def alice(cluster: Cluster) -> User:
    cluster.role("walker", logins=["{{internal.logins}}"])
    cluster.role("machine-id-db", logins=["bin"])
    return cluster.sign_up("alice", ["walker"], [OWN])


def test_tctl_on_the_auth_host_needs_no_login(cluster: Cluster) -> None:
    """S0-03: with the configuration of the auth host `tctl` works as administrator, without any profile."""
    assert not (cluster.folder / "home-nobody").exists()
    assert "editor" in cluster.tctl("get", "roles").out
    assert (cluster.data / "admin.sock").stat().st_mode & 0o777 == 0o600
    cluster.create({"kind": "role", "version": "v7", "metadata": {"name": "made-locally"}, "spec": {}})
    event = cluster.event("made-locally", event="role.created")
    assert event["user"] == f"admin@{NODE}"
    assert cluster.tctl("rm", "role/made-locally").out == 'role "made-locally" has been deleted\n'


def test_tctl_uses_the_profile_elsewhere(cluster: Cluster, alice: User) -> None:
    """S0-04: on a workstation `tctl` works through the profile of `tsh login`, limited by the user's roles."""
    assert NAME in alice.tctl("status").out
    assert "access denied" in alice.tctl("get", "roles", status=1).err
    assert "access denied" in alice.tctl("users", "add", "mallory", "--roles=editor", status=1).err
    reader = {"resources": ["role"], "verbs": ["list", "read"]}
    cluster.role("walker", logins=["{{internal.logins}}"], rules=[reader])
    assert "name: machine-id-db" in alice.tctl("get", "roles").out
    assert "access denied" in alice.tctl("rm", "role/machine-id-db", status=1).err
    cluster.role("walker", logins=["{{internal.logins}}"])


def test_status_of_the_cluster(cluster: Cluster) -> None:
    """S0-02: `tctl status` shows cluster, version, each authority and the CA pin, one line each."""
    lines = cluster.tctl("status").out.splitlines()
    assert [" ".join(line.split()) for line in lines[:2]] == [f"Cluster {NAME}", f"Version {VERSION}"]
    assert {" ".join(line.split()) for line in lines[2:-1]} >= {"Host CA never updated", "User CA never updated"}
    assert re.fullmatch(r"CA pin +sha256:[0-9a-f]{64}", lines[-1])


def test_status_of_the_user(cluster: Cluster, alice: User) -> None:
    """S2-11, S2-12: `tsh status -f json` gives `.active.roles` and `.active.username`, with which
    `tctl users update --set-roles` replaces the roles."""
    active = json.loads(alice.tsh("status", "-f", "json").out)["active"]
    assert (active["username"], active["roles"]) == ("alice", ["walker"])
    cluster.role("cmc-editor")
    roles = ",".join(active["roles"])
    cluster.tctl("users", "update", active["username"], "--set-roles", f"{roles},cmc-editor")
    assert cluster.read("user", "alice")["spec"]["roles"] == ["walker", "cmc-editor"]
    alice.sign_in()
    assert json.loads(alice.tsh("status", "-f", "json").out)["active"]["roles"] == ["walker", "cmc-editor"]
    cluster.tctl("users", "update", "alice", "--set-roles=walker")
    assert "AUTH-NO-ROLE" in cluster.tctl("users", "update", "alice", "--set-roles=no-such", status=1).err
    assert cluster.read("user", "alice")["spec"]["roles"] == ["walker"]


def test_locks_are_listed_and_removed(cluster: Cluster) -> None:
    """S1-13, S1-14: `tctl get locks` prints YAML with id, name, message (folded when long) and target;
    `tctl rm lock/<uuid>` removes the lock and says so."""
    message = 'The bot user "bot-example" has been locked due to a certificate generation mismatch, ' * 2
    spec = {"target": {"user": "bot-example"}, "message": message.strip()}
    cluster.create({"kind": "lock", "version": "v2", "metadata": {"name": LOCK}, "spec": spec})
    text = cluster.tctl("get", "locks").out
    for line in ("kind: lock", f"  name: {LOCK}", "    user: bot-example", "version: v2"):
        assert line in text.splitlines()
    assert re.search(r"^  id: \d+$|^  revision: \S+$", text, re.M)
    assert max(map(len, text.splitlines())) < 100, "the message is folded"
    assert cluster.read("lock", LOCK)["spec"]["message"] == message.strip()
    assert LOCK in cluster.tctl("rm", f"lock/{LOCK}").out
    assert cluster.tctl("get", "locks").out == ""
    assert LOCK in cluster.tctl("rm", f"lock/{LOCK}", status=1).err


def test_a_role_is_printed_and_edited(cluster: Cluster, alice: User) -> None:
    """S1-42, S1-43: `tctl get role/machine-id-db` prints YAML; `tctl edit` opens the editor, stores what was
    changed, and stores nothing when nothing was."""
    text = cluster.tctl("get", "role/machine-id-db").out
    assert {"kind: role", "  name: machine-id-db", "version: v7"} <= {*text.splitlines()}
    editor = cluster.folder / "editor"
    editor.write_text(EDITOR)
    editor.chmod(0o755)

    done = cluster.tctl("edit", "role/machine-id-db", TELEPORT_EDITOR=str(editor), EDIT="")
    assert done.err == "nothing was changed\n"
    assert cluster.tctl("get", "role/machine-id-db").out == text
    done = cluster.tctl("edit", "role/machine-id-db", TELEPORT_EDITOR=str(editor), EDIT="s/- bin$/- games/")
    assert done.out == 'role "machine-id-db" has been updated\n'
    assert cluster.read("role", "machine-id-db")["spec"]["allow"]["logins"] == ["games"]
    wrong = cluster.tctl("edit", "role/machine-id-db", TELEPORT_EDITOR=str(editor), EDIT="s/logins/lgoins/", status=1)
    assert re.search(r"role\.yaml:\d+:\d+", wrong.err)
    assert "logins" in wrong.err
    cluster.event("machine-id-db", event="role.updated")


def test_the_level_of_a_running_process(cluster: Cluster) -> None:
    """S0-06, S0-08, S0-10: the level is shown and changed in the running process, there and back; lines of
    the new level follow without a restart."""

    def debug(*words: str) -> str:
        return cluster.teleport("debug", *words, "-c", str(cluster.config)).out

    def provoke() -> None:
        with socket.create_connection(("127.0.0.1", port)) as stranger, contextlib.suppress(ConnectionResetError):
            stranger.sendall(b"\0no protocol at all\r\n")
            stranger.recv(100)

    pid, port = cluster.pid, int(cluster.public.rpartition(":")[2])
    assert debug("get-log-level") == 'Current log level "INFO"\n'
    provoke()
    assert "A connection was not served" not in cluster.log
    assert debug("set-log-level", "DEBUG") == 'Changed log level from "INFO" to "DEBUG".\n'
    assert debug("set-log-level", "debug") == 'Log level already set to "DEBUG".\n'
    assert debug("get-log-level") == 'Current log level "DEBUG"\n'
    provoke()
    wait_for("a debug line", lambda: "A connection was not served" in cluster.log)
    assert debug("set-log-level", "INFO") == 'Changed log level from "DEBUG" to "INFO".\n'
    assert cluster.pid == pid
    wrong = cluster.teleport("debug", "set-log-level", "LOUD", status=1)
    assert "CFG-LOG-LEVEL" in wrong.err


def test_debug_finds_the_process_by_its_configuration(cluster: Cluster) -> None:
    """`teleport debug` finds the data directory through `-c`; a missing file and a missing process are told
    apart."""
    missing = str(cluster.folder / "missing.yaml")
    assert f"the configuration file {missing} does not exist" in cluster.teleport(
        "debug", "get-log-level", "-c", missing, status=1
    ).err  # fmt: skip
    elsewhere = str(cluster.folder / "elsewhere.yaml")
    told = cluster.teleport("debug", "get-log-level", "-c", elsewhere, status=1).err
    assert f"Unable to reach debug service socket at {cluster.folder}/none/debug.sock" in told


def test_the_debug_service_is_local(cluster: Cluster) -> None:
    """S0-09: the debug service is on by default, on a socket of mode 0600, and has no TCP listener."""
    path = cluster.data / "debug.sock"
    assert path.is_socket()
    assert path.stat().st_mode & 0o777 == 0o600
    ports = {int(cluster.settings[name]) for name in ("auth", "ssh")} | {int(cluster.public.rpartition(":")[2])}
    assert listening_ports({process.pid for process in tree(cluster.pid)}) == ports


def listening_ports(pids: set[int]) -> set[int]:
    """Return the TCP ports on which processes listen, from what the kernel shows of their descriptors."""
    inodes = set()
    for pid in pids:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = str(entry.readlink())
            except FileNotFoundError:
                continue
            inodes |= {target[8:-1]} if target.startswith("socket:[") else set()
    rows = [row.split() for table in ("tcp", "tcp6") for row in _rows(Path(f"/proc/net/{table}"))]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A" and row[9] in inodes}


def _rows(table: Path) -> list[str]:
    return table.read_text().splitlines()[1:] if table.exists() else []


def test_pidof_finds_the_server(cluster: Cluster) -> None:
    """`pidof teleport` finds the server and none of its helpers."""
    found = {int(pid) for pid in subprocess.run(["pidof", "teleport"], capture_output=True).stdout.split()}
    assert found & {process.pid for process in tree(cluster.pid)} == {cluster.pid}
