"""Joining a running server over TLS, without a certificate: static, file and dynamic tokens, and a pod's token."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from teleport.api.join_messages import Asked, Joined
from teleport.base.clock import SystemClock
from teleport.base.disk import SystemDisk
from teleport.base.entropy import SystemEntropy
from teleport.base.errors import TeleportError
from teleport.client.joining import methods, pins
from teleport.client.joining.join import join
from teleport.net import tls
from teleport.net.network import SystemNetwork
from teleport.net.stream import Stream
from teleport.pki import contexts, x509
from tests.support.auth_cluster import public_keys
from tests.support.cluster import NAME, Cluster
from tests.support.issuer import Issuer

SERVER = Issuer("https://kubernetes.default.svc")
STATIC = "static-secret-of-nodes"
FROM_FILE = "static-secret-in-a-file"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("joining")
    (folder / "token").write_text(f"{FROM_FILE}\n")
    tokens = f'  tokens: ["node,proxy:{STATIC}", "app:{folder}/token"]\n'
    with Cluster(folder, auth_service=tokens).running() as server:
        yield server


class Host:
    """A machine that knows the address of the Auth Service and its pin."""

    def __init__(self, cluster: Cluster, pin: str = "") -> None:
        self.cluster = cluster
        words = cluster.tctl("status").out.split()
        self.pin = pin or next(word for word in words if word.startswith("sha256:"))

    async def _open(self, context: ssl.SSLContext) -> Stream:
        stream = await SystemNetwork().dial(f"127.0.0.1:{self.cluster.settings['auth']}")
        return await tls.client_handshake(stream, context, server_name=x509.CLUSTER_NAME)

    def join(self, token: str, method: str = "token", environment: Any = None, **fields: Any) -> Joined:
        """Join as a process would: compare the pin, then say the token."""

        async def work() -> Joined:
            clock = SystemClock()
            roots = await pins.roots(self._open, [self.pin], now=clock.now())
            context = contexts.client_context(host_authorities=roots, alpn=pins.ALPN)
            folder = str(self.cluster.folder)
            asked = Asked(token=token, host_name="n1", **public_keys(SystemEntropy()), **fields)  # type: ignore[arg-type]
            chosen = methods.method(method, environment or {}, SystemDisk(), folder, clock, SystemEntropy())
            return await join(lambda: self._open(context), asked, chosen)

        return asyncio.run(work())

    def refused(self, token: str, **fields: Any) -> str:
        """Return the code with which a join is refused."""
        with pytest.raises(TeleportError) as caught:
            self.join(token, **fields)
        return caught.value.code


@pytest.mark.config("auth_service.tokens")
def test_static_tokens_admit_hosts_and_never_end(cluster: Cluster) -> None:
    host = Host(cluster)
    assert host.join(STATIC).system_roles == ("Instance", "Node", "Proxy")
    assert host.join(FROM_FILE).system_roles == ("Instance", "App")
    assert host.refused("static-secret") == "AUTH-JOIN-TOKEN"
    rows = [line for line in cluster.tctl("tokens", "ls").out.splitlines() if "teleport.dev/" in line]
    assert len(rows) == 2
    assert all(line.endswith("never") for line in rows)
    assert STATIC not in cluster.log + str(cluster.events("instance.join"))
    for words in (("tokens", "rm", STATIC), ("rm", f"token/{STATIC}")):
        assert "code: AUTH-TOKEN-STATIC" in cluster.tctl(*words, status=1).err
    assert host.join(STATIC).host_id


def test_a_static_token_goes_with_its_line(tmp_path: Path) -> None:
    """No other test may share this server: it is started twice."""
    cluster = Cluster(tmp_path, auth_service=f'  tokens: ["node:{STATIC}"]\n')
    with cluster.running():
        assert Host(cluster).join(STATIC).host_id
    cluster.settings["auth_more"] = ""
    cluster.write_configs()
    with cluster.running():
        assert Host(cluster).refused(STATIC) == "AUTH-JOIN-TOKEN"
        assert cluster.tctl("tokens", "ls").out == "No active tokens found.\n"


def test_the_recipe_of_an_invitation_is_right(cluster: Cluster) -> None:
    out = cluster.tctl("nodes", "add", "--ttl=1h").out
    token = re.search(r"--token=([0-9a-f]{32}) ", out)
    pin = re.search(r"--ca-pin=(sha256:[0-9a-f]{64}) ", out)
    assert token, out
    assert pin, out
    assert f":{cluster.settings['auth']} must be reachable" in out
    joined = Host(cluster, pin[1]).join(token[1], additional_principals=("n1.lan",))
    assert (joined.cluster, joined.system_roles) == (NAME, ("Instance", "Node"))
    event = cluster.event("instance.join", host_id=joined.host_id)
    assert (event["success"], event["method"], event["addr.remote"].split(":")[0]) == (True, "token", "127.0.0.1")


def test_the_wrong_pin_keeps_the_token_at_home(cluster: Cluster) -> None:
    token = cluster.tctl("tokens", "add", "--type=node", "--format=text").out.strip()
    assert Host(cluster, "sha256:" + "0" * 64).refused(token) == "CLIENT-CA-PIN"
    assert not [event for event in cluster.events("instance.join") if event["token_name"].endswith(token[24:])]


def test_a_pod_joins_with_the_token_of_its_service_account(cluster: Cluster, tmp_path: Path) -> None:
    cluster.create(
        {
            "kind": "token", "version": "v2", "metadata": {"name": "pods"},
            "spec": {
                "roles": ["Kube", "App"], "join_method": "kubernetes",
                "kubernetes": {
                    "type": "static_jwks", "static_jwks": {"jwks": SERVER.jwks},
                    "allow": [{"service_account": "prod:agent"}],
                },
            },
        }
    )  # fmt: skip
    path = tmp_path / "token"
    host, environment = Host(cluster), {"KUBERNETES_TOKEN_PATH": str(path)}
    about = {"namespace": "prod", "pod": {"name": "agent-0"}}
    for account, audience, code in (
        ("prod:agent", NAME, ""), ("prod:other", NAME, "AUTH-JOIN-RULES"), ("prod:agent", "other", "AUTH-JOIN-PROOF"),
    ):  # fmt: skip
        now = int(SystemClock().now().timestamp())
        claims = {"aud": [audience], "iat": now, "exp": now + 600, "sub": f"system:serviceaccount:{account}"}
        path.write_text(SERVER.token(**claims, **{"kubernetes.io": about}))
        if code:
            assert host.refused("pods", method="kubernetes", environment=environment) == code
        else:
            joined = host.join("pods", method="kubernetes", environment=environment)
            assert joined.system_roles == ("Instance", "Kube", "App")
    assert host.refused("pods") == "AUTH-JOIN-METHOD"
    line = next(line for line in cluster.log.splitlines() if "prod:other" in line)
    assert "Failure to join cluster occurred" in line
    assert "join_method:kubernetes" in line
