"""`tsh doctor net` and `teleport doctor net`: each fault that is put between here and a real cluster gets its right
name, and a cluster without a fault gets none."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import BIN, NAME, Cluster, User
from tests.support.front import PROXY_HOST, Front, Web, haproxy, tinyproxy
from tests.support.ports import free_ports
from tests.support.pretenders import json_page, saying, speaking, web_server
from tests.support.tls import Authority

HEALTHY = 50 if os.environ.get("TELEPORT_SOAK") else 3
"""Runs without a fault; 50 in the soak."""
JOINING = """\
version: v3
teleport:
  auth_server: 127.0.0.1:{auth}
  join_params: {{token_name: x, method: token}}
auth_service: {{enabled: no}}
proxy_service: {{enabled: no}}
ssh_service: {{enabled: yes}}
"""


class Stage:
    """A cluster, an authority for whatever stands before it, and somebody who is signed in."""

    def __init__(self, cluster: Cluster, authority: Authority, alice: User) -> None:
        self.cluster = cluster
        self.authority = authority
        self.alice = alice
        self.folder = cluster.folder
        self.trusted = self.folder / "trusted.pem"
        self.trusted.write_text((cluster.data / "webproxy_cert.pem").read_text() + authority.pem)

    def examine(self, address: str, *options: str, status: int, user: str = "", **environment: str) -> dict[str, Any]:
        """Return what `tsh doctor net` says of an address, each check's finding by its name."""
        done = self.cluster.run(
            str(BIN / "tsh"), "doctor", "net", f"--proxy={address}", "--format=json", *options, status=status,
            env=self.cluster.environment(user or "nobody", SSL_CERT_FILE=str(self.trusted), **environment),
        )  # fmt: skip
        assert done.out, done.err
        report = json.loads(done.out)
        assert report["failed"] == (status == 1)
        return {finding["check"]: finding for finding in report["findings"]}

    def wrong(self, address: str, *options: str, **environment: str) -> tuple[str, str]:
        """Return check and code of the first thing that is wrong, which has a cause and a fix."""
        found = self.examine(address, *options, status=1, **environment)
        first = next(finding for finding in found.values() if finding["state"] == "fail")
        assert first["fix"], first
        assert first["cause"], first
        return first["check"], first["code"]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    cluster = Cluster(tmp_path_factory.mktemp("doctor"))
    with cluster.running():
        cluster.role("walker")
        yield Stage(cluster, Authority("balancer"), cluster.sign_up("alice", ["walker"]))


def balancer(
    stage: Stage, folder: Path, *rules: str, target: str = "", options: str = "ssl verify none"
) -> contextlib.AbstractContextManager[str]:  # fmt: skip
    """Run HAProxy that ends TLS before the cluster's web port."""
    pair = folder / "balancer.pem"
    pair.write_bytes(stage.authority.issue("localhost"))
    web = Web(folder, target or str(stage.cluster.settings["web"]))
    web.certificate = web.key = pair
    (port,) = free_ports(1)
    more = "".join(f"  {rule}\n" for rule in rules)
    return _at(haproxy(folder / "haproxy", web, {"web": (port, options, more)}), f"localhost:{port}")


def connect_proxy(folder: Path, *lines: str) -> contextlib.AbstractContextManager[str]:
    """Run an HTTP CONNECT proxy."""
    (port,) = free_ports(1, PROXY_HOST)
    more = "".join(f"{line}\n" for line in lines)
    return _at(tinyproxy(folder / "tinyproxy", "proxy", port, more), f"{PROXY_HOST}:{port}")


@contextlib.contextmanager
def _at(front: Front, address: str) -> Iterator[str]:
    with front:
        yield address


def test_a_cluster_without_a_fault_gets_none(stage: Stage) -> None:
    for _ in range(HEALTHY):
        found = stage.examine(stage.cluster.public, status=0)
        assert {finding["state"] for finding in found.values()} == {"ok"}, found
    assert "not proven" in found["auth"]["evidence"]
    known = stage.examine(stage.cluster.public, user="alice", status=0)
    assert "proven by the cluster's authorities" in known["auth"]["evidence"]
    text = stage.cluster.run(
        str(BIN / "tsh"), "doctor", "net", f"--proxy={stage.cluster.public}", "--only=tcp",
        env=stage.cluster.environment(SSL_CERT_FILE=str(stage.trusted)),
    ).out.splitlines()  # fmt: skip
    assert text[0] == f"network to {stage.cluster.public}"
    assert [line.split()[:2] for line in text[1:-1]] == [["ok", "environment"], ["ok", "dns"], ["ok", "tcp"]]
    assert text[-1] == "everything that was looked at is well"


def test_an_agent_looks_at_what_its_configuration_names(stage: Stage, tmp_path: Path) -> None:
    config = tmp_path / "teleport.yaml"
    config.write_text(JOINING.format(auth=stage.cluster.settings["auth"]))
    done = stage.cluster.teleport("doctor", "net", "-c", str(config), "--format=json")
    found = {finding["check"]: finding["state"] for finding in json.loads(done.out)["findings"]}
    assert found == {"environment": "ok", "dns": "ok", "tcp": "ok", "connect": "ok", "auth": "ok"}
    nothing = stage.cluster.teleport("doctor", "net", status=1).err
    assert "CLI-DOCTOR-TARGET" in nothing


def test_a_check_that_does_not_exist(stage: Stage) -> None:
    said = stage.cluster.run(
        str(BIN / "tsh"), "doctor", "net", f"--proxy={stage.cluster.public}", "--only=tpc", status=1
    ).err
    assert "CLIENT-NO-CHECK" in said
    assert "tcp" in said


def test_a_name_without_address(stage: Stage) -> None:
    assert stage.wrong("nobody.invalid:443") == ("dns", "NET-DNS")


def test_a_port_at_which_nobody_listens(stage: Stage) -> None:
    (port,) = free_ports(1)
    assert stage.wrong(f"127.0.0.1:{port}") == ("tcp", "NET-REFUSED")


def test_a_port_that_says_nothing(stage: Stage) -> None:
    with speaking(lambda connection: connection.recv(1 << 20) and connection.recv(1)) as address:
        assert stage.wrong(address) == ("tls", "NET-TLS-TIMEOUT")


@pytest.mark.parametrize(
    ("value", "code"),
    [("http://localhost:3128", "NET-CONNECT-LOOPBACK"), ("127.0.0.1:3128", "NET-CONNECT-LOOPBACK"),
     ("ftp://proxy.example.com", "NET-CONNECT-VALUE")],
)  # fmt: skip
def test_a_variable_that_names_no_proxy(stage: Stage, value: str, code: str) -> None:
    assert stage.wrong(stage.cluster.public, HTTPS_PROXY=value, NO_PROXY="") == ("environment", code)


def test_a_variable_about_upgrades_that_says_nothing(stage: Stage) -> None:
    wrong = stage.wrong(stage.cluster.public, TELEPORT_TLS_ROUTING_CONN_UPGRADE="perhaps")
    assert wrong == ("environment", "NET-UPGRADE-VALUE")


def test_an_http_connect_proxy_that_is_not_there(stage: Stage) -> None:
    (port,) = free_ports(1, PROXY_HOST)
    wrong = stage.wrong(stage.cluster.public, HTTPS_PROXY=f"http://{PROXY_HOST}:{port}", NO_PROXY="")
    assert wrong == ("tcp", "NET-REFUSED")


def test_an_http_connect_proxy_that_forbids_or_wants_a_password(stage: Stage, tmp_path: Path) -> None:
    with connect_proxy(tmp_path, "ConnectPort 1") as proxy:
        wrong = stage.wrong(stage.cluster.public, HTTPS_PROXY=f"http://{proxy}", NO_PROXY="")
        assert wrong == ("connect", "NET-CONNECT-FORBIDDEN")
    with connect_proxy(tmp_path, "BasicAuth walker secret") as proxy:
        wrong = stage.wrong(stage.cluster.public, HTTPS_PROXY=f"http://{proxy}", NO_PROXY="")
        assert wrong == ("connect", "NET-CONNECT-LOGIN")
        found = stage.examine(stage.cluster.public, HTTPS_PROXY=f"http://walker:secret@{proxy}/", NO_PROXY="", status=0)
        assert {finding["state"] for finding in found.values()} == {"ok"}
        assert "secret" not in json.dumps(found)


def test_an_http_connect_proxy_that_is_something_else(stage: Stage) -> None:
    with speaking(saying(b"220 mail.example.com ESMTP\r\n"), PROXY_HOST) as proxy:
        wrong = stage.wrong(stage.cluster.public, HTTPS_PROXY=f"http://{proxy}", NO_PROXY="")
    assert wrong == ("connect", "NET-CONNECT-ANSWER")


def test_certificates_of_the_web_port(stage: Stage, tmp_path: Path) -> None:
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    unknown = Authority("unknown")
    for pem, code in (
        (unknown.issue("localhost"), "NET-TLS-UNKNOWN-CA"),
        (stage.authority.issue("other.example"), "NET-TLS-NAME"),
        (stage.authority.issue("localhost", start=-3, end=-2), "NET-TLS-EXPIRED"),
        (stage.authority.issue("localhost", start=0.5, end=1), "NET-TLS-NOT-YET-VALID"),
    ):
        with speaking(web_server(pem, page, tmp_path)) as address:
            assert stage.wrong(address.replace("127.0.0.1", "localhost")) == ("tls", code)


def test_a_port_without_tls(stage: Stage) -> None:
    with speaking(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as address:
        assert stage.wrong(address) == ("tls", "NET-TLS-NOT-TLS")


def test_another_web_server(stage: Stage, tmp_path: Path) -> None:
    page = b"HTTP/1.1 200 OK\r\nServer: other\r\nContent-Length: 2\r\n\r\nok"
    with speaking(web_server(stage.authority.issue("localhost"), page, tmp_path)) as address:
        found = stage.examine(address.replace("127.0.0.1", "localhost"), status=1)
    assert found["web"]["code"] == "NET-NOT-A-PROXY"
    assert "other" in found["web"]["cause"]


def test_a_load_balancer_that_speaks_http_to_the_web_port(stage: Stage, tmp_path: Path) -> None:
    """S0-36, S0-39: the error names the balancer and the fix, where others see an overflow or EOF."""
    with balancer(stage, tmp_path, options="") as address:
        found = stage.examine(address, status=1)
    assert found["web"]["code"] == "NET-502-BACKEND-HTTP"
    assert "backend-protocol" in found["web"]["fix"]


def test_a_load_balancer_before_a_proxy_that_is_down(stage: Stage, tmp_path: Path) -> None:
    with balancer(stage, tmp_path, target=f"127.0.0.1:{free_ports(1)[0]}") as address:
        assert stage.wrong(address) == ("web", "NET-502-BACKEND-HTTP")


def test_a_load_balancer_that_lets_websockets_pass_is_no_fault(stage: Stage, tmp_path: Path) -> None:
    with balancer(stage, tmp_path) as address:
        found = stage.examine(address, status=0)
    assert "WebSocket upgrades get through" in found["balancer"]["evidence"]
    assert (found["ssh"]["state"], found["ssh"]["code"]) == ("warn", "NET-WEB-OK-CLI-BAD")
    assert found["auth"]["state"] == "ok"


def test_a_load_balancer_that_does_not(stage: Stage, tmp_path: Path) -> None:
    """S0-47: the pages of the web are served, so people take the set-up for right, and the examination says what is
    wrong. S0-38: this is what every such balancer did to versions before 13."""
    rule = "http-request deny if { path_beg /webapi/connectionupgrade }"
    with balancer(stage, tmp_path, rule) as address:
        page = f"https://{address}/web/login"
        argv = ["curl", "-s", "-m", "30", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", str(stage.trusted), page]
        assert subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout == "200"
        assert stage.wrong(address) == ("balancer", "NET-ALPN-STRIPPED")


def test_an_upgrade_that_is_forbidden(stage: Stage, tmp_path: Path) -> None:
    with balancer(stage, tmp_path) as address:
        assert stage.wrong(address, TELEPORT_TLS_ROUTING_CONN_UPGRADE="no") == ("balancer", "NET-ALPN-STRIPPED")


def test_clocks_that_differ(stage: Stage, tmp_path: Path) -> None:
    rule = 'http-response set-header Date "Mon, 06 Jul 2020 10:00:00 GMT"'
    with balancer(stage, tmp_path, rule) as address:
        found = stage.examine(address, status=1)
    assert found["clock"]["code"] == "CLOCK-SKEW"


def test_a_proxy_that_names_an_address_nobody_reaches(stage: Stage, tmp_path: Path) -> None:
    """S3-07: clients are sent to the first of several public_addr."""
    (port,) = free_ports(1)
    (tmp_path / "split").mkdir()
    cluster = Cluster(tmp_path / "split")
    text = cluster.config.read_text().replace(
        f"public_addr: {cluster.public}", f"public_addr: [localhost:{port}, {cluster.public}]"
    )
    assert str(port) in text
    cluster.config.write_text(text)
    with cluster.running():
        found = stage.examine(cluster.public, "--insecure", status=1)
    assert found["advertised"]["code"] == "NET-SPLIT-DNS"
    assert f"localhost:{port}" in found["advertised"]["fix"]


def test_separate_ports_of_which_one_is_closed(stage: Stage, tmp_path: Path) -> None:
    said = {
        "cluster_name": NAME, "server_version": "0.1.0",
        "proxy": {"tls_routing_enabled": False, "ssh": {"listen_addr": f"0.0.0.0:{free_ports(1)[0]}",
                                                         "tunnel_listen_addr": "0.0.0.0:3024"}},
    }  # fmt: skip
    page = json_page(said)
    with speaking(web_server(stage.authority.issue("localhost"), page, tmp_path)) as address:
        found = stage.examine(address.replace("127.0.0.1", "localhost"), "--only=advertised", status=1)
    assert found["advertised"]["code"] == "NET-PORTS"


@pytest.mark.parametrize(
    ("field", "version", "code"),
    [("min_client_version", "99.0.0", "NET-VERSION-OLD"), ("server_version", "7.0.0", "VER-SKEW")],
)
def test_versions_that_do_not_go_together(stage: Stage, tmp_path: Path, field: str, version: str, code: str) -> None:
    said = {"cluster_name": NAME, "server_version": "0.1.0", "proxy": {"ssh": {}}, field: version}
    page = json_page(said)
    with speaking(web_server(stage.authority.issue("localhost"), page, tmp_path)) as address:
        assert stage.wrong(address.replace("127.0.0.1", "localhost"), "--only=version") == ("version", code)
