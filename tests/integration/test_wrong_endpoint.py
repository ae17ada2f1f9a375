"""Addresses that lead to another program than the one meant: what answers is named, and what to write instead."""

from __future__ import annotations

import contextlib
import http.server
import re
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.apart import Member
from tests.support.cluster import BIN, Cluster
from tests.support.ports import free_ports
from tests.support.processes import wait_for
from tests.support.tls import Authority

SSH_PORT, WEB, PLAIN = "an SSH server", r"a web server \(Other", r"a web server without TLS \(Other"
AUTH, TUNNELS, PROXY = "an Auth Service", "the port of a proxy for agents or other proxies", "the web port of a proxy"


class Other(http.server.BaseHTTPRequestHandler):
    """A web server that is no proxy."""

    server_version, sys_version = "Other", ""

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None: ...


@contextlib.contextmanager
def web_server(certificate: Path | None) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"localhost:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(20)


class Town:
    """A cluster with separate ports, other servers, and every address by a word."""

    def __init__(self, cluster: Cluster, places: dict[str, str], trusted: Path) -> None:
        self.cluster = cluster
        self.places = places
        self.trusted = trusted


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("town")
    ssh, tunnels, kube, mysql = free_ports(4)
    own = {"listen": ssh, "tunnel_listen": tunnels, "kube_listen": kube, "mysql_listen": mysql}
    lines = "".join(f"  {name}_addr: 127.0.0.1:{port}\n" for name, port in own.items())
    cluster = Cluster(folder, version="v1", proxy_service=lines)
    authority = Authority("web")
    certificate, trusted = folder / "other.pem", folder / "trusted.pem"
    certificate.write_bytes(authority.issue("localhost"))
    with cluster.running(), web_server(certificate) as other, web_server(None) as plain:
        trusted.write_text((cluster.data / "webproxy_cert.pem").read_text() + authority.pem)
        settings = cluster.settings
        yield Town(
            cluster,
            {
                "auth": f"localhost:{settings['auth']}", "node": f"localhost:{settings['ssh']}", "web": cluster.public,
                "ssh": f"localhost:{ssh}", "tunnels": f"localhost:{tunnels}", "mysql": f"localhost:{mysql}",
                "other": other, "plain": plain,
            },
            trusted,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("auth", AUTH), ("node", SSH_PORT), ("ssh", SSH_PORT), ("tunnels", TUNNELS), ("mysql", "a MySQL server"),
        ("plain", PLAIN),
    ],
)  # fmt: skip
def test_tsh_is_led_to_another_port(town: Town, place: str, found: str) -> None:
    """The auth service's 3025, a node's 3022, the proxy's 3023 and 3024, and what is none of ours."""
    address = town.places[place]
    env = town.cluster.environment("walker", SSL_CERT_FILE=str(town.trusted))
    argv = (str(BIN / "tsh"), "login", f"--proxy={address}", "--user=walker")
    said = town.cluster.run(*argv, stdin="secret\n000000\n", status=1, env=env).err
    assert "code: NET-WRONG-SERVICE" in said
    assert re.search(f"{address} is {found}.*, not the web port of a proxy: ", said)
    assert "usually 443 or 3080" in said
    assert "secret" not in said


def test_tsh_is_led_to_another_web_server(town: Town) -> None:
    env = town.cluster.environment("walker", SSL_CERT_FILE=str(town.trusted))
    argv = (str(BIN / "tsh"), "login", f"--proxy={town.places['other']}", "--user=walker")
    assert "CLIENT-NOT-A-PROXY" in town.cluster.run(*argv, stdin="x\n", status=1, env=env).err


PROXY_SERVER = {"auth": AUTH, "ssh": SSH_PORT, "tunnels": TUNNELS, "other": WEB}
AUTH_SERVER = {"web": PROXY, "node": SSH_PORT, "other": WEB}


class Agent(Member):
    """A node that does not know its place."""

    def __init__(self, town: Town, key: str, place: str) -> None:
        lines = f"  {key}: {town.places[place]}\n  join_params: {{token_name: {'0a' * 16}}}\n"
        services = "proxy_service: {enabled: no}\nssh_service: {enabled: yes, listen_addr: '127.0.0.1:0'}\n"
        super().__init__(town.cluster, f"{key[:4]}-{place}", lines, services)  # type: ignore[arg-type]
        self.env = {"SSL_CERT_FILE": str(town.trusted)}


def test_agents_are_led_to_another_port(town: Town) -> None:
    """All at once: each says what it has found and what to write, and goes on trying."""
    table = [
        *(("proxy_server", place, found, "the web port of a proxy") for place, found in PROXY_SERVER.items()),
        *(("auth_server", place, found, "an Auth Service") for place, found in AUTH_SERVER.items()),
    ]
    with contextlib.ExitStack() as stack:
        agents = [stack.enter_context(Agent(town, key, place).launched()) for key, place, _, _ in table]
        for agent, (key, place, found, wanted) in zip(agents, table, strict=True):
            said = f"{town.places[place]} is {found}.*, not {wanted}: write .*NET-WRONG-SERVICE"
            wait_for(f"{key} {place}: {said}", lambda a=agent, s=said: re.search(s, a.log), seconds=60)  # type: ignore[misc]
            if place == "web":
                assert "write this address as `proxy_server` instead of `auth_server`" in agent.log
            assert "0a0a0a" not in agent.log
