"""Every channel of a node in a real cluster, through the proxy with `ssh -J`; and the switches of teleport.yaml.

The matrix with its refusals is in test_ssh_channels.py; here the same doors are seen with real certificates, roles and
audit log.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import programs
from tests.support.channels import DOORS, PAYLOAD, Door
from tests.support.cluster import NODE, OWN, Cluster, User, decision_in
from tests.support.processes import wait_for
from tests.support.stock_ssh import Stock

OFFSET = 400
GIVING = {"forward_agent": True, "permit_x11_forwarding": True}


def sign_up(cluster: Cluster, name: str, options: dict[str, Any]) -> User:
    """Make somebody with a role of their own."""
    spec = {"allow": {"logins": [OWN], "node_labels": {"env": "dev"}}, "options": options}
    cluster.create({"kind": "role", "version": "v7", "metadata": {"name": f"role-{name}"}, "spec": spec})
    return cluster.sign_up(name, [f"role-{name}"])


@contextlib.contextmanager
def running(folder: Path, more: str) -> Iterator[Cluster]:
    cluster = Cluster(folder)
    cluster.config.write_text(cluster.config.read_text() + more)
    with cluster.running():
        yield cluster


@pytest.fixture(scope="module")
def open_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    more = f"  x11: {{enabled: yes, display_offset: {OFFSET}, max_display: {OFFSET + 1}}}\n"
    with running(tmp_path_factory.mktemp("open"), more) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def alice(open_cluster: Cluster) -> User:
    return sign_up(open_cluster, "alice", GIVING)


@pytest.fixture(scope="module")
def closed_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("closed"), "  port_forwarding: no\n  ssh_file_copy: no\n") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def carol(closed_cluster: Cluster) -> User:
    return sign_up(closed_cluster, "carol", GIVING)


@pytest.mark.parametrize("door", [pytest.param(door, id=door.name.replace(" ", "_")) for door in DOORS])
def test_through_the_proxy(door: Door, alice: User, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(PAYLOAD)
    jump = f"-oProxyJump=alice@{alice.cluster.public}"
    seen = asyncio.run(door.use(Stock(alice, jump), tmp_path))
    assert seen.through, seen.said
    alice.cluster.some(code=door.event, user="alice")


@pytest.mark.config("ssh_service.port_forwarding", "ssh_service.ssh_file_copy")
@pytest.mark.parametrize(
    "door", [pytest.param(door, id=door.name.replace(" ", "_")) for door in DOORS if door.service]
)  # fmt: skip
def test_the_service_closes_it_for_everybody(door: Door, carol: User, tmp_path: Path) -> None:
    """x11 is off unless it is switched on; the other two are on unless they are switched off."""
    (tmp_path / "source").write_bytes(PAYLOAD)
    seen = asyncio.run(door.use(Stock(carol), tmp_path))
    assert not seen.through
    assert f"POL-CHANNEL-SERVICE: {door.text} (ssh_service.{door.service} is off" in seen.said
    explained = carol.cluster.tctl("access", "explain", decision_in(seen.said)).out
    assert f"ssh_service.{door.service} no, wanted yes <- nearest miss" in explained


def test_a_refusal_is_explained(open_cluster: Cluster) -> None:
    bob = sign_up(open_cluster, "bob", {"ssh_port_forwarding": {"remote": {"enabled": False}}})
    done = bob.ssh("true", options=("-R", "0:127.0.0.1:9"))
    assert "remote port forwarding not allowed" in done.err
    id = decision_in(done.err)
    explained = open_cluster.tctl("access", "explain", id).out
    assert f"DENY ssh {OWN}@{NODE} (remote port forwarding) (user bob" in explained
    assert 'set ssh_port_forwarding.remote.enabled of role "role-bob" to yes' in explained
    open_cluster.some(code="T3003E", user="bob", decision_id=id)


def test_a_permission_taken_away_counts_at_once_and_one_given_needs_a_new_certificate(open_cluster: Cluster) -> None:
    """The role of now and the certificate: a channel needs both."""
    dave = sign_up(open_cluster, "dave", {"port_forwarding": False})
    with_it = {"allow": {"logins": [OWN], "node_labels": {"env": "dev"}}, "options": {"port_forwarding": True}}
    without = {**with_it, "options": {"port_forwarding": False}}

    def says(text: str) -> bool:
        return text in dave.ssh("", options=("-W", "127.0.0.1:9"), status=255).err

    assert says("POL-CHANNEL-CERTIFICATE")
    role = {"kind": "role", "version": "v7", "metadata": {"name": "role-dave"}}
    open_cluster.create({**role, "spec": with_it})
    assert says("POL-CHANNEL-CERTIFICATE")
    dave.sign_in()
    assert says("SSH-USER-")  # nobody listens there: the account itself was refused
    open_cluster.create({**role, "spec": without})
    wait_for("the role at the node", lambda: says("POL-CHANNEL-ROLE"))


@pytest.mark.config("ssh_service.x11.enabled", "ssh_service.x11.display_offset", "ssh_service.x11.max_display")
def test_displays_are_those_of_the_file(alice: User, tmp_path: Path) -> None:
    """Two sessions have the two displays that there are; a third has none and is told so."""
    options = ["-Y", f"-oXAuthLocation={programs.need('xauth')}"]
    env = {"DISPLAY": ":999", "XAUTHORITY": str(tmp_path / "none")}
    with contextlib.ExitStack() as stack:
        shown = []
        for _ in range(3):
            argv = alice.ssh_argv('echo "shown $DISPLAY"; exec cat', options=options)
            client = stack.enter_context(
                subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 env=alice.cluster.environment("alice", **env))
            )  # fmt: skip
            assert client.stdout is not None
            shown.append(client.stdout.readline().decode().strip())
            stack.callback(client.kill)
        assert client.stdin is not None
        client.stdin.close()
        assert client.stderr is not None
        assert "SSH-USER-DISPLAY" in client.stderr.read().decode()
    assert sorted(shown) == ["shown", f"shown localhost:{OFFSET}.0", f"shown localhost:{OFFSET + 1}.0"]
