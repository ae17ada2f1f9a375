"""Proxies that reach agents over each other: an agent keeps a tunnel to one of them, and is reached through all."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
from collections.abc import Iterator

import pytest

from tests.support.apart import Member
from tests.support.cluster import NAME, NODE, OWN, User, decision_in
from tests.support.processes import wait_for
from tests.support.several import Peering, jump, through


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peering]:
    made = Peering(tmp_path_factory.mktemp("peering"))
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
    "proxy_service.peer_listen_addr", "proxy_service.peer_public_addr",
)  # fmt: skip
def test_s3_26_proxies_reach_agents_over_each_other(cluster: Peering, node: Member, alice: User) -> None:
    """S3-26: with peering there is a listener on 3021. The agent keeps one tunnel, and is reached through both proxies;
    the node and the audit log know who comes."""
    wait_for("both to be listed", lambda: peer_addresses(cluster) == {*cluster.peers}, seconds=60)
    holder = cluster.holder(node)
    other = 1 - holder
    wait_for("a session over the other", lambda: through(alice, cluster.doors[other]), seconds=60)
    assert through(alice, cluster.doors[other])
    assert through(alice, cluster.doors[holder])
    assert "Connected to another proxy" in cluster.all[other].log
    assert "A proxy has connected" in cluster.all[holder].log
    clients = [start["addr.remote"] for start in cluster.some("session.start", 3, event="session.start")]
    assert {client.rpartition(":")[0] for client in clients} == {"127.0.0.1"}
    assert len({*clients}) == len(clients), "each is the client's, not that of the tunnel between the proxies"


def peer_addresses(cluster: Peering) -> set[str]:
    listed = json.loads(cluster.tctl("get", "proxies", "--format=json").out)
    return {proxy["spec"].get("peer_addr", "") for proxy in listed}


def test_what_is_no_proxy_is_not_served(cluster: Peering, node: Member, alice: User) -> None:
    """A node shows a certificate of the cluster, and gets nothing."""
    host, _, port = cluster.peers[0].partition(":")
    for role in ("node", "instance"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        held = json.loads((node.data / "proc" / f"{role}.json").read_text())
        pem = cluster.folder / f"{role}.pem"
        pem.write_text(held["tls_certificate"] + held["keys"]["tls"])
        context.load_cert_chain(pem)
        context.set_alpn_protocols(["teleport-proxy-peer"])
        with (
            socket.create_connection((host, int(port)), timeout=20) as raw,
            context.wrap_socket(raw, server_hostname="teleport.cluster.local") as sock,
            contextlib.suppress(OSError),
        ):
            assert sock.recv(1) == b""
    refused = f"{node.host_uuid}.{NAME} is not a proxy of this cluster"
    wait_for("the refusals", lambda: cluster.all[0].log.count(refused) >= 2, seconds=60)


def test_the_proxy_that_is_asked_decides(cluster: Peering, node: Member, alice: User) -> None:
    """A user without rights is refused by the proxy that they came to, with the id of the decision."""
    other = 1 - cluster.holder(node)
    door = cluster.doors[other]
    cluster.role("walker", logins=[OWN], env=["none"])
    wait_for("the change to arrive", lambda: not through(alice, door), seconds=60)
    done = alice.ssh("true", options=jump(door), status=None)
    assert done.status != 0
    assert decision_in(done.err)
    cluster.role("walker", logins=[OWN])
    wait_for("the change to arrive", lambda: through(alice, door), seconds=60)


def test_when_the_proxy_of_a_node_dies_it_is_reached_over_another(cluster: Peering, node: Member, alice: User) -> None:
    holder = cluster.holder(node)
    gone = cluster.all[holder]
    gone.kill()
    wait_for("the node to move", lambda: cluster.holder(node) != holder, seconds=60)
    assert through(alice, cluster.doors[1 - holder])
    gone.start("-d")
    wait_for("a session over it", lambda: through(alice, cluster.doors[holder]), seconds=60)
