"""Proxies that reach agents over each other: an agent keeps a tunnel to one of them, and is reached through all."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.apart import Member
from tests.support.cluster import NODE, OWN, User, free_ports, loopback_with
from tests.support.processes import wait_for
from tests.support.several import Several, reached, through

STRATEGY = "  tunnel_strategy: {type: proxy_peering, agent_connection_count: 1}\n"
SEPARATE = ("listen_addr", "tunnel_listen_addr", "kube_listen_addr", "mysql_listen_addr")


class Peering(Several):
    """Proxies with a port for each other, 3021, each on an address of its own."""

    def __init__(self, *arguments: object, mode: str, **options: object) -> None:
        self.peers = (loopback_with(3021), loopback_with(3021))
        each = [f"  peer_listen_addr: {peer.partition(':')[0]}\n" + ports(mode) for peer in self.peers]
        more = f"{STRATEGY}  proxy_listener_mode: {mode}\n"
        super().__init__(*arguments, each=each, auth_service=more, **options)  # type: ignore[arg-type]

    def holder(self, node: Member) -> int:
        """Return which of the proxies a node has its tunnel to, as soon as its entry says so."""
        ids = [proxy.host_uuid for proxy in self.all]
        return wait_for("the node's proxy", lambda: self._holder(node, ids), seconds=60)[0]

    def _holder(self, node: Member, ids: list[str]) -> list[int]:
        found = json.loads(self.tctl("get", "nodes", "--format=json").out)
        named = [entry["spec"].get("proxy_ids", []) for entry in found if entry["metadata"]["name"] == node.host_uuid]
        return [ids.index(id) for id in (named[0] if named else []) if id in ids]


def ports(mode: str) -> str:
    """Return lines with the ports of their own that protocols have unless one port takes all."""
    if mode == "multiplex":
        return ""
    return "".join(f"  {key}: 127.0.0.1:{port}\n" for key, port in zip(SEPARATE, free_ports(4), strict=True))


@pytest.fixture(scope="module", params=["multiplex", "separate"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peering]:
    made = Peering(tmp_path_factory.mktemp(f"peering-{request.param}"), mode=request.param)
    with made.running(), made.proxies():
        made.role("walker", logins=[OWN])
        yield made


@pytest.fixture(scope="module")
def node(cluster: Peering) -> Iterator[Member]:
    with cluster.behind(NODE).running("-d") as running:
        yield running


@pytest.fixture(scope="module")
def alice(cluster: Peering) -> User:
    user = cluster.sign_up("alice", ["walker"])
    user._config.write_text(user.tsh("config").out)
    return user


@pytest.mark.config(
    "auth_service.tunnel_strategy.type", "auth_service.tunnel_strategy.agent_connection_count",
    "proxy_service.peer_listen_addr",
)  # fmt: skip
def test_s3_26_s3_27_proxies_reach_agents_over_each_other(cluster: Peering, node: Member, alice: User) -> None:
    """S3-26, S3-27: with peering there is a listener on 3021, with and without TLS routing. The agent keeps one tunnel,
    and is reached through both proxies; the node and the audit log know who comes."""
    listed = json.loads(cluster.tctl("get", "proxies", "--format=json").out)
    assert {proxy["spec"]["peer_addr"] for proxy in listed} == {*cluster.peers}
    holder = cluster.holder(node)
    assert [reached(node, proxy) > 0 for proxy in cluster.all] == [holder == 0, holder == 1]
    other = 1 - holder
    wait_for("a session over the other", lambda: through(alice, cluster.webs[other]), seconds=60)
    assert through(alice, cluster.webs[holder])
    assert "Connected to another proxy" in cluster.all[other].log
    assert "A proxy has connected" in cluster.all[holder].log
    assert "Connected to another proxy" not in cluster.all[holder].log
    starts = cluster.some("session.start", 2, event="session.start")
    assert {start["addr.remote"].rpartition(":")[0] for start in starts} == {"127.0.0.1"}
    assert len({start["addr.remote"] for start in starts}) == len(starts), "each has the port of its client"
