"""The public edge: who a client is behind a load balancer, what the one port says of itself, which ports are open.

HAProxy stands in front of the proxy, with headers of both versions. Connections without a header come from addresses
of 127/8 that are not the server's own.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from teleport.api.client import AuthClient
from teleport.base.entropy import SeededEntropy
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.pki import client_address, keys
from teleport.wire.proxy_header import Endpoint, build_local, build_v1, build_v2
from tests.integration.test_bad_peers import Api
from tests.support import front
from tests.support.cluster import BIN, NAME, NODE, OWN, PASSWORD, Cluster, User
from tests.support.haproxy import ADDRESS, Balancer
from tests.support.ports import free_ports
from tests.support.processes import listening, wait_for
from tests.support.tls import authority
from tests.unit.wire.test_tls_hello import openssl_hello

AUTH_ALPN = f"teleport-auth@{NAME.encode().hex()}"
STRANGER = "127.0.0.9"
PERSON = "127.0.0.7"
CLAIMED = Endpoint("203.0.113.9", 5001)


class Stage:
    """A cluster that trusts its load balancer, and the balancer."""

    def __init__(self, cluster: Cluster, balancer: Balancer, direct: str) -> None:
        self.cluster = cluster
        self.balancer = balancer
        self.direct = direct
        """Address of the proxy itself."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The public address is that of the balancer, with version 2."""
    folder = tmp_path_factory.mktemp("edge")
    v1, v2, both = free_ports(3)
    cluster = Cluster(
        folder, auth_service="  proxy_protocol: off\n", proxy_service="  proxy_protocol: on\n",
    )  # fmt: skip
    direct = str(cluster.settings["web"])
    cluster.public = f"localhost:{v2}"
    cluster.settings["public"] = cluster.public
    cluster.write_configs()
    targets = {
        "v1": (direct, "send-proxy"), "v2": (direct, "send-proxy-v2"), "plain": (direct, ""),
    }  # fmt: skip
    with cluster.running(), Balancer(folder, targets, {"v1": v1, "v2": v2, "plain": both}) as balancer:
        yield Stage(cluster, balancer, direct)
        assert "Traceback" not in cluster.log


@pytest.fixture(scope="module")
def alice(stage: Stage) -> User:
    stage.cluster.role("walker", logins=[OWN])
    return stage.cluster.sign_up("alice", ["walker"])


def curl(*arguments: str, status: int | None = 0) -> str:
    done = subprocess.run(["curl", "-sk", "-m", "30", *arguments], capture_output=True, text=True, timeout=60)
    assert status is None or done.returncode == status, done
    return done.stdout


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def dial(address: str, source: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port_of(address)), timeout=20, source_address=(source, 0))


def until_end(sock: socket.socket) -> bytes:
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := sock.recv(65536):
            parts.append(part)
    return b"".join(parts)


def answers(stage: Stage) -> bool:
    return curl(f"https://localhost:{stage.balancer.ports['v2']}/webapi/ping").startswith("{")


# Behind a load balancer


@pytest.mark.parametrize("way", ["v1", "v2"])
def test_s3_22_s3_36_curl_asks_through_the_balancer(stage: Stage, way: str) -> None:
    """S3-22, S3-36: `/webapi/ping` is answered without a certificate, behind a balancer as well."""
    found = json.loads(curl(f"https://localhost:{stage.balancer.ports[way]}/webapi/ping"))
    assert found["cluster_name"] == NAME
    assert found["proxy"]["ssh"]["public_addr"] == stage.cluster.public


@pytest.mark.parametrize("way", ["v1", "v2"])
@pytest.mark.config("proxy_service.proxy_protocol")
def test_the_audit_log_names_the_client_and_not_the_balancer(stage: Stage, way: str) -> None:
    """A failed sign-in over HTTPS: `addr.remote` is what the header said."""
    attempt(stage.balancer.ports[way], f"nobody-{way}", PERSON)
    found = stage.cluster.some(f"nobody-{way}", event="user.login")
    assert {event["addr.remote"] for event in found} == {PERSON}
    assert ADDRESS not in json.dumps(found)


def attempt(port: object, user: str, source: str, *options: str) -> str:
    """Sign in from an address with a wrong password; return what is answered."""
    key = keys.make_p256(SeededEntropy(4)).public_key()
    body = json.dumps({
        "user": user, "password": "wrong", "totp_code": "000000",
        "ssh_pub_key": keys.ssh_line(keys.ssh_blob(key)), "tls_pub_key": keys.public_pem(key),
    })  # fmt: skip
    url = f"https://localhost:{port}/webapi/mfa/login/finish"
    return curl("--interface", source, "-4", "-H", "Content-Type: application/json", *options, "-d", body, url)


def foreign(tmp_path: Path) -> ssl.SSLContext:
    """Return a client's context with a certificate of somebody else's authority."""
    pair = tmp_path / "pair.pem"
    pair.write_bytes(authority("somebody else").issue("alice"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([AUTH_ALPN])
    context.load_cert_chain(pair)
    return context


def test_the_auth_service_learns_the_client_from_the_proxy(stage: Stage, tmp_path: Path) -> None:
    """What it refuses in a handshake through the proxy stands in the audit log under the client's own address."""
    person = "127.0.0.77"
    with (
        contextlib.suppress(ssl.SSLError, ConnectionError),
        dial(f":{stage.balancer.ports['v2']}", person) as raw,
        foreign(tmp_path).wrap_socket(raw, server_hostname="localhost") as sock,
    ):
        sock.recv(1)
    found = stage.cluster.some(event="auth", **{"addr.remote": person})
    assert "API-CERT" in json.dumps(found)


def test_s0_40_tsh_and_ssh_work_behind_a_balancer(stage: Stage, alice: User) -> None:
    """S0-40: everything that people do goes through HAProxy: signing in, listing, the API, stock SSH both ways."""
    assert NODE in alice.tsh("ls").out
    assert "alice" in alice.tsh("status").out
    alice._config.write_text(alice.tsh("config").out)
    assert alice.ssh("echo here").out == "here\n"
    jump = ("-J", f"alice@localhost:{stage.balancer.ports['v1']}")
    assert alice.ssh("echo jumped", options=jump).out == "jumped\n"


def test_the_address_of_a_client_inside_a_websocket(stage: Stage, alice: User, tmp_path: Path) -> None:
    """HAProxy ends TLS and names its client in a PROXY header: that is whom the inner connection is for, also to the
    Auth Service."""
    (port,) = free_ports(1)
    web = front.Web(stage.cluster.data, stage.direct)
    environment = stage.cluster.environment("alice-inside")
    with front.haproxy(tmp_path, web, {"inside": (port, "ssl verify none send-proxy-v2", "")}):
        words = ("login", f"--proxy=localhost:{port}", "--user=alice")
        stage.cluster.run(str(BIN / "tsh"), *words, stdin=f"{PASSWORD}\n{alice.code()}\n", env=environment)
        done = stage.cluster.run(str(BIN / "tsh"), "ssh", f"{OWN}@{NODE}", "echo inside", env=environment)
        assert done.out == "inside\n"
        assert NODE in stage.cluster.run(str(BIN / "tsh"), "ls", env=environment).out
    found = stage.cluster.some("echo inside", event="exec")
    assert {event["addr.remote"].rpartition(":")[0] for event in found} == {"127.0.0.1"}
    assert ADDRESS not in json.dumps(found)


# Who says who they are


def forged() -> bytes:
    """Return a header that a stranger signed with a key and certificate of their own."""
    own = x509.load_pem_x509_certificate(authority("somebody else").issue("proxy"))
    target, now = Endpoint("127.0.0.1", 3080), own.not_valid_before_utc
    entry = client_address.sign(
        keys.make_p256(SeededEntropy(3)), own.public_bytes(Encoding.DER), cluster=NAME, source=CLAIMED,
        destination=target, now=now,
    )  # fmt: skip
    return build_v2(CLAIMED, target, (entry,))


_TARGET = Endpoint("127.0.0.1", 3080)
V1, V2 = build_v1(CLAIMED, _TARGET), build_v2(CLAIMED, _TARGET)
HELLO = openssl_hello("localhost", ["http/1.1"])


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (HELLO, "NET-PROXY-MISSING"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "NET-PROXY-MISSING"),
        (V1 + V2 + HELLO, "NET-PROXY-TWICE"),
        (build_local() + build_local() + HELLO, "NET-PROXY-TWICE"),
        (forged() + HELLO, "PKI-CLIENT-ADDRESS"),
        (V1[:-4], "WIRE-PROXY-HEADER"),
        (V2[:-1], "WIRE-PROXY-HEADER"),
        (V2[:14], "WIRE-PROXY-HEADER"),
        (b"PROXY TCP4 999.1.1.1 10.0.0.1 1 2\r\n" + HELLO, "WIRE-PROXY-HEADER"),
        (b"PROXY TCP6 ::1 10.0.0.1 1 2\r\n" + HELLO, "WIRE-PROXY-HEADER"),
        (b"PROXY TCP4 " + b"1" * 4000, "WIRE-PROXY-HEADER"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff" + b"x" * 9000, "WIRE-PROXY-HEADER"),
    ],
    ids=["none", "none_before_ssh", "two", "two_local", "forged", "cut_1", "cut_2", "cut_early", "no_address",
         "mixed", "long_1", "long_2"],
)  # fmt: skip
def test_bad_headers_end_their_connection_alone(stage: Stage, data: bytes, code: str) -> None:
    with dial(stage.direct, STRANGER) as sock:
        with contextlib.suppress(OSError):
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
        assert until_end(sock) == b""
    wait_for("the log", lambda: f"({code})" in stage.cluster.log)
    assert answers(stage)


def test_the_same_complaint_is_logged_once_in_a_while(stage: Stage) -> None:
    for _ in range(40):
        with dial(stage.direct, STRANGER) as sock:
            sock.sendall(HELLO)
            until_end(sock)
    assert stage.cluster.log.count("(NET-PROXY-MISSING)") < 10
    assert answers(stage)


@pytest.mark.parametrize("header", [V1, V2, build_local()], ids=["v1", "v2", "local"])
def test_split_anywhere_a_header_is_the_same(stage: Stage, header: bytes) -> None:
    for cut in range(1, len(header), 5):
        with dial(stage.direct, STRANGER) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(header[:cut])
            sock.sendall(header[cut:] + HELLO)
            assert sock.recv(1) == b"\x16"  # a ServerHello


@pytest.mark.parametrize(
    ("data", "code"), [(V1, "NET-PROXY-OFF"), (V2, "NET-PROXY-OFF"), (forged(), "PKI-CLIENT-ADDRESS")]
)
@pytest.mark.config("auth_service.proxy_protocol")
def test_nobody_tells_the_auth_service_who_they_are(stage: Stage, data: bytes, code: str) -> None:
    """Straight to 3025, where `proxy_protocol` is off: neither a bare header nor one that a stranger signed."""
    with dial(f":{stage.cluster.settings['auth']}", STRANGER) as sock:
        sock.sendall(data + openssl_hello("localhost", ["h2"]))
        assert until_end(sock) == b""
    wait_for("the log", lambda: re.search(rf"\[AUTH\].*\({code}\)", stage.cluster.log))
    assert CLAIMED.host not in json.dumps(stage.cluster.events())


def test_a_header_inside_a_connection_for_the_auth_service_is_no_header(stage: Stage) -> None:
    """The proxy speaks first: what a client sends after its ClientHello is TLS or nothing."""
    with dial(f":{stage.balancer.ports['v2']}", PERSON) as sock:
        sock.sendall(V2 + openssl_hello("localhost", [AUTH_ALPN]))
        assert until_end(sock) == b""
    wait_for("the log", lambda: "(NET-PROXY-TWICE)" in stage.cluster.log)


# Nobody has said


@pytest.fixture(scope="module")
def unset(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A cluster without the setting, behind a balancer that sends headers."""
    folder = tmp_path_factory.mktemp("unset")
    cluster = Cluster(folder)
    direct = str(cluster.settings["web"])
    (port,) = free_ports(1)
    with cluster.running(), Balancer(folder, {"v2": (direct, "send-proxy-v2")}, {"v2": port}) as balancer:
        yield Stage(cluster, balancer, direct)
        assert "Traceback" not in cluster.log


def ask_api(user: User, port: int) -> dict[str, str]:
    """Call the API through a port with a user's certificate; return the trailers of the answer."""
    (certificate,) = (user.cluster.folder / f"home-{user.name}" / "keys").rglob(f"{user.name}.crt")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols([AUTH_ALPN])
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    with dial(f":{port}", "127.0.0.1") as raw, context.wrap_socket(raw, server_hostname="localhost") as sock:
        api = Api(sock)
        api.h2.send_data(api.call("Status/Ping"), struct.pack(">BI", 0, 0), end_stream=True)
        api.flush()
        return api.status()


def test_without_the_setting_a_claimed_address_proves_nothing(unset: Stage) -> None:
    """Accepted, with an error in the log; port 0, so that a certificate bound to the very address is refused."""
    cluster = unset.cluster
    document: dict[str, Any] = {
        "kind": "role", "version": "v7", "metadata": {"name": "pinned"},
        "spec": {"options": {"pin_source_ip": True},
                 "allow": {"logins": [OWN], "node_labels": {"env": ["dev"]}}},
    }  # fmt: skip
    cluster.create(document)
    user = cluster.sign_up("pinned", ["pinned"])
    assert NODE in user.tsh("ls").out
    assert ask_api(user, port_of(unset.direct))["grpc-status"] == "0"
    refused = ask_api(user, unset.balancer.ports["v2"])
    assert (refused["grpc-status"], "without a proven IP address" in refused["grpc-message"]) == ("7", True)
    assert re.search(r"ERRO.*\(NET-PROXY-UNSET\)", cluster.log)
    assert json.loads(curl(f"https://localhost:{unset.balancer.ports['v2']}/webapi/ping"))["cluster_name"] == NAME


def test_without_a_trusted_balancer_nobody_says_who_they_are(unset: Stage) -> None:
    """X-Forwarded-For counts for nothing unless `trust_x_forwarded_for` says that a load balancer writes it."""
    attempt(port_of(unset.direct), "made-up", STRANGER, "-H", "X-Forwarded-For: 203.0.113.5")
    failed = unset.cluster.event("made-up", event="user.login", success=False)
    assert failed["addr.remote"] == STRANGER


# One port


@pytest.mark.config("auth_service.proxy_listener_mode")
def test_s3_23_s3_35_with_one_port_only_the_web_port_is_open(tmp_path: Path) -> None:
    """S3-23, S3-35: `proxy_listener_mode: multiplex`; beside it listen the Auth Service and the node, on theirs."""
    cluster = Cluster(tmp_path, version="v1", auth_service="  proxy_listener_mode: multiplex\n")
    with cluster.running():
        web = port_of(str(cluster.settings["web"]))
        assert listening(cluster.pid) == {web, int(cluster.settings["auth"]), int(cluster.settings["ssh"])}
        found = json.loads(curl(f"https://localhost:{web}/webapi/ping"))
        assert found["proxy"]["tls_routing_enabled"] is True


SERVED = {
    "http/1.1": "the web", AUTH_ALPN: "the API", "teleport-proxy-ssh": "nodes", "teleport-reversetunnel": "agents",
    "teleport-proxy-grpc": "joining",
}  # fmt: skip
NOT_SERVED = (
    "teleport-mysql",
    "teleport-postgres",
    "h2",
    "acme-tls/1",
)


def test_s3_24_s3_25_the_port_tells_which_protocols_it_serves(unset: Stage) -> None:
    """S3-24, S3-25: those served are agreed on in the handshake; all others get the alert that TLS has for it."""
    for name in (*SERVED, *NOT_SERVED):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols([name])
        with dial(unset.direct, "127.0.0.1") as raw:
            if name in SERVED:
                with context.wrap_socket(raw, server_hostname="localhost") as sock:
                    assert sock.selected_alpn_protocol() == name
            else:
                with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
                    context.wrap_socket(raw, server_hostname="localhost")
    with dial(unset.direct, "127.0.0.1") as raw:  # SSH needs no TLS
        raw.sendall(b"SSH-2.0-test\r\n")
        assert raw.recv(8) == b"SSH-2.0-"


SEED = {
    "kube": {"enabled", "listen_addr"},
    "ssh": {"listen_addr", "tunnel_listen_addr", "web_listen_addr", "public_addr", "dial_timeout"},
    "db": {"postgres_listen_addr", "mysql_listen_addr"},
}


def test_s3_37_s3_38_ping_and_find_have_every_field_of_the_guide(unset: Stage) -> None:
    """S3-37, S3-38: names and types; `dial_timeout` is nanoseconds; `public_addr` is the authoritative one."""
    url = f"https://localhost:{port_of(unset.direct)}/webapi"
    ping, find = json.loads(curl(f"{url}/ping")), json.loads(curl(f"{url}/find"))
    proxy = ping["proxy"]
    assert {name: set(proxy[name]) for name in SEED} == SEED
    web = str(unset.cluster.settings["web"])
    assert {proxy["ssh"][key] for key in ("listen_addr", "tunnel_listen_addr", "web_listen_addr")} == {web}
    assert proxy["ssh"]["dial_timeout"] == 30_000_000_000
    assert proxy["ssh"]["public_addr"] == unset.cluster.public
    assert (proxy["tls_routing_enabled"], proxy["kube"]["enabled"]) == (True, False)
    assert find == {**ping, "auth": {}}


# Certificates of the services


def host_certificate(stage: Stage, address: str, *alpn: str) -> x509.Certificate:
    """Shake hands as a client that holds the cluster's authority, under the name that every service has."""
    context = ssl.create_default_context(cafile=str(stage.cluster.folder / "host-ca.pem"))
    context.set_alpn_protocols(list(alpn))
    name = "teleport.cluster.local"
    with dial(address, "127.0.0.1") as raw, context.wrap_socket(raw, server_hostname=name) as sock:
        found = sock.getpeercert(binary_form=True)
    assert found is not None
    return x509.load_der_x509_certificate(found)


@pytest.fixture(scope="module")
def trusting(unset: Stage) -> Stage:
    async def find(client: AuthClient) -> list[str]:
        every = [found async for found in client.list("cert_authority") if isinstance(found, CertAuthority)]
        return [pair.cert for found in every if found.spec.type == "host" for pair in found.trusted_tls()]

    (unset.cluster.folder / "host-ca.pem").write_text("\n".join(unset.cluster.ask(find)))
    return unset


def test_s0_31_s0_32_every_service_verifies_under_the_cluster_s_name_at_any_address(trusting: Stage) -> None:
    """S0-31, S0-32: Auth Service at its own port and through the proxy, the proxy at its own: one name for all."""
    for address, alpn in (
        (f":{trusting.cluster.settings['auth']}", "h2"), (trusting.direct, AUTH_ALPN),
        (trusting.direct, "teleport-proxy-ssh"),
    ):  # fmt: skip
        names = host_certificate(trusting, address, alpn).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        dns = names.value.get_values_for_type(x509.DNSName)
        assert {"teleport.cluster.local", "*.teleport.cluster.local"} <= set(dns)


def test_s0_20_the_proxy_s_certificate_has_every_name_it_is_reached_under(trusting: Stage) -> None:
    """S0-20: id and name, with and without the cluster, loopback, public address, address, and the relay's name."""
    certificate = host_certificate(trusting, trusting.direct, "teleport-proxy-ssh")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    every = {*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))}
    uuid = (trusting.cluster.data / "host_uuid").read_text().strip()
    public = trusting.cluster.public.rpartition(":")[0]
    assert every >= {
        f"{uuid}.{NAME}", uuid, f"{NODE}.{NAME}", NODE, "localhost", "127.0.0.1", "::1", public,
        "remote.kube.proxy.teleport.cluster.local",
    }  # fmt: skip


def test_s0_33_s0_34_tctl_tries_servers_in_their_order(unset: Stage) -> None:
    """S0-33, S0-34: an Auth Service that is down, then one that is up, or a proxy; the errors list what was tried."""
    unset.cluster.role("walker", logins=[OWN])
    bob = unset.cluster.sign_up("bob", ["walker", "editor"])
    (dead,) = free_ports(1)
    gone = f"--auth-server=127.0.0.1:{dead}"
    for server in (f"127.0.0.1:{unset.cluster.settings['auth']}", unset.direct):
        done = bob.tctl(gone, f"--auth-server={server}", "status")
        assert NAME in done.out
    done = bob.tctl("-d", gone, "status", "--auth-server=localhost:1", status=1)
    assert "CLIENT-NO-SERVER" in done.err
    assert done.err.count("(NET-REFUSED)") >= 2
    assert "https://teleport.cluster.local/teleport.v1.Status/" in done.err
