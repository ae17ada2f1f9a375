"""A cluster scattered over network namespaces: what reaches what is decided between them, as firewalls do it."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

import pytest

from tests.support.processes import wait_for
from tests.support.scattered import CONNECT, CORNER, WEB, Scattered


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scattered]:
    with Scattered(tmp_path_factory.mktemp("scattered")).everywhere(CORNER) as made:
        yield made


def reaches(cluster: Scattered, place: str, other: str, port: int) -> bool:
    """Say whether a connection from one machine to another opens; what is in between drops, it does not refuse."""
    with cluster.net.inside(place), socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((cluster.net.address(other), port)) not in (errno.EAGAIN, errno.ETIMEDOUT)


def test_s3_47_an_agent_that_reaches_nothing_but_a_connect_proxy(cluster: Scattered) -> None:
    """S3-47: auth, proxy and agent in a namespace each; the agent reaches tinyproxy alone, and serves sessions."""
    auth = int(str(cluster.settings["auth"]))
    assert reaches(cluster, CORNER, "connect", CONNECT)
    assert not reaches(cluster, CORNER, "proxy", WEB)
    assert not reaches(cluster, CORNER, "auth", auth)
    assert not reaches(cluster, "user", CORNER, 3022)
    assert not reaches(cluster, "user", "auth", auth)
    wait_for("a session", lambda: cluster.ssh(CORNER, "true", status=None).status == 0, seconds=60)
    assert cluster.net.address(CORNER) in cluster.ssh(CORNER, "ip", "-br", "addr").out
    assert f"CONNECT {cluster.public}" in (cluster.folder / "connect" / "connect.log").read_text()
    started = cluster.event("ip -br addr", event="exec")
    assert started["server_hostname"] == CORNER
    assert started["addr.remote"].startswith(f"{cluster.net.address('user')}:")
