"""Servers without an agent: stock `ssh` through the proxy to a real sshd, recorded where the connection ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import BIN, NAME, OWN, Cluster, Done, User, decision_in
from tests.support.ports import free_ports
from tests.support.processes import wait_for
from tests.support.programs import need
from tests.support.sshd import Sshd
from tests.support.terminal import Terminal
from tests.support.terminal_story import SHELL, a_shell

SERVER = "plain-1"
HOST = f"{SERVER}.{NAME}"
OWN_SESSIONS = {"resources": ["session"], "verbs": ["list", "read"],
                "where": "contains(session.participants, user.metadata.name)"}  # fmt: skip
RECORDING = """\
kind: session_recording_config
version: v2
metadata: {{name: session-recording-config}}
spec: {{mode: node, proxy_checks_host_keys: {}}}
"""


class Stage:
    """A cluster with one server that runs sshd alone."""

    def __init__(self, cluster: Cluster, server: Sshd, alice: User) -> None:
        self.cluster = cluster
        self.server = server
        self.alice = alice

    def argv(self, *words: str, user: str = "alice", login: str = OWN, host: str = HOST) -> list[str]:
        """Return the command line of stock `ssh`."""
        config = str(self.cluster.folder / f"ssh-config-{user}")
        return ["ssh", "-F", config, *words[:-1], f"{login}@{host}", *words[-1:]]

    def ssh(self, *words: str, stdin: str = "", status: int | None = 0, **who: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the server with stock `ssh`."""
        done = subprocess.run(
            self.argv(*words, **who), input=stdin, capture_output=True, text=True, timeout=90,
            env=self.cluster.environment(who.get("user", "alice")),
        )  # fmt: skip
        assert status is None or done.returncode == status, f"{done}\n{self.server.log.read_text()[-3000:]}"
        return done


def register(cluster: Cluster, name: str, address: str, **labels: str) -> None:
    document = {
        "kind": "node", "version": "v2", "sub_kind": "openssh", "metadata": {"labels": labels},
        "spec": {"hostname": name, "addr": address},
    }  # fmt: skip
    cluster.tctl("create", stdin=json.dumps(document))


def openssh_authority(cluster: Cluster) -> str:
    line = cluster.tctl("auth", "export", "--type=openssh").out
    assert line.startswith("cert-authority ssh-ed25519 ")
    return line.removeprefix("cert-authority ").strip()


def through(user: User) -> User:
    user._config.write_text(user.tsh("config").out)
    return user


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("agentless")
    cluster = Cluster(folder)
    with cluster.running():
        cluster.role("developer", logins=[OWN], rules=[OWN_SESSIONS])
        server = Sshd(folder / "plain", port=free_ports(1)[0], authority=openssh_authority(cluster))
        cluster.tctl("auth", "sign", f"--host={SERVER}", "--format=openssh", f"--out={folder}/made")
        (folder / "made").replace(server.folder / "ssh_host_ed25519_key")
        (server.folder / "ssh_host_ed25519_key.pub").unlink()
        server.certify((folder / "made-cert.pub").read_text())
        register(cluster, SERVER, server.address, env="dev")
        alice = through(cluster.sign_up("alice", ["developer"]))
        wait_for("the server in the list", lambda: SERVER in alice.tsh("ls").out)
        with server:
            yield Stage(cluster, server, alice)


def recording(stage: Stage, text: str) -> dict[str, Any]:
    """Return alice's recording of a command with this text, once it is there."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        listed = json.loads(stage.alice.tsh("recordings", "ls", "--format=json").out)
        found[:] = [entry for entry in listed if text in json.dumps(entry)]
        return bool(found)

    wait_for("the recording", look, seconds=60)
    return found[0]


def test_a_command_is_run_recorded_and_told(stage: Stage) -> None:
    done = stage.ssh("echo hello-there; echo wrong >&2; cat; exit 7", stdin="input\n", status=7)
    assert (done.stdout, done.stderr) == ("hello-there\ninput\n", "wrong\n")
    start = stage.cluster.event("hello-there", event="session.start")
    node = stage.cluster.read("node", start["server_id"])
    assert (node["sub_kind"], start["server_hostname"]) == ("openssh", SERVER)
    assert start["forwarded_by"] == (stage.cluster.data / "host_uuid").read_text().strip()
    ran = stage.cluster.event("hello-there", event="exec")
    assert (ran["exitCode"], ran["login"], ran["user"]) == ("7", OWN, "alice")
    (made,) = stage.cluster.events(event="cert.create", target=start["server_id"])[:1]
    assert made["identity"]["logins"] == [OWN]
    kept = recording(stage, "hello-there")
    assert kept["hostname"] == SERVER
    assert stage.alice.tsh("play", kept["session_id"], "--format=text").out.startswith("hello-there")


def test_a_shell_at_a_terminal(stage: Stage) -> None:
    a_shell(stage.alice, stage.argv("-tt", SHELL))


def test_a_session_that_ends_at_the_proxy_can_be_joined(stage: Stage) -> None:
    environment = stage.cluster.environment("alice", TERM="xterm")
    with Terminal(stage.argv("-tt", "PS1='> ' exec sh -i"), environment, status=6) as owner:
        owner.see("> ")
        (found,) = wait_for(
            "the session", lambda: json.loads(stage.alice.tsh("sessions", "ls", "--format=json").out)
        )  # fmt: skip
        id = found["metadata"]["name"]
        with Terminal([str(BIN / "tsh"), "join", "--mode=peer", id], environment, status=6) as peer:
            peer.see("Teleport > User alice joined the session.")
            owner.see("Teleport > User alice joined the session.")
            peer.type("echo bo'th see'\n")
            peer.see("both see\r\n")
            owner.see("both see\r\n")
            peer.type("exit 6\n")
    stage.cluster.some(event="session.join", sid=id)


def test_tsh_reaches_it_too(stage: Stage) -> None:
    done = stage.alice.tsh("ssh", f"{OWN}@{SERVER}", "cat; exit 3", stdin="typed\n", status=3)
    assert done.out == "typed\n"
    assert SERVER in stage.alice.tsh("ls", "env=dev").out


def test_a_login_that_no_role_allows(stage: Stage) -> None:
    done = stage.ssh("true", login="nobody", status=255)
    assert stage.cluster.tctl("access", "explain", decision_in(done.stderr)).out


def test_a_role_that_no_longer_allows_it(stage: Stage) -> None:
    stage.cluster.role("passing", logins=[OWN])
    carol = through(stage.cluster.sign_up("carol", ["passing"]))
    stage.ssh("true", user="carol")
    stage.cluster.role("passing", logins=[OWN], env=["prod"])
    wait_for("the refusal", lambda: stage.ssh("true", user="carol", status=None).returncode == 255)
    assert "not found" in stage.ssh("true", user="carol", status=255).stderr
    assert carol.name == "carol"


def test_a_lock_cuts_what_runs(stage: Stage) -> None:
    through(stage.cluster.sign_up("dave", ["developer"]))
    argv = stage.argv("echo open; exec cat", user="dave")
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=stage.cluster.environment("dave")) as client:  # fmt: skip
        try:
            assert client.stdout is not None
            assert client.stderr is not None
            assert client.stdout.readline() == "open\n"
            stage.cluster.tctl("lock", "--user=dave", "--message=gone fishing")
            assert client.wait(60) == 255
            assert "gone fishing" in client.stderr.read()
        finally:
            client.kill()


def test_a_server_that_is_down(stage: Stage) -> None:
    stage.server.stop()
    try:
        said = stage.ssh("true", status=255).stderr
        assert f'failed to connect to "node" agent "{SERVER}"' in said
    finally:
        stage.server.start()


def test_a_server_that_goes_away_in_the_middle(stage: Stage) -> None:
    argv = stage.argv("echo $PPID; exec cat")
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=stage.cluster.environment("alice")) as client:  # fmt: skip
        try:
            assert client.stdout is not None
            assert client.stderr is not None
            os.kill(int(client.stdout.readline()), signal.SIGKILL)
            assert client.wait(60) == 255
            assert f"NET-SSH-SERVER: the SSH connection to {SERVER} failed" in client.stderr.read()
        finally:
            client.kill()


@contextlib.contextmanager
def another(stage: Stage, folder: Path, name: str) -> Iterator[Sshd]:
    """Run and register a second server that has no host certificate."""
    server = Sshd(folder / name, port=free_ports(1)[0], authority=openssh_authority(stage.cluster))
    register(stage.cluster, name, server.address, env="dev")
    wait_for("the server in the list", lambda: name in stage.alice.tsh("ls").out)
    with server:
        yield server


def test_a_plain_host_key_is_refused(stage: Stage, tmp_path: Path) -> None:
    with another(stage, tmp_path, "bare-1"):
        said = stage.ssh("true", host=f"bare-1.{NAME}", status=255).stderr
        assert "remote host presented a public key, expected a host certificate" in said
        try:
            stage.cluster.tctl("create", "-f", stdin=RECORDING.format("no"))

            def works() -> bool:
                return stage.ssh("true", host=f"bare-1.{NAME}", status=None).returncode == 0

            wait_for("the new setting", works, seconds=60)
        finally:
            stage.cluster.tctl("create", "-f", stdin=RECORDING.format("yes"))


@pytest.mark.parametrize("how", [(), ("-O",)], ids=["sftp", "scp"])
def test_files_are_copied_and_told(stage: Stage, tmp_path: Path, how: tuple[str, ...]) -> None:
    data, there = os.urandom(3 << 20), tmp_path / "there"
    (tmp_path / "here").write_bytes(data)
    config, env = str(stage.cluster.folder / "ssh-config-alice"), stage.cluster.environment("alice")
    scp = ["scp", *how, "-q", "-F", config]
    subprocess.run([*scp, f"{tmp_path}/here", f"{OWN}@{HOST}:{there}"], check=True, env=env, timeout=90)
    assert there.read_bytes() == data
    subprocess.run([*scp, f"{OWN}@{HOST}:{there}", f"{tmp_path}/back"], check=True, env=env, timeout=90)
    assert (tmp_path / "back").read_bytes() == data
    told = stage.cluster.some(str(there))
    assert {event["server_hostname"] for event in told} == {SERVER}
    assert {event["event"] for event in told} & {"sftp", "scp"}


def test_a_local_port_is_led_to_the_server(stage: Stage) -> None:
    said = stage.ssh("-W", stage.server.address.replace("127.0.0.1", "localhost"), "true", status=None)
    assert said.stdout.startswith("SSH-2.0-OpenSSH"), said
    stage.cluster.some(event="port", success=True)


def join(stage: Stage, server: Sshd, *more: str, token: str = "", status: int = 0) -> Done:
    """Run `teleport join openssh` on the machine of `server`."""
    given = server.folder / "token"
    made = token or stage.cluster.tctl("tokens", "add", "--type=node", "--ttl=10m", "--format=text").out.strip()
    given.write_text(made)
    return stage.cluster.teleport(
        "join", "openssh", f"--proxy-server={stage.cluster.public}", f"--token={given}", f"--address={server.address}",
        f"--openssh-config={server.config}", f"--data-dir={server.folder}/data", "--no-restart-sshd",
        f"--sshd-check-command={need('sshd')} -t -f", *more, status=status,
    )  # fmt: skip


def test_a_server_joins_by_itself(stage: Stage, tmp_path: Path) -> None:
    name = socket.gethostname()
    server = Sshd(tmp_path / "joining", port=free_ports(1)[0])
    before = server.config.read_text()
    assert "token expired or not found" in join(stage, server, token="0" * 32, status=1).err
    assert server.config.read_text() == before
    first = json.loads(join(stage, server, "--labels=env=dev,tier=one", "--format=json").out)
    assert server.config.read_text() == f'Include "{server.folder}/data/openssh/sshd.conf"\n{before}'
    assert (server.folder / "sshd_config.before-teleport").read_text() == before
    joined = stage.cluster.read("node", first["host_uuid"])
    assert (joined["spec"]["hostname"], joined["spec"]["addr"]) == (name, server.address)
    wait_for("the server in the list", lambda: "tier=one" in stage.alice.tsh("ls").out)
    with server:
        assert stage.ssh("echo joined", host=f"{first['host_uuid']}.{NAME}").stdout == "joined\n"
    again = json.loads(join(stage, server, "--labels=env=dev,tier=two", "--format=json").out)
    assert again["host_uuid"] == first["host_uuid"]
    assert server.config.read_text().count("Include") == 1
    wait_for("the new label", lambda: "tier=two" in stage.alice.tsh("ls").out)
    events = stage.cluster.events(event="instance.join", host_id=first["host_uuid"])
    assert [event["success"] for event in events] == [True, True]


def test_a_record_that_leads_to_somebody_elses_server_leads_nowhere(stage: Stage, tmp_path: Path) -> None:
    """Whoever has a token may register an address; the server there does not have that record's id."""
    victim, thief = (Sshd(tmp_path / word, port=free_ports(1)[0]) for word in ("victim", "thief"))
    join(stage, victim, "--labels=env=prod")
    given = json.loads(join(stage, thief, "--labels=env=dev", f"--address={victim.address}", "--format=json").out)
    wait_for("the server in the list", lambda: victim.address in stage.alice.tsh("ls").out)
    with victim:
        said = stage.ssh("true", host=f"{given['host_uuid']}.{NAME}", status=255).stderr
    assert "the host certificate of" in said
    assert "Accepted" not in victim.log.read_text()


def test_a_configuration_that_sshd_refuses_stays(stage: Stage, tmp_path: Path) -> None:
    server = Sshd(tmp_path / "odd", port=free_ports(1)[0])
    before = server.config.read_text()
    refusing = tmp_path / "check"
    sshd = need("sshd")
    refusing.write_text(f'#!/bin/sh\ncase "$1" in -T) exec {sshd} "$@";; esac\necho no good >&2\nexit 1\n')
    refusing.chmod(0o755)
    said = join(stage, server, f"--sshd-check-command={refusing} -t -f", status=1).err
    assert "no good" in said
    assert server.config.read_text() == before
    assert list((server.folder / "data/openssh").iterdir()) == []
    assert sorted(path.name for path in server.folder.iterdir() if "sshd_config" in path.name) == ["sshd_config"]


def test_tctl_writes_and_edits_servers_without_an_agent_alone(stage: Stage) -> None:
    uuid = (stage.cluster.data / "host_uuid").read_text().strip()
    node = stage.cluster.read("node", uuid)
    said = stage.cluster.tctl("create", "-f", stdin=json.dumps(node), status=1).err
    assert "AUTH-NODE-AGENT" in said
    (mine,) = [e for e in json.loads(stage.cluster.tctl("get", "nodes", "--format=json").out)
               if e["spec"]["hostname"] == SERVER]  # fmt: skip
    editor = stage.cluster.folder / "editor"
    editor.write_text('#!/bin/sh\nsed -i "s/env: dev/env: dev\\n    tier: web/" "$1"\n')
    editor.chmod(0o700)
    stage.cluster.tctl("edit", f"nodes/{mine['metadata']['name']}", TELEPORT_EDITOR=str(editor))
    wait_for("the new label", lambda: "tier=web" in stage.alice.tsh("ls").out)
