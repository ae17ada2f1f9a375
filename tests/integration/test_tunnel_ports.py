"""Proxies whose ports are separate: agents keep their tunnels to the port for these, over CONNECT proxies as well."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.apart import Member
from tests.support.cluster import NODE, OWN, User
from tests.support.front import PROXY_HOST, tinyproxy
from tests.support.ports import free_ports
from tests.support.processes import wait_for
from tests.support.several import Peering, through


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peering]:
    made = Peering(tmp_path_factory.mktemp("ports"), mode="separate")
    with made.running(), made.proxies():
        made.role("walker", logins=[OWN])
        yield made


@pytest.fixture(scope="module")
def alice(cluster: Peering) -> User:
    user = cluster.sign_up("alice", ["walker"])
    user._config.write_text(user.tsh("config").out)
    return user


@pytest.fixture(scope="module")
def corporate(cluster: Peering) -> Iterator[tuple[str, Path]]:
    """A tinyproxy: its address and its log."""
    port = free_ports(1)[0]
    with tinyproxy(cluster.folder / "corporate", "connect", port):
        yield f"http://{PROXY_HOST}:{port}", cluster.folder / "corporate" / "connect.log"


def tunnel_ports(cluster: Peering) -> set[str]:
    return {f"127.0.0.1:{numbers['tunnel_listen_addr']}" for numbers in cluster.ports}


def asked(log: Path) -> set[str]:
    """Return the targets of CONNECT requests."""
    return {*re.findall(r"CONNECT (\S+) HTTP", log.read_text())}


def serves(cluster: Peering, alice: User, node: Member) -> None:
    """A session on a node, through either proxy."""
    cluster.holder(node)
    for door in cluster.doors:
        wait_for(f"a session through {door}", lambda: through(alice, door), seconds=60)  # noqa: B023


@pytest.mark.config("proxy_service.tunnel_listen_addr", "proxy_service.tunnel_public_addr")
def test_s3_17_agents_keep_their_tunnels_to_the_port_for_tunnels(
    cluster: Peering, alice: User, corporate: tuple[str, Path]
) -> None:
    """S3-17: with separate listeners the agent asks the CONNECT proxy for the web port and for the tunnel port. S3-27:
    proxies reach agents over each other on port 3021, without TLS routing too."""
    address, log = corporate
    node = cluster.behind(NODE)
    node.env = {"HTTPS_PROXY": address, "NO_PROXY": ""}
    with node.running("-d"):
        serves(cluster, alice, node)
        assert cluster.public in asked(log)
        assert asked(log) & tunnel_ports(cluster)
        assert asked(log) <= {cluster.public} | tunnel_ports(cluster)


def test_s3_18_one_port_may_be_exempt(cluster: Peering, alice: User, corporate: tuple[str, Path]) -> None:
    """S3-18: NO_PROXY names the tunnel port: only the web port is asked for."""
    address, log = corporate
    before = len(log.read_text())
    node = cluster.behind(NODE)
    node.env = {"HTTPS_PROXY": address, "NO_PROXY": ",".join(tunnel_ports(cluster))}
    with node.running("-d"):
        serves(cluster, alice, node)
        assert {*re.findall(r"CONNECT (\S+) HTTP", log.read_text()[before:])} == {cluster.public}
