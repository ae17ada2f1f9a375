"""Agents that reach the proxy through nginx, HAProxy and tinyproxy alone: joining, their calls, tunnels, sessions."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.apart import Apart, Member
from tests.support.cluster import OWN, User
from tests.support.front import ADDRESS, PROXY_HOST, UPGRADES, Web, haproxy, nginx, tinyproxy
from tests.support.ports import free_ports
from tests.support.processes import wait_for


class Stage:
    """The cluster, and where its fronts listen."""

    def __init__(self, cluster: Apart, ports: dict[str, int], folder: Path, alice: User) -> None:
        self.cluster = cluster
        self.ports = ports
        self.folder = folder
        self.alice = alice

    def node(self, name: str, address: str, **env: str) -> Member:
        """Return a node that knows one address, not started yet."""
        token = self.cluster.token("node")
        lines = f"  proxy_server: {address}\n  join_params: {{token_name: {token}, method: token}}\n"
        made = self.cluster.node(name, teleport=lines)
        made.env = env
        return made

    def serves(self, node: Member) -> None:
        """A session on the node, whose address in the audit log is the user's."""
        self.cluster.wait_for_node(node.name)

        def tried() -> bool:
            done = self.alice.tsh("ssh", f"{OWN}@{node.name}", "echo here", status=None)
            return done.status == 0 and done.out == "here\n"

        wait_for(f"a session on {node.name}", tried, seconds=60)
        assert "Traceback" not in node.log


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("any-network")
    cluster = Apart(folder)
    cluster.data.mkdir(mode=0o700)
    names = ("nginx", "haproxy", "connect")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    fronts = folder / "fronts"
    with contextlib.ExitStack() as stack:
        stack.enter_context(cluster.running())
        proxy = cluster.proxy(more="  trust_x_forwarded_for: yes\n")
        stack.enter_context(proxy.running())
        web = Web(proxy.data, str(cluster.settings["web"]))
        forwarded = "  http-request set-header X-Forwarded-For %[src]\n"
        stack.enter_context(nginx(fronts, web, {"nginx": (ports["nginx"], "https", UPGRADES)}))
        stack.enter_context(haproxy(fronts, web, {"haproxy": (ports["haproxy"], "ssl verify none", forwarded)}))
        stack.enter_context(tinyproxy(fronts, "connect", ports["connect"], "BasicAuth agent secret\n"))
        cluster.role("walker", logins=[OWN])
        yield Stage(cluster, ports, fronts, cluster.sign_up("alice", ["walker"]))


@pytest.mark.parametrize("front", ["nginx", "haproxy"])
def test_s0_35_an_agent_behind_a_balancer_that_ends_tls(stage: Stage, front: str) -> None:
    """S0-35: everything of an agent travels inside WebSockets, and the audit log has its own address."""
    with stage.node(f"by-{front}", f"localhost:{stage.ports[front]}").running() as node:
        stage.serves(node)
        joined = stage.cluster.event(event="instance.join", host_id=node.host_uuid)
        assert joined["addr.remote"].startswith("127.0.0.1")
        assert ADDRESS not in json.dumps(joined)


def test_s3_12_s3_47_an_agent_behind_a_connect_proxy(stage: Stage) -> None:
    """S3-12, S3-47: the process reads the variables of its own environment; every connection is a CONNECT."""
    value = f"http://agent:secret@{PROXY_HOST}:{stage.ports['connect']}"
    with stage.node("by-connect", stage.cluster.public, HTTPS_PROXY=value, NO_PROXY="").running() as node:
        stage.serves(node)
        asked = re.findall(r"CONNECT (\S+) HTTP", (stage.folder / "connect.log").read_text())
        assert {*asked} == {stage.cluster.public}, "under TLS routing (S3-24) the web port alone"
        assert "secret" not in node.log
