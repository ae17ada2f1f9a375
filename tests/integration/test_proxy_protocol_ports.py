"""PROXY protocol that nobody has asked for, on every port: HAProxy sends headers of both versions to a cluster whose
`proxy_protocol` is `off`, and to one where it is not set."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_edge import AUTH_ALPN, ask_api, dial, until_end
from tests.support.cluster import NAME, NODE, OWN, Cluster, User
from tests.support.haproxy import Balancer
from tests.support.ports import free_ports
from tests.support.processes import wait_for
from tests.unit.wire.test_tls_hello import openssl_hello

PERSON = "127.0.0.7"
PORTS = ("web", "ssh", "tunnel", "auth")
HELLOS = {
    "web": openssl_hello("localhost", ["h2"]), "ssh": b"SSH-2.0-test\r\n",
    "tunnel": openssl_hello("localhost", ["teleport-reversetunnel"]), "auth": openssl_hello("localhost", [AUTH_ALPN]),
}  # fmt: skip
HEADERS = {"v1": "send-proxy", "v2": "send-proxy-v2", "none": ""}


class Stage:
    """A cluster with separate ports, and a port of HAProxy for each of them and each header."""

    def __init__(self, cluster: Cluster, balancer: Balancer) -> None:
        self.cluster = cluster
        self.balancer = balancer

    def port(self, kind: str, header: str) -> int:
        return self.balancer.ports[f"{kind}-{header}"]

    def answered(self, kind: str, header: str) -> bytes:
        """Say on a port what its clients say first, and return the beginning of the answer: nothing if refused."""
        with dial(f":{self.port(kind, header)}", PERSON) as sock:
            with contextlib.suppress(OSError):  # refused already
                sock.sendall(HELLOS[kind])
                sock.shutdown(socket.SHUT_WR)
            return until_end(sock)[:1]


def running(folder: Path, mode: str) -> Iterator[Stage]:
    ssh, tunnel, kube, mysql = free_ports(4)
    line = f"  proxy_protocol: {mode}\n" if mode else ""
    own = f"  listen_addr: 127.0.0.1:{ssh}\n  tunnel_listen_addr: 127.0.0.1:{tunnel}\n"
    own += f"  kube_listen_addr: 127.0.0.1:{kube}\n  mysql_listen_addr: 127.0.0.1:{mysql}\n"
    cluster = Cluster(folder, version="v1", auth_service=line, proxy_service=line + own)
    at = {"web": cluster.settings["web"], "auth": f"127.0.0.1:{cluster.settings['auth']}"}
    at |= {"ssh": f"127.0.0.1:{ssh}", "tunnel": f"127.0.0.1:{tunnel}"}
    targets = {f"{kind}-{name}": (str(at[kind]), option) for kind in PORTS for name, option in HEADERS.items()}
    ports = dict(zip(targets, free_ports(len(targets)), strict=True))
    with cluster.running(), Balancer(folder, targets, ports) as balancer:
        yield Stage(cluster, balancer)
        assert "Traceback" not in cluster.log


@pytest.fixture(scope="module")
def off(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    yield from running(tmp_path_factory.mktemp("off"), "off")


@pytest.fixture(scope="module")
def unset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    yield from running(tmp_path_factory.mktemp("unset"), "")


@pytest.mark.parametrize("kind", PORTS)
@pytest.mark.config("proxy_service.proxy_protocol", "auth_service.proxy_protocol")
def test_with_off_a_header_ends_the_connection(off: Stage, kind: str) -> None:
    """The same port answers a balancer that sends none."""
    assert off.answered(kind, "none") in (b"\x16", b"\x15", b"S")
    for header in ("v1", "v2"):
        assert off.answered(kind, header) == b""
    who = "AUTH" if kind == "auth" else "PROXY"
    said = rf"\[{who}[^]]*\].*external PROXY protocol support is disabled.*\(NET-PROXY-OFF\)"
    wait_for("the log", lambda: re.search(said, off.cluster.log))


@pytest.mark.parametrize("header", ["v1", "v2"])
@pytest.mark.parametrize("kind", PORTS)
def test_without_the_setting_a_header_is_taken_and_told(unset: Stage, kind: str, header: str) -> None:
    assert unset.answered(kind, header) == unset.answered(kind, "none") != b""
    who = "AUTH" if kind == "auth" else "PROXY"
    wait_for("the log", lambda: re.search(rf"ERRO.*\[{who}[^]]*\].*\(NET-PROXY-UNSET\)", unset.cluster.log))


@pytest.fixture(scope="module")
def pinned(unset: Stage) -> User:
    """Somebody whose certificates are bound to the address that they signed in from."""
    document: dict[str, Any] = {
        "kind": "role", "version": "v7", "metadata": {"name": "pinned"},
        "spec": {"options": {"pin_source_ip": True},
                 "allow": {"logins": [OWN], "node_labels": {"env": ["dev"]}}},
    }  # fmt: skip
    unset.cluster.create(document)
    return unset.cluster.sign_up("pinned", ["pinned"])


@pytest.mark.parametrize("header", ["v1", "v2"])
def test_without_the_setting_no_header_proves_an_address(unset: Stage, pinned: User, header: str) -> None:
    """The header names the very address that the certificate is bound to; its port is 0 from then on."""
    assert NODE in pinned.tsh("ls").out
    refused = ask_api(pinned, unset.port("auth", header))
    assert (refused["grpc-status"], "without a proven IP address" in refused["grpc-message"]) == ("7", True)


@pytest.mark.parametrize("header", ["v1", "v2"])
def test_without_the_setting_the_web_port_serves(unset: Stage, header: str) -> None:
    url = f"https://localhost:{unset.port('web', header)}/webapi/ping"
    done = subprocess.run(["curl", "-sk", "-m", "30", url], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout)["cluster_name"] == NAME
