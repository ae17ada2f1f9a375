"""Every channel of connections that end at the proxy: to nodes where recording is at the proxy, and to servers without
an agent. The matrix is that of the nodes (test_ssh_channels.py), with real certificates, roles and audit log."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.channels import DOORS, PAYLOAD, Door
from tests.support.cluster import NODE, OWN, Cluster, User, decision_in, free_ports
from tests.support.processes import wait_for
from tests.support.programs import need
from tests.support.sshd import Sshd
from tests.support.stock_ssh import Stock, Tsh

SERVER = "plain-1"
OFFSET = 420
MODE = "kind: session_recording_config\nversion: v2\nmetadata: {name: session-recording-config}\nspec: {mode: proxy}\n"
GIVING = {"forward_agent": True, "permit_x11_forwarding": True}
REFUSING = {
    "ssh_port_forwarding": {"local": {"enabled": False}, "remote": {"enabled": False}}, "forward_agent": False,
    "permit_x11_forwarding": False, "ssh_file_copy": False,
}  # fmt: skip


def sign_up(cluster: Cluster, name: str, options: dict[str, Any]) -> User:
    """Make somebody with a role of their own, whose `ssh` goes through the proxy."""
    spec = {"allow": {"logins": [OWN], "node_labels": {"env": "dev"}}, "options": options}
    cluster.create({"kind": "role", "version": "v7", "metadata": {"name": f"role-{name}"}, "spec": spec})
    user = cluster.sign_up(name, [f"role-{name}"])
    user._config.write_text(user.tsh("config").out)
    return user


class Stage:
    """A cluster that records at the proxy, with a node and a server that runs sshd alone."""

    def __init__(self, cluster: Cluster, server: Sshd) -> None:
        self.cluster = cluster
        self.server = server
        self.proxy = (cluster.data / "host_uuid").read_text().strip()
        self.alice = sign_up(cluster, "alice", GIVING)
        self.bob = sign_up(cluster, "bob", REFUSING)

    def told(self, **fields: object) -> dict[str, Any]:
        """Return the latest event of these, once there is one; the proxy has told of it."""
        found = self.cluster.some(**fields)[0]
        assert found["forwarded_by"] == self.proxy
        return found


@contextlib.contextmanager
def agentless(cluster: Cluster, folder: Path) -> Iterator[Sshd]:
    """Run and register a server that runs sshd alone."""
    authority = cluster.tctl("auth", "export", "--type=openssh").out.removeprefix("cert-authority ").strip()
    server = Sshd(folder / "plain", port=free_ports(1)[0], authority=authority)
    with server.config.open("a") as config:
        config.write(f"X11Forwarding yes\nX11DisplayOffset {OFFSET + 10}\nXAuthLocation {need('xauth')}\n")
    cluster.tctl("auth", "sign", f"--host={SERVER}", "--format=openssh", f"--out={folder}/made")
    (folder / "made").replace(server.folder / "ssh_host_ed25519_key")
    (server.folder / "ssh_host_ed25519_key.pub").unlink()
    server.certify((folder / "made-cert.pub").read_text())
    document = {
        "kind": "node", "version": "v2", "sub_kind": "openssh", "metadata": {"labels": {"env": "dev"}},
        "spec": {"hostname": SERVER, "addr": server.address},
    }  # fmt: skip
    cluster.tctl("create", stdin=json.dumps(document))
    with server:
        yield server


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("channels-at-proxy")
    cluster = Cluster(folder)
    more = f"  x11: {{enabled: yes, display_offset: {OFFSET}, max_display: {OFFSET + 9}}}\n"
    cluster.config.write_text(cluster.config.read_text() + more)
    with cluster.running():
        cluster.tctl("create", "-f", stdin=MODE)
        with agentless(cluster, folder) as server:
            stage = Stage(cluster, server)
            wait_for("the server in the list", lambda: SERVER in stage.alice.tsh("ls").out)

            def ended() -> bool:
                asyncio.run(Stock(stage.alice).run(command=("echo first",)))
                return any("forwarded_by" in event for event in cluster.events("echo first", event="session.start"))

            wait_for("the mode at the proxy", ended, seconds=60)
            yield stage


HOSTS = pytest.mark.parametrize("host", [NODE, SERVER], ids=["node", "agentless"])
DOOR = pytest.mark.parametrize("door", [pytest.param(door, id=door.name.replace(" ", "_")) for door in DOORS])


@HOSTS
@DOOR
def test_it_goes_through_with_its_option(door: Door, host: str, stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(PAYLOAD)
    seen = asyncio.run(door.use(Stock(stage.alice, host=host), tmp_path))
    assert seen.through, seen.said
    stage.told(code=door.event, user="alice", server_hostname=host)


@HOSTS
@DOOR
def test_it_is_refused_without(door: Door, host: str, stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(PAYLOAD)
    seen = asyncio.run(door.use(Stock(stage.bob, host=host), tmp_path))
    assert not seen.through
    assert door.text in seen.said
    id = decision_in(seen.said)
    assert stage.cluster.tctl("access", "explain", id).out
    stage.told(code=door.refusal, user="bob", decision_id=id)
    assert not stage.cluster.events(code=door.event, user="bob", server_hostname=host)


TSH = [door for door in DOORS if door.client.startswith(("-R", "-A"))]


@HOSTS
@pytest.mark.parametrize("door", [pytest.param(door, id=door.name.replace(" ", "_")) for door in TSH])
def test_tsh(door: Door, host: str, stage: Stage, tmp_path: Path) -> None:
    seen = asyncio.run(door.use(Tsh(stage.alice, host=host), tmp_path))
    assert seen.through, seen.said
