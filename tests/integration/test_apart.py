"""Auth Service, proxy and nodes in processes of their own: joining, restarts, and what is said when that fails."""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from teleport.base.clock import SystemClock
from teleport.pki import keys, ssh
from tests.support.apart import Apart, Member
from tests.support.cluster import BIN, NAME, OWN, User
from tests.support.processes import listening, wait_for


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    made = Apart(tmp_path_factory.mktemp("apart"))
    made.data.mkdir(mode=0o700)
    with made.running():
        made.role("walker", logins=["{{internal.logins}}"])
        yield made


@pytest.fixture(scope="module")
def proxy(apart: Apart) -> Iterator[Member]:
    with apart.proxy().running() as running:
        yield running


@pytest.fixture(scope="module")
def near(apart: Apart, proxy: Member) -> Iterator[Member]:
    """A node that joined at the Auth Service."""
    with apart.node("near").running() as running:
        apart.wait_for_node("near")
        yield running


@pytest.fixture(scope="module")
def alice(apart: Apart, proxy: Member) -> User:
    return apart.sign_up("alice", ["walker"], [OWN])


def echo(user: User, node: str) -> str:
    """Run a command on a node, as soon as the proxy knows of it."""
    return wait_for(f"a session on {node}", lambda: _try(user, node), seconds=60)


def _try(user: User, node: str) -> str:
    done = user.tsh("ssh", f"{OWN}@{node}", "echo here", status=None)
    return done.out.strip() if done.status == 0 else ""


def said(member: Member, text: str) -> None:
    """Wait for words in the log."""
    wait_for(f"the log to say {text}", lambda: text in member.log.replace("\\", ""), seconds=60)


def held(member: Member, role: str) -> dict[str, object]:
    """Return what a member keeps on disk of a role."""
    found = json.loads((member.data / "proc" / f"{role}.json").read_text())
    assert isinstance(found, dict)
    return found


@pytest.mark.config("teleport.auth_server", "teleport.ca_pin", "teleport.join_params.token_name")
def test_a_session_through_three_processes(apart: Apart, near: Member, alice: User) -> None:
    """S3-40: a node that joined at the Auth Service listens, and the proxy dials it there."""
    assert echo(alice, "near") == "here"
    listed = json.loads(alice.tsh("ls", "--format=json").out)
    assert "near" in [node["spec"]["hostname"] for node in listed]
    assert apart.some("near", event="session.start")
    joined = apart.event(event="instance.join", host_id=near.host_uuid)
    assert (joined["success"], joined["node_name"]) == (True, "near")
    assert "Joined the cluster" in near.log


def test_what_is_kept_is_kept_to_oneself(near: Member, proxy: Member) -> None:
    for member in (near, proxy):
        folder = member.data / "proc"
        assert folder.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
        assert "PRIVATE KEY" not in member.log
    assert sorted(path.name for path in (near.data / "proc").iterdir()) == [
        "authorities.pem", "instance.json", "node.json",
    ]  # fmt: skip
    assert not (near.data / "keys").exists(), "who has no Auth Service has no keys of authorities"


@pytest.fixture(scope="module")
def far(apart: Apart, proxy: Member) -> Iterator[Member]:
    """A node that knows the proxy alone."""
    lines = f"  proxy_server: {apart.public}\n  join_params: {{token_name: {apart.token('node')}}}\n"
    with apart.node("far", teleport=lines).running("-d") as running:
        apart.wait_for_node("far")
        yield running


@pytest.mark.config("teleport.proxy_server")
def test_a_node_that_knows_the_proxy_alone(apart: Apart, far: Member, alice: User) -> None:
    """S3-01, S3-03, S3-39: joining, every call and the session go through the proxy; the node listens nowhere."""
    assert echo(alice, "far") == "here"
    assert listening(far.pid) == set()
    assert "Tunnel" in next(line for line in alice.tsh("ls").out.splitlines() if line.startswith("far "))
    joined = apart.event(event="instance.join", host_id=far.host_uuid)
    assert joined["addr.remote"].startswith("127.0.0.1:"), "the proxy says who asked"
    start, *_ = [event for event in apart.some("far", event="session.start") if event["server_hostname"] == "far"]
    assert start["addr.remote"].startswith("127.0.0.1:"), "the node knows for whom a connection is"


def test_s0_15_to_s0_20_what_the_log_says_of_a_tunnel(far: Member, proxy: Member, apart: Apart) -> None:
    """S0-15, S0-16, S0-17, S0-18, S0-20: lines with the proxy's principals, the states, the control stream."""
    said(far, "handleDiscovery requests channel.")
    where = f"leaseID:[0-9]+ target:{apart.public} agents/pool.py:[0-9]+"
    uuid, line = proxy.host_uuid, r"DEBU \[NODE:PROX\] "
    for text in (
        "Changing state initial -> connecting\\.", "Changing state connecting -> connected\\.",
        "Discovery request channel opened: teleport-discovery\\.", "handleDiscovery requests channel\\.",
    ):  # fmt: skip
        assert re.search(f"{line}{text} {where}", far.log), text
    found = re.search(rf"{line}Agent connected to proxy: \[(.*)\]\. {where}", far.log)
    assert found is not None
    assert {
        f"{uuid}.{NAME}", uuid, f"proxy-1.{NAME}", "proxy-1", "localhost", "127.0.0.1", "::1",
        "remote.kube.proxy.teleport.cluster.local",
    } <= {*found[1].split()}  # fmt: skip


def readiness(member: Member) -> tuple[int, str]:
    return member.debug("GET", "/readyz")


def test_a_tunnel_outlives_its_proxy(proxy: Member, far: Member, alice: User) -> None:
    """S0-19 at the end of a process, and the way back after the end of another."""
    proxy.kill()
    wait_for("readiness to end", lambda: "no tunnel" in readiness(far)[1] and readiness(far)[0] == 503, seconds=60)
    assert 'teleport_service_ready{service="node"} 0' in far.debug("GET", "/metrics")[1]
    assert far.debug("GET", "/healthz")[0] == 200, "the process itself is well"
    proxy.start()
    assert echo(alice, "far") == "here"
    wait_for("readiness to be back", lambda: readiness(far)[0] == 200, seconds=60)
    far.stop()
    assert re.search(r"Pool is closing agent\. leaseID:[0-9]+ target:", far.log)
    assert alice.tsh("ssh", f"{OWN}@far", "true", status=None).status != 0
    far.start("-d")
    assert echo(alice, "far") == "here"


def test_each_process_may_start_again(apart: Apart, proxy: Member, alice: User) -> None:
    token = apart.token("node")
    node = apart.node("steady", teleport=apart.joining("node", token=token))
    with node.running():
        assert echo(alice, "steady") == "here"
        uuid = node.host_uuid
        apart.tctl("tokens", "rm", token)
        node.stop()
        node.start()
        assert (echo(alice, "steady"), node.host_uuid) == ("here", uuid)
        proxy.stop()
        proxy.start()
        assert echo(alice, "steady") == "here"
        apart.kill()
        for member in (node, proxy):
            told = "the Auth Service cannot be reached since"
            wait_for(f"{member.name} to say so", lambda m=member, t=told: t in readiness(m)[1], seconds=60)  # type: ignore[misc]
        apart.start()
        for member in (node, proxy):
            wait_for(f"{member.name} to be ready", lambda m=member: readiness(m)[0] == 200, seconds=60)  # type: ignore[misc]
        assert echo(alice, "steady") == "here"
        assert len(apart.some(event="instance.join", node_name="steady")) == 1, "nobody joins twice"


def test_a_node_waits_for_its_auth_service(apart: Apart, proxy: Member, alice: User) -> None:
    node = apart.node("patient")
    node.start()
    node.stop()
    apart.stop()
    with node.launched():
        said(node, "it is asked again")
        apart.start()
        assert echo(alice, "patient") == "here"


@pytest.mark.config("teleport.join_params.method")
def test_a_wrong_token_is_told_and_may_be_put_right(apart: Apart, proxy: Member, alice: User, tmp_path: Path) -> None:
    wrong = "0123456789abcdef0123456789abcdef"
    path = tmp_path / "token"
    path.write_text(f"{wrong}\n")
    node = apart.node("lost", teleport=apart.joining("node", token=str(path)))
    with node.launched():
        said(node, 'can not join the cluster with role "Instance", token expired or not found')
        assert "AUTH-JOIN-TOKEN" in node.log
        event = apart.some(event="instance.join", node_name="lost", success=False)[0]
        for place in (node.log, apart.log, json.dumps(event)):
            assert wrong not in place
        path.write_text(apart.token("node"))
        assert echo(alice, "lost") == "here"


def test_a_token_that_has_expired(apart: Apart) -> None:
    name = "f" * 32
    soon = SystemClock().now() + dt.timedelta(seconds=1)
    metadata = {"name": name, "expires": soon.isoformat()}
    apart.create({"kind": "token", "version": "v2", "metadata": metadata, "spec": {"roles": ["Node"]}})
    wait_for("the token to expire", lambda: SystemClock().now() > soon)
    node = apart.node("late", teleport=apart.joining(token=name))
    with node.launched():
        said(node, "token expired or not found")
        assert "AUTH-TOKEN-EXPIRED" in node.log


def test_a_token_for_other_services(apart: Apart) -> None:
    node = apart.node("stranger", teleport=apart.joining("proxy"))
    with node.launched():
        said(node, "can not join the cluster, the token does not allow role Node")


@pytest.mark.config("teleport.ca_pin")
def test_a_wrong_pin_keeps_the_token_at_home(apart: Apart, tmp_path: Path) -> None:
    pins = tmp_path / "pins"
    pins.write_text(f"sha256:{'00' * 32}\n")
    node = apart.node("wary", teleport=apart.joining("node", pin=str(pins)))
    with node.launched():
        said(node, "CLIENT-CA-PIN")
        assert "does not match any provided certificate authority pin" in node.log
    assert apart.events(event="instance.join", node_name="wary") == []


def test_who_lost_everything_joins_anew(apart: Apart, proxy: Member, alice: User) -> None:
    node = apart.node("forgetful")
    with node.running():
        first = node.host_uuid
        node.stop()
        shutil.rmtree(node.data)
        node.start()
        assert node.host_uuid != first
        assert wait_for("the new one", lambda: echo(alice, node.host_uuid)) == "here"


def test_new_names_are_certified_without_a_token(apart: Apart, proxy: Member) -> None:
    """S3-05, S3-06, S3-09: a list of public addresses, names and numbers, all of them in the host certificate."""
    token = apart.token("node")
    node = apart.node("named", teleport=apart.joining("node", token=token))
    with node.running():
        uuid, before = node.host_uuid, held(node, "node")
        apart.tctl("tokens", "rm", token)
        node.stop()
        node.write(apart.joining("node", token=token), node.services + "  public_addr: [a.example.com, 192.0.2.9]\n")
        node.start()
        after = held(node, "node")
    assert (before.get("principals", []), after["principals"]) == ([], ["a.example.com", "192.0.2.9"])
    assert node.host_uuid == uuid
    certificate = ssh.parse(keys.load_ssh_line(str(after["ssh_certificate"])))
    assert {"a.example.com", "192.0.2.9", "named", f"named.{NAME}", uuid} <= {*certificate.principals}
    assert before["ssh_certificate"] != after["ssh_certificate"]


def test_a_process_without_token_says_what_it_lacks(apart: Apart) -> None:
    node = apart.node("bare", teleport=f"  auth_server: {apart.auth}\n")
    done = apart.run(str(BIN / "teleport"), "start", "-c", str(node.config), status=1)
    assert "PROC-NO-TOKEN" in done.err
    assert "tctl tokens add --type=node" in done.err


def test_flags_instead_of_a_file(apart: Apart, proxy: Member, alice: User) -> None:
    node = apart.node("flagged", teleport="")
    options = (
        "--roles=node",
        f"--auth-server={apart.auth}",
        f"--token={apart.token('node')}",
        f"--ca-pin={apart.pin()}",
    )
    node.start(*options, "--nodename=by-flag")
    assert echo(alice, "by-flag") == "here"
    node.stop()
