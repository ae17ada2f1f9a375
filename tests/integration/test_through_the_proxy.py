"""A node through the one TLS port: stock OpenSSH both ways, and tsh's own client, against real processes.

Between the proxy and the node stands a forwarder that counts: a refusal must not even dial.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import BIN, NAME, NODE, OWN, Cluster, User, decision_in
from tests.support.forwarder import Forwarder
from tests.support.processes import wait_for

HOST = f"{NODE}.{NAME}"
BYTES = 20 << 20


class Stage:
    """A running cluster whose node is registered under the forwarder's address."""

    def __init__(self, cluster: Cluster, between: Forwarder, alice: User) -> None:
        self.cluster = cluster
        self.between = between
        self.alice = alice

    @property
    def jump(self) -> tuple[str, ...]:
        """Options of stock ssh for the way over SSH itself."""
        return ("-J", f"alice@{self.cluster.public}")

    def bytes_of(self, *argv: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run a command of alice's with bytes as its input and output."""
        env = self.cluster.environment("alice")
        return subprocess.run(argv, input=stdin, capture_output=True, env=env, timeout=90)

    def other(self, name: str, **allow: Any) -> User:
        """Make another person with a role of their own."""
        self.cluster.role(f"only-{name}", **{"logins": [OWN], "env": ["dev"], **allow})
        return through(self.cluster.sign_up(name, [f"only-{name}"]))


def through(user: User) -> User:
    """Let a person's `ssh` use what `tsh config` prints, and nothing else."""
    user._config.write_text(user.tsh("config").out)
    return user


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    with Forwarder(int(cluster.settings["ssh"])) as between:
        text = cluster.config.read_text()
        assert "  labels: {env: dev}\n" in text
        public = f"  public_addr: 127.0.0.1:{between.port}\n  labels: {{env: dev}}\n"
        cluster.config.write_text(text.replace("  labels: {env: dev}\n", public))
        with cluster.running():
            cluster.role("developer", logins=[OWN], env=["dev"])
            yield Stage(cluster, between, through(cluster.sign_up("alice", ["developer"])))


WAYS = ("ProxyCommand", "jump")


def options(stage: Stage, way: str) -> tuple[str, ...]:
    return stage.jump if way == "jump" else ()


@pytest.mark.config("ssh_service.public_addr")
@pytest.mark.parametrize("way", WAYS)
def test_a_command_with_stock_ssh(stage: Stage, way: str) -> None:
    before = stage.between.connections
    done = stage.alice.ssh("echo $SSH_TELEPORT_USER; echo wrong >&2; exit 7", options=options(stage, way), status=7)
    assert (done.out, done.err) == ("alice\n", "wrong\n")
    assert stage.between.connections == before + 1


@pytest.mark.parametrize("name", [NODE, HOST, "UUID"])
def test_a_command_with_tsh(stage: Stage, name: str) -> None:
    host = (stage.cluster.data / "host_uuid").read_text().strip() if name == "UUID" else name
    done = stage.alice.tsh("ssh", f"{OWN}@{host}", "cat; echo wrong >&2; exit 7", stdin="through\n", status=7)
    assert (done.out, done.err) == ("through\n", "wrong\n")


def test_tsh_reads_login_port_and_options(stage: Stage) -> None:
    assert stage.alice.tsh("ssh", "-l", OWN, "-p", "3022", NODE, "echo", "two  words").out == "two words\n"
    assert stage.alice.tsh("ssh", "-o", f"User={OWN}", "-o", f"HostName={NODE}", "x", "echo here").out == "here\n"
    assert "CLIENT-SSH-OPTION" in stage.alice.tsh("ssh", "-o", "ProxyCommand=x", NODE, "true", status=1).err


def test_a_shell_without_a_terminal(stage: Stage) -> None:
    assert stage.alice.tsh("ssh", f"{OWN}@{NODE}", stdin="echo $((6 * 7))\nexit 5\n", status=5).out == "42\n"


@pytest.mark.parametrize("way", [*WAYS, "tsh"])
def test_twenty_megabytes_are_exact_both_ways(stage: Stage, way: str) -> None:
    data = os.urandom(BYTES)
    if way == "tsh":
        argv = [str(BIN / "tsh"), "ssh", f"{OWN}@{NODE}", "cat"]
    else:
        argv = stage.alice.ssh_argv("cat", options=options(stage, way))
    done = stage.bytes_of(*argv, stdin=data)
    assert (done.returncode, done.stderr) == (0, b"")
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()


def test_the_end_of_input_is_passed_on_alone(stage: Stage) -> None:
    """What `ssh -W` does: the node still says its part after the client has ended."""
    done = stage.bytes_of(str(BIN / "tsh"), "proxy", "ssh", f"{OWN}@{HOST}:3022", stdin=b"SSH-2.0-test\r\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"SSH-2.0-Teleport")


def test_both_hops_prove_themselves(stage: Stage, tmp_path: Path) -> None:
    config = stage.alice._config.read_text()
    stranger = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", stranger], check=True)
    key = stranger.with_suffix(".pub").read_text()
    trusted = re.search(r'UserKnownHostsFile "(.*)"', config)
    assert trusted is not None
    ours = Path(trusted[1]).read_text().split()
    for believed, way in ((NAME, "jump"), ("localhost", "jump"), ("localhost", "ProxyCommand")):
        # The authority of the cluster for one name, a stranger's for the other.
        other = "localhost" if believed == NAME else f"*.{NAME}"
        mine = f"*.{NAME}" if believed == NAME else believed
        hosts = tmp_path / "hosts"
        hosts.write_text(f"@cert-authority {mine} {' '.join(ours[2:4])}\n@cert-authority {other} {key}")
        given = ("-o", f"UserKnownHostsFile={hosts}", *options(stage, way))
        altered = tmp_path / "config"
        altered.write_text(config.replace(trusted[1], str(hosts)))
        argv = ["ssh", "-F", str(altered), *given, f"{OWN}@{HOST}", "true"]
        done = stage.bytes_of(*argv)
        assert done.returncode == 255
        assert b"Host key verification failed" in done.stderr, (believed, way, done.stderr)


@pytest.mark.parametrize("way", [*WAYS, "tsh"])
def test_a_hidden_node_and_one_that_is_not_there_are_refused_alike(stage: Stage, way: str) -> None:
    user = stage.other(f"hidden-{way.lower()}", env=["staging"])
    before = stage.between.connections
    texts = []
    for name in (NODE, "no-such-node"):
        if way == "tsh":
            text = user.tsh("ssh", f"{OWN}@{name}", "true", status=1).err
        else:
            jump = ("-J", f"{user.name}@{stage.cluster.public}") if way == "jump" else ()
            argv = user.ssh_argv("true", options=jump)
            done = stage.cluster.run(
                *(word.replace(NODE, name) if "@" in word and NAME in word else word for word in argv), status=255,
                env=stage.cluster.environment(user.name),
            )  # fmt: skip
            text = done.err
        assert "POL-NOT-FOUND" in text
        texts.append(text.replace(decision_in(text), "ID").replace(name, "NAME"))
    assert texts[0] == texts[1]
    assert stage.between.connections == before


def test_a_denied_login_is_refused_before_any_dial(stage: Stage) -> None:
    before = stage.between.connections
    text = stage.alice.ssh("true", login="nobody", status=255).err
    assert f'role "developer" allows logins [{OWN}]; you asked for "nobody"' in text
    explained = stage.cluster.tctl("access", "explain", decision_in(text)).out
    assert "POL-NO-LOGIN" in explained
    assert stage.between.connections == before


def test_a_lock_is_refused_before_any_dial(stage: Stage) -> None:
    user = stage.other("locked")
    assert user.ssh("true").status == 0
    stage.cluster.tctl("lock", "--user=locked", "--message=stop now")
    before = stage.between.connections

    def refused() -> bool:
        return user.ssh("true", status=None).status == 255

    wait_for("the lock at the proxy", refused)
    counted = stage.between.connections
    for way in WAYS:
        given = ("-J", f"locked@{stage.cluster.public}") if way == "jump" else ()
        text = user.ssh("true", options=given, status=255).err
        assert 'lock targeting User:"locked" is in force: stop now' in text
    assert stage.between.connections == counted
    assert counted - before <= 1


def test_other_listeners_of_the_machine_are_not_reached(stage: Stage) -> None:
    with Forwarder(1) as stranger:
        target = f"127.0.0.1:{stranger.port}"
        ways = (
            [str(BIN / "tsh"), "proxy", "ssh", target],
            [str(BIN / "tsh"), "ssh", f"{OWN}@{target}", "true"],
            ["ssh", "-F", str(stage.alice._config), "-W", target, "-p", stage.cluster.public.partition(":")[2],
             "alice@localhost"],
        )  # fmt: skip
        for argv in ways:
            done = stage.bytes_of(*argv, stdin=b"SSH-2.0-test\r\n")
            assert done.returncode != 0
            assert b"POL-NOT-FOUND" in done.stderr, argv
        assert stranger.connections == 0


def test_a_foreign_certificate_is_refused(stage: Stage, tmp_path: Path) -> None:
    """Alice of another cluster, who believes in this one's host authority."""
    other = Cluster(tmp_path / "other-cluster") if (tmp_path / "other-cluster").mkdir() is None else None
    assert other is not None
    with other.running():
        other.role("developer", logins=[OWN], env=["dev"])
        other.sign_up("alice", ["developer"])
    home, mine = other.folder / "home-alice", stage.cluster.folder / "home-alice"
    profile = json.loads((home / "localhost.yaml").read_text())
    (home / "localhost.yaml").write_text(json.dumps({**profile, "web_proxy_addr": stage.cluster.public}))
    for path in (f"keys/localhost/cas/{NAME}.pem", "keys/localhost/known_hosts"):
        (home / path).write_bytes((mine / path).read_bytes())
    done = subprocess.run(
        [BIN / "tsh", "proxy", "ssh", f"{OWN}@{NODE}"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        env=other.environment("alice"), timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "NET-TLS-REFUSED-UNKNOWN-CA" in done.stderr


def test_an_expired_sign_in_is_said_before_anything_is_dialled(stage: Stage) -> None:
    user = stage.other("expired")
    file = stage.cluster.folder / "home-expired" / "localhost.yaml"
    file.write_text(json.dumps({**json.loads(file.read_text()), "valid_until": "2020-01-01T00:00:00Z"}))
    for argv in (("ssh", f"{OWN}@{NODE}", "true"), ("proxy", "ssh", NODE)):
        text = user.tsh(*argv, status=1).err
        assert "Active profile expired." in text
        assert "tsh login --proxy=localhost --user=expired" in text


def test_resolve_env_and_version(stage: Stage) -> None:
    alice, public = stage.alice, stage.cluster.public
    shown = alice.tsh("resolve", HOST).out
    assert NODE in shown
    assert json.loads(alice.tsh("resolve", NODE, "--format=json").out)["spec"]["hostname"] == NODE
    assert alice.tsh("resolve", "-q", NODE).out == ""
    assert "no matching hosts found" in alice.tsh("resolve", "-q", "absent", status=1).err
    assert alice.tsh("env").out == f"export TELEPORT_PROXY={public}\nexport TELEPORT_CLUSTER={NAME}\n"
    names = ("TELEPORT_PROXY", "TELEPORT_CLUSTER", "TELEPORT_IDENTITY_FILE")
    assert alice.tsh("env", "--unset").out == "".join(f"unset {name}\n" for name in names)
    assert json.loads(alice.tsh("env", "--format=json").out) == {"TELEPORT_PROXY": public, "TELEPORT_CLUSTER": NAME}
    lines = alice.tsh("version").out.splitlines()
    assert lines[1:] == [f"Proxy version: {lines[0].split()[1].removeprefix('v')}", f"Proxy: {public}"]
    assert len(alice.tsh("version", "--client").out.splitlines()) == 1


def test_the_way_starts_at_once(stage: Stage) -> None:
    """`ssh` waits for the first byte of a ProxyCommand; 350 ms is the goal on a quiet machine."""
    took = []
    for _ in range(5):
        began = time.monotonic()
        with subprocess.Popen(
            [BIN / "tsh", "proxy", "ssh", f"{OWN}@{NODE}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env=stage.cluster.environment("alice"),
        ) as way:  # fmt: skip
            assert way.stdout is not None
            assert way.stdout.read(4) == b"SSH-"
            took.append(time.monotonic() - began)
            way.kill()
    assert min(took) < 1.5, took


def test_a_proxy_that_is_gone_and_one_that_is_back(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    with cluster.running():
        cluster.role("developer", logins=[OWN], env=["dev"])
        alice = through(cluster.sign_up("alice", ["developer"]))
        assert alice.ssh("echo here").out == "here\n"
    text = alice.ssh("true", status=255).err
    assert f"cannot reach {cluster.public}" in text
    assert "CLIENT-UNREACHABLE" in text
    assert "CLIENT-UNREACHABLE" in alice.tsh("ssh", f"{OWN}@{NODE}", "true", status=1).err
    with cluster.running():
        wait_for("the node", lambda: alice.ssh("true", status=None).status == 0)
