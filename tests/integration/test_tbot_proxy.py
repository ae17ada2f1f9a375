"""A bot and the proxy: under which address it is known, and what works without it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from teleport.base.clock import SystemClock
from tests.support.apart import Apart
from tests.support.cluster import NAME, Cluster, loopback_with
from tests.support.issuer import Issuer
from tests.support.tbot import Machine, identity_in, instances, make_bot

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")).running() as running:
        running.role("access", logins=["alice"])
        yield running


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    """An Auth Service without any proxy."""
    cluster = Apart(tmp_path_factory.mktemp("alone"))
    cluster.host = loopback_with(443).rpartition(":")[0]
    cluster.write_configs()
    with cluster.running() as running:
        running.role("access", logins=["alice"])
        yield running


def test_the_address_is_the_one_that_the_proxy_advertises_unless_told_otherwise(cluster: Cluster) -> None:
    """S1-52, S1-53."""
    machine = Machine(cluster, "split", make_bot(cluster, "split", "access"))
    port = cluster.public.rpartition(":")[2]
    machine.settings["proxy_server"] = f"127.0.0.1:{port}"
    for value, host in (("", "localhost"), ("YES", "localhost"), ("yes", "127.0.0.1")):
        machine.environment["TBOT_USE_PROXY_ADDR"] = value
        machine.once()
        written = (machine.out / "ssh_config").read_text()
        assert f"--proxy-server={host}:{port} " in written
        assert written.startswith(f"# Begin generated Teleport configuration for {host} by tbot")


def test_the_configured_address_needs_one(cluster: Cluster) -> None:
    """S1-53."""
    machine = Machine(cluster, "unset", "none", direct=True)
    machine.environment["TBOT_USE_PROXY_ADDR"] = "yes"
    what = "TBOT_USE_PROXY_ADDR requires that a proxy address is set using --proxy-server or proxy_server"
    assert f"ERROR: {what}\n" in machine.once(status=1).err


def test_without_a_proxy_each_service_that_needs_it_says_so_and_others_work(alone: Apart) -> None:
    """S1-56, S1-57, S1-58, S1-59."""
    machine = Machine(alone, "dead", make_bot(alone, "dead", "access"), direct=True)
    machine.settings |= {
        "auth_server": alone.auth,
        "storage": {"type": "directory", "path": "./storage"},
        "services": [
            machine.output(),
            machine.output(Path("./destination"), ssh_config="off"),
            {"type": "ssh-multiplexer", "destination": {"type": "directory", "path": str(machine.folder / "mux")}},
        ],
    }
    with machine.running() as bot:
        bot.await_line("Failed to ping proxy error:[")
        first = bot.await_line("Task failed. Backing off and retrying service:identity-output-1")
        bot.await_line("Task succeeded. Waiting interval service:identity-output-2")
        other = bot.await_line("Task failed. Backing off and retrying service:ssh-multiplexer-3")
        bot.await_line("User Message:")
        lines = bot.log.splitlines()
    assert "BOT-PROXY-PING" in first
    assert "BOT-PROXY-PING" in other
    written = {path.name for path in (machine.folder / "destination").iterdir()}
    assert "identity" in written
    assert not {name for name in written if "ssh_config" in name or "known_hosts" in name}

    place = next(number for number, line in enumerate(lines) if "Failed to ping proxy" in line)
    problem = f'Get "https://{alone.host}:443/webapi/find": dial tcp {alone.host}:443: connect: connection refused'
    assert re.fullmatch(TIME + r" ERRO \[TBOT:PROX\] Failed to ping proxy error:\[", lines[place])
    assert lines[place + 1 : place + 4] == ["ERROR REPORT:", f"Original Error: *url.Error {problem}", "Stack Trace:"]
    end = next(number for number in range(place, len(lines)) if lines[number].startswith("User Message: "))
    assert place + 4 < end
    assert all(re.fullmatch(r"\t\S+\.py:\d+ \S+", line) for line in lines[place + 4 : end])
    assert re.fullmatch(re.escape(f"User Message: {problem}]") + r" bot/proxy_facts\.py:\d+", lines[end])


def test_a_pod_is_a_bot_without_a_secret(cluster: Cluster, tmp_path: Path) -> None:
    """S1-24, S1-44: a join method whose proof somebody else signs; the next start proves it again and is the same
    instance, and the token stays."""
    server, now = Issuer("https://kubernetes.default.svc"), int(SystemClock().now().timestamp())
    make_bot(cluster, "pod", "access")
    block = {
        "type": "static_jwks", "static_jwks": {"jwks": server.jwks}, "allow": [{"service_account": "prod:agent"}],
    }  # fmt: skip
    spec = {"roles": ["Bot"], "bot_name": "pod", "join_method": "kubernetes", "kubernetes": block}
    cluster.create({"kind": "token", "version": "v2", "metadata": {"name": "pods"}, "spec": spec})
    claims: dict[str, Any] = {
        "aud": [NAME], "iat": now, "exp": now + 600, "sub": "system:serviceaccount:prod:agent",
        "kubernetes.io": {"namespace": "prod", "pod": {"name": "agent-0"}},
    }  # fmt: skip
    (tmp_path / "jwt").write_text(server.token(**claims))
    machine = Machine(cluster, "pod", "pods", method="kubernetes")
    machine.settings["onboarding"]["kubernetes"] = {"token_path": str(tmp_path / "jwt")}
    machine.once()
    machine.once()
    assert [*instances(cluster, "pod").values()] == [2]
    assert not identity_in(machine.storage).renewable
    assert identity_in(machine.out).roles == ("access",)
