"""Several proxies behind one address: agents keep a tunnel to each of them, and everybody is reached through any."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest

from tests.support.apart import Member
from tests.support.cluster import NODE, OWN, User
from tests.support.processes import wait_for
from tests.support.several import Several, jump, reached, through


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Several]:
    made = Several(tmp_path_factory.mktemp("several"))
    with made.running(), made.proxies():
        made.role("walker", logins=[OWN])
        yield made


@pytest.fixture(scope="module")
def node(cluster: Several) -> Iterator[Member]:
    with cluster.behind(NODE).running("-d") as running:
        yield running


@pytest.fixture(scope="module")
def alice(cluster: Several) -> User:
    user = cluster.sign_up("alice", ["walker"])
    user._config.write_text(user.tsh("config").out)
    return user


def everywhere(cluster: Several, node: Member, proxies: list[Member]) -> None:
    """Wait until a node has a tunnel to each proxy."""
    for proxy in proxies:
        wait_for(f"{node.name} to reach {proxy.name}", lambda: reached(node, proxy), seconds=60)  # noqa: B023


def test_s3_08_one_public_address_for_many_proxies(cluster: Several, node: Member, alice: User) -> None:
    """S3-08: identical proxies behind a balancer; the agent dials that again until it has reached each."""
    everywhere(cluster, node, cluster.all)
    for web in cluster.webs:
        wait_for(f"a session through {web}", lambda: through(alice, web), seconds=60)  # noqa: B023
    assert alice.tsh("ssh", f"{OWN}@{NODE}", "echo here").out == "here\n"
    assert "Traceback" not in node.log


def test_s3_10_agents_with_tunnels_need_no_address(cluster: Several, node: Member, alice: User) -> None:
    """S3-10: a node without `public_addr` that nobody could dial is reached through its tunnels."""
    assert "public_addr" not in node.config.read_text()
    cluster.wait_for_node(NODE)
    found = json.loads(cluster.tctl("get", f"node/{node.host_uuid}", "--format=json").out)
    entry = found[0] if isinstance(found, list) else found
    assert (entry["spec"].get("addr", ""), entry["spec"].get("public_addrs", [])) == ("", [])
    wait_for("a session", lambda: through(alice, cluster.webs[0]), seconds=60)


def test_proxies_and_auth_services_are_listed(cluster: Several) -> None:
    ids = {proxy.host_uuid for proxy in cluster.all}
    wait_for("both to be listed", lambda: listed(cluster) == ids, seconds=60)
    found = json.loads(cluster.tctl("get", "proxies", "--format=json").out)
    assert {proxy["spec"]["addr"] for proxy in found} == {*cluster.webs}
    (auth,) = json.loads(cluster.tctl("get", "auth_servers", "--format=json").out)
    assert auth["spec"]["addr"] == cluster.auth
    assert cluster.public in cluster.tctl("get", "proxies", "--format=text").out


def test_a_proxy_that_is_killed_is_reached_again_when_it_is_back(cluster: Several, node: Member, alice: User) -> None:
    """What goes through the other is not disturbed, and nobody asks for the one that is gone."""
    everywhere(cluster, node, cluster.all)
    second = cluster.all[1]
    before = reached(node, second)
    with alice.session(options=jump(cluster.webs[0])) as session:
        second.kill()
        wait_for(f"{node.name} to miss it", lambda: "A tunnel has ended" in node.log, seconds=60)
        assert through(alice, cluster.webs[0])
        second.start("-d")
        wait_for(f"{node.name} to reach it again", lambda: reached(node, second) > before, seconds=60)
        wait_for("a session through it", lambda: through(alice, cluster.webs[1]), seconds=60)
        assert session.poll() is None


def test_a_proxy_that_stops_orderly_sends_its_agents_elsewhere(cluster: Several, node: Member, alice: User) -> None:
    """No longer named, it waits for the session that goes through it, and for no idle tunnel."""
    everywhere(cluster, node, cluster.all)
    second = cluster.all[1]
    before = reached(node, second)
    server = second.server
    assert server is not None
    with alice.session(options=jump(cluster.webs[1])) as session:
        server.send_signal(signal.SIGQUIT)
        left = "A proxy stops, what goes through it goes on"
        wait_for("the agent to hear of it", lambda: left in node.log, seconds=60)
        wait_for("the list of proxies", lambda: listed(cluster) == {cluster.all[0].host_uuid}, seconds=60)
        assert session.stdin is not None
        assert session.stdout is not None
        session.stdin.write(b"still there\n")
        session.stdin.flush()
        assert session.stdout.readline() == b"still there\n"
        assert through(alice, cluster.webs[0])
        assert server.poll() is None
    assert server.wait(120) == 0
    second.server = None
    second.start("-d")
    wait_for(f"{node.name} to reach it again", lambda: reached(node, second) > before, seconds=60)


def listed(cluster: Several) -> set[str]:
    """Return the ids of the proxies that the Auth Service names."""
    return {proxy["metadata"]["name"] for proxy in json.loads(cluster.tctl("get", "proxies", "--format=json").out)}
