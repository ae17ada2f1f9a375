"""Separate ports: `version: v1` as `teleport configure` writes it, and what is served where.

The web port has the certificates of `https_keypairs`, which are read again by themselves.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from teleport.base.errors import BadParameter, NotSupported
from teleport.model.config import teleport_yaml
from teleport.proxy.unserved import POSTGRES_TLS
from tests.support.cluster import BIN, NAME, NODE, OWN, Cluster, User
from tests.support.ports import free_ports
from tests.support.processes import listening, wait_for
from tests.support.programs import need
from tests.support.tls import Authority

FIRST, SECOND = "localhost", "second.example.com"


class Split:
    """A cluster with ports of their own, and its files of certificates."""

    def __init__(
        self, cluster: Cluster, ports: dict[str, int], pairs: dict[str, Path], authority: Authority
    ) -> None:  # fmt: skip
        self.cluster = cluster
        self.ports = ports
        self.ssh = ports["ssh"]
        self.pairs = pairs
        self.authority = authority

    @property
    def web(self) -> int:
        return int(str(self.cluster.settings["web"]).rpartition(":")[2])

    def served(self, name: str) -> bytes:
        """Return the certificate that a client gets who asks for a name, DER."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with (
            socket.create_connection(("127.0.0.1", self.web), timeout=20) as raw,
            context.wrap_socket(raw, server_hostname=name) as sock,
        ):
            found = sock.getpeercert(binary_form=True)
        assert found is not None
        return found


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Split]:
    folder = tmp_path_factory.mktemp("split")
    authority = Authority("web")
    pairs = {name: folder / f"{name}.pem" for name in (FIRST, SECOND)}
    for name, path in pairs.items():
        path.write_bytes(authority.issue(name))
    ssh, *others = free_ports(5)
    own = dict(zip(("tunnel", "kube", "mysql", "postgres"), others, strict=True))
    lines = [f"  {name}_listen_addr: 127.0.0.1:{port}" for name, port in own.items()]
    lines += [f"  listen_addr: 127.0.0.1:{ssh}", "  https_keypairs_reload_interval: 1s", "  https_keypairs:"]
    lines += [f"  - {{key_file: {path}, cert_file: {path}}}" for path in pairs.values()]
    cluster = Cluster(folder, version="v1", proxy_service="\n".join(lines) + "\n")
    (folder / "web-ca.pem").write_text(authority.pem)
    environment = cluster.environment
    cluster.environment = lambda home="nobody", **more: environment(  # type: ignore[method-assign]
        home, **{"SSL_CERT_FILE": str(folder / "web-ca.pem"), **more}
    )
    cluster.data.mkdir(parents=True, exist_ok=True)
    (cluster.data / "webproxy_cert.pem").write_text(authority.pem)  # what the browser of these tests trusts
    with cluster.running():
        yield Split(cluster, {"ssh": ssh, **own}, pairs, authority)
        assert "Traceback" not in cluster.log


@pytest.fixture(scope="module")
def alice(split: Split) -> User:
    split.cluster.role("walker", logins=[OWN])
    return split.cluster.sign_up("alice", ["walker"])


@pytest.mark.config("proxy_service.listen_addr")
def test_ssh_jumps_over_the_port_for_ssh(split: Split, alice: User) -> None:
    """S3-28: stock `ssh -J` to the proxy's port for SSH clients."""
    alice._config.write_text(alice.tsh("config").out)
    done = alice.ssh("echo jumped", options=("-J", f"alice@localhost:{split.ssh}"))
    assert done.out == "jumped\n"


def test_tsh_goes_through_the_web_port(split: Split, alice: User) -> None:
    assert NODE in alice.tsh("ls").out
    assert alice.tsh("ssh", f"{OWN}@{NODE}", "echo here").out == "here\n"


def test_each_port_serves_its_own(split: Split) -> None:
    """The web port takes no bare SSH, the port for SSH no TLS."""
    with socket.create_connection(("127.0.0.1", split.web), timeout=20) as sock:
        sock.sendall(b"SSH-2.0-test\r\n")
        with contextlib.suppress(ConnectionError):
            assert sock.recv(100) == b""
    with socket.create_connection(("127.0.0.1", split.ssh), timeout=20) as sock:
        sock.sendall(b"SSH-2.0-test\r\n")
        assert sock.recv(8) == b"SSH-2.0-"
    context = ssl.create_default_context()
    with (
        socket.create_connection(("127.0.0.1", split.ssh), timeout=20) as raw,
        pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"),
    ):
        context.wrap_socket(raw, server_hostname="localhost")


def test_s3_36_s3_37_ping_names_the_ports(split: Split) -> None:
    """S3-36, S3-37: all fields, each with its own port; TLS routing is off."""
    url = f"https://localhost:{split.web}/webapi/ping"
    argv = ["curl", "-s", "-m", "30", "--cacert", str(split.cluster.folder / "web-ca.pem"), url]
    found = json.loads(subprocess.run(argv, capture_output=True, check=True, timeout=60).stdout)["proxy"]
    assert found["tls_routing_enabled"] is False
    assert found["ssh"] == {
        "listen_addr": f"127.0.0.1:{split.ssh}", "tunnel_listen_addr": f"127.0.0.1:{split.ports['tunnel']}",
        "web_listen_addr": f"127.0.0.1:{split.web}", "public_addr": split.cluster.public,
        "dial_timeout": 30_000_000_000,
    }  # fmt: skip
    assert found["db"] == {
        "postgres_listen_addr": f"127.0.0.1:{split.ports['postgres']}",
        "mysql_listen_addr": f"127.0.0.1:{split.ports['mysql']}",
    }
    assert found["kube"] == {"enabled": False, "listen_addr": f"127.0.0.1:{split.ports['kube']}"}


@pytest.mark.config("proxy_service.mysql_listen_addr")
def test_clients_of_mysql_have_a_port_and_are_told_that_nobody_serves_them(split: Split) -> None:
    """S3-31: MySQL has a listener of its own. S3-46: Kubernetes has its port at the agent; here one refuses."""
    argv = [need("mariadb"), "--no-defaults", "--host=127.0.0.1", f"--port={split.ports['mysql']}", "-e", "select 1"]
    done = subprocess.run([*argv, "--user=alice"], capture_output=True, text=True, timeout=60, check=False)
    assert "PROXY-NO-DATABASE" in done.stderr


@pytest.mark.config("proxy_service.postgres_listen_addr")
def test_clients_of_postgresql_are_told_too(split: Split) -> None:
    """S3-32: PostgreSQL has a port where one is configured. S3-33, S3-34: MongoDB and Redis have none in this build:
    the key of the one is refused with its place, and of the other there is none."""
    target = f"host=127.0.0.1 port={split.ports['postgres']} user=alice dbname=app sslmode=require"
    argv = [need("psql"), "-w", target, "-c", "select 1"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert "PROXY-NO-DATABASE" in done.stderr
    with pytest.raises(NotSupported, match="mongo_listen_addr"):
        teleport_yaml.load("proxy_service: {mongo_listen_addr: '0.0.0.0:27017'}", "t.yaml")
    with pytest.raises(BadParameter, match="redis_listen_addr"):
        teleport_yaml.load("proxy_service: {redis_listen_addr: '0.0.0.0:6379'}", "t.yaml")


@pytest.mark.config("proxy_service.tunnel_listen_addr", "proxy_service.kube_listen_addr")
def test_tunnels_and_kubernetes_have_their_ports(split: Split) -> None:
    """S3-29: tunnels of agents of every kind come to their own listener, which wants an agent's certificate. S0-41:
    with `version: v1` the listeners are separate."""
    for port, said in ((split.ports["tunnel"], "certificate required"), (split.ports["kube"], "unrecognized name")):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["teleport-reversetunnel", "h2"])
        with (
            pytest.raises(ssl.SSLError, match=f"(?i){said.replace(' ', '.')}"),
            socket.create_connection(("127.0.0.1", port), timeout=20) as raw,
            context.wrap_socket(raw, server_hostname="localhost") as sock,
        ):
            sock.recv(1)


@pytest.mark.parametrize(
    ("service", "port"), [("kubernetes_service", 3026), ("windows_desktop_service", 3028), ("app_service", None)]
)
def test_s3_41_s3_42_s3_43_agents_of_other_kinds_are_refused_with_the_line(
    split: Split, tmp_path: Path, service: str, port: int | None
) -> None:
    """S3-41, S3-42: an agent for Kubernetes or desktops listens where its key says (the proxy of this cluster serves
    Kubernetes clients on a port of its own, and refuses them); as long as there is none, who asks for one is told the
    file, the line and the key, and nothing listens. S3-43: applications and databases have no such key at all."""
    own = f"\n  listen_addr: 127.0.0.1:{port}" if port else ""
    config = tmp_path / "agent.yaml"
    config.write_text(
        f"version: v3\nteleport:\n  data_dir: {tmp_path}/data\n  auth_server: 127.0.0.1:1\n"
        "auth_service: {enabled: no}\n"
        f"proxy_service: {{enabled: no}}\nssh_service: {{enabled: no}}\n{service}:\n  enabled: yes{own}\n"
    )
    said = split.cluster.teleport("start", "-c", str(config), status=1).err
    assert f"{config}:8:1: {service} is not supported yet" in said
    assert ("cannot join with teleport.auth_server" in said) is (port is None)
    assert not (tmp_path / "data").exists()
    keys = (Path(__file__).parents[2] / "scripts" / "config_keys.txt").read_text().split(f"[{service}]\n")[1]
    listens = [line for line in keys.partition("\n[")[0].splitlines() if line.startswith("listen_addr")]
    assert listens == ([f"listen_addr\t0.0.0.0:{port}"] if port else [])


def test_s3_43_applications_are_reached_through_the_proxy_alone(split: Split) -> None:
    """S3-43: with every port that there is, the process listens on no other one."""
    auth, node = (int(str(split.cluster.settings[name])) for name in ("auth", "ssh"))
    assert listening(split.cluster.pid) == {split.web, auth, node, *split.ports.values()}


def test_on_the_web_port_postgresql_is_recognised(split: Split) -> None:
    """S3-30: the web port serves sign-in and pages; what has a port of its own is not served there too."""
    with socket.create_connection(("127.0.0.1", split.web), timeout=20) as sock:
        sock.sendall(POSTGRES_TLS)
        with contextlib.suppress(ConnectionError):
            assert sock.recv(1) == b""


def names_of(certificate: bytes) -> list[str]:
    parsed = x509.load_der_x509_certificate(certificate)
    return parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.DNSName
    )


def test_of_several_certificates_each_client_gets_the_one_it_asks_for(split: Split) -> None:
    assert names_of(split.served(SECOND)) == [SECOND]
    assert names_of(split.served(FIRST)) == [FIRST]
    assert names_of(split.served("unknown.example.com")) == [FIRST]


@pytest.mark.config("proxy_service.https_keypairs_reload_interval")
def test_new_files_come_into_use_by_themselves(split: Split) -> None:
    """`https_keypairs_reload_interval`: nobody has to tell the process. A file that is no pair changes nothing."""
    before, path = split.served(SECOND), split.pairs[SECOND]
    good = path.read_bytes()
    path.write_bytes(b"half a file")
    wait_for("the log", lambda: "the former ones stay" in split.cluster.log, seconds=30)
    assert split.served(SECOND) == before
    path.write_bytes(split.authority.issue(SECOND))
    wait_for("the new certificate", lambda: split.served(SECOND) != before, seconds=30)
    assert names_of(split.served(SECOND)) == [SECOND]
    path.write_bytes(good)


def test_s0_42_a_written_v1_configuration_starts(tmp_path: Path) -> None:
    """S0-42: `teleport configure --version=v1 --public-addr=teleport.example.com:443`, with free ports put in."""
    argv = [BIN / "teleport", "configure", "--version=v1", "--public-addr=teleport.example.com:443"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    written = yaml.safe_load(done.stdout)
    assert written["version"] == "v1"
    assert written["proxy_service"]["public_addr"] == NAME + ":443"
    assert "proxy_listener_mode" not in written["auth_service"]
    cluster = Cluster(tmp_path)
    ssh, tunnel, kube, mysql = free_ports(4)
    written["teleport"] |= {"data_dir": str(cluster.data), "nodename": NODE}
    written["auth_service"]["listen_addr"] = f"127.0.0.1:{cluster.settings['auth']}"
    written["ssh_service"]["listen_addr"] = f"127.0.0.1:{cluster.settings['ssh']}"
    own = {"listen_addr": ssh, "tunnel_listen_addr": tunnel, "kube_listen_addr": kube, "mysql_listen_addr": mysql}
    written["proxy_service"] |= {name: f"127.0.0.1:{port}" for name, port in own.items()}
    written["proxy_service"]["web_listen_addr"] = str(cluster.settings["web"])
    cluster.config.write_text(yaml.safe_dump(written))
    with cluster.running(), socket.create_connection(("127.0.0.1", ssh), timeout=20) as sock:
        sock.sendall(b"SSH-2.0-test\r\n")
        assert sock.recv(8) == b"SSH-2.0-"
