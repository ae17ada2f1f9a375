"""What teleport.yaml says is what happens: files whose every value differs from the default, and what is then seen.

The marks are read by scripts/config_page.py. Listeners of the proxy have tests of their own.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import BIN, OWN, PASSWORD, Cluster, User, link_in
from tests.support.ports import free_ports
from tests.support.processes import wait_for

CONFIG = """\
version: v2
teleport:
  nodename: strange-name
  data_dir: {data}
  pid_file: {folder}/teleport.pid
  log:
    output: {folder}/teleport.log
    severity: DEBUG
    format: {{output: json, extra_fields: [level]}}
auth_service:
  enabled: "1"
  cluster_name: other.example.org
  listen_addr: 127.0.0.1:{auth}
  web_idle_timeout: 2s
  disconnect_expired_cert: yes
  keep_alive_interval: 2s
  keep_alive_count_max: 3
  authentication: {{type: local, local_auth: true, second_factors: [otp]}}
proxy_service:
  enabled: on
  web_listen_addr: 127.0.0.1:{web}
  public_addr: ["localhost:{web}", "127.0.0.1:{web}"]
ssh_service:
  enabled: true
  listen_addr: 127.0.0.1:{ssh}
  labels: {{floor: third}}
  commands:
  - {{name: kind, command: [cat, {folder}/kind], period: 1s}}
"""

OFF = """\
version: v3
teleport: {{data_dir: {data}}}
auth_service: {{listen_addr: "127.0.0.1:{auth}", authentication: {{second_factor: off}}}}
proxy_service: {{web_listen_addr: "127.0.0.1:{web}", public_addr: "localhost:{web}"}}
ssh_service: {{enabled: no, listen_addr: "127.0.0.1:{ssh}"}}
debug_service: {{enabled: "off"}}
"""

IDLE = """\
version: v3
teleport: {{nodename: strange-name, data_dir: {data}}}
auth_service:
  cluster_name: idle.example.org
  listen_addr: "127.0.0.1:{auth}"
  client_idle_timeout: 3s
  client_idle_timeout_message: "You were away: good bye"
proxy_service: {{web_listen_addr: "127.0.0.1:{web}", public_addr: "localhost:{web}"}}
ssh_service: {{listen_addr: "127.0.0.1:{ssh}"}}
"""


class Odd(Cluster):
    """A cluster with a file of its own."""

    def __init__(self, folder: Path, text: str, **environment: str) -> None:
        self._more = environment
        super().__init__(folder)
        self.ports = dict(zip(("auth", "web", "ssh"), free_ports(3), strict=True))
        self.config.write_text(text.format(data=self.data, folder=folder, **self.ports))
        self.public = f"localhost:{self.ports['web']}"

    def environment(self, home: str = "nobody", **more: str) -> dict[str, str]:
        return {**super().environment(home), **self._more, **more}


class Silent(Odd):
    """One without a debug service, whose readiness is read from its log."""

    def _is_ready(self) -> bool:
        assert self.server is not None
        assert self.server.poll() is None, self.log
        return "The service has started" in self.log


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(10)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Odd]:
    cluster = Odd(tmp_path_factory.mktemp("odd"), CONFIG)
    (cluster.folder / "kind").write_text("first\n")
    with cluster.running():
        cluster.role("walker", logins=[OWN], env=[], node_labels={"*": "*"})
        yield cluster


@pytest.fixture(scope="module")
def alice(odd: Odd) -> User:
    link = odd.invite("alice", ["walker"])
    assert odd.browser().set_password(link, PASSWORD).status == 200
    return User(odd, "alice")


@pytest.mark.config(
    "teleport.nodename", "teleport.data_dir", "auth_service.cluster_name", "ssh_service.labels",
    "ssh_service.commands[].name", "ssh_service.commands[].command", "ssh_service.commands[].period",
)  # fmt: skip
def test_names_and_labels_are_those_of_the_file(odd: Odd) -> None:
    status = odd.tctl("status").out
    assert "other.example.org" in status
    (node,) = json.loads(odd.tctl("get", "nodes", "--format=json").out)
    assert (node["spec"]["hostname"], node["metadata"]["labels"]) == ("strange-name", {"floor": "third"})
    assert {path.name for path in odd.data.iterdir()} >= {"host_uuid", "backend", "admin.sock", "webproxy_cert.pem"}

    def has(value: str) -> bool:
        (node,) = json.loads(odd.tctl("get", "nodes", "--format=json").out)
        return str(node["spec"]["cmd_labels"]["kind"]["result"]) == value

    assert has("first")
    (odd.folder / "kind").write_text("second\n")
    wait_for("the next value of the label", lambda: has("second"), seconds=60)


@pytest.mark.config(
    "auth_service.enabled", "auth_service.listen_addr", "proxy_service.enabled", "proxy_service.web_listen_addr",
    "proxy_service.public_addr", "ssh_service.enabled", "ssh_service.listen_addr",
)  # fmt: skip
def test_services_listen_where_the_file_says(odd: Odd) -> None:
    assert all(listens(port) for port in odd.ports.values())
    assert not listens(int(odd.settings["auth"]))
    assert link_in(odd.tctl("users", "add", "links", "--roles=walker").out).startswith(f"https://{odd.public}/")
    browser = odd.browser()
    assert browser.get(f"https://{odd.public}/webapi/ping").status == 200
    assert browser.get(f"https://127.0.0.1:{odd.ports['web']}/webapi/ping").status == 200, "the certificate names both"


@pytest.mark.config(
    "teleport.log.output", "teleport.log.severity", "teleport.log.format.output", "teleport.log.format.extra_fields"
)
def test_log_goes_where_the_file_says_in_its_form(odd: Odd) -> None:
    lines = [json.loads(line) for line in (odd.folder / "teleport.log").read_text().splitlines()]
    assert [line["level"] for line in lines if "The service has started" in line["message"]] == ["info"]
    assert odd.debug("GET", "/log-level") == (200, "DEBUG")
    assert not any({"timestamp", "component", "caller"} & line.keys() for line in lines)
    assert "The service has started" not in odd.log


@pytest.mark.config("teleport.pid_file")
def test_pid_is_written_where_the_file_says(odd: Odd) -> None:
    assert (odd.folder / "teleport.pid").read_text() == f"{odd.pid}\n"


@pytest.mark.config("auth_service.web_idle_timeout")
def test_a_session_that_is_not_used_for_that_long_is_over(odd: Odd, alice: User) -> None:
    browser, address = odd.browser(), f"https://{odd.public}/web"
    form = {"csrf": browser.get(f"{address}/login").csrf, "username": "alice", "password": PASSWORD}
    browser.post(f"{address}/login", {**form, "code": alice.code()})
    last = time.monotonic()
    wait_for("the end of the time", lambda: time.monotonic() > last + 2.5)
    assert browser.get(address).heading.startswith("Sign in to")


@pytest.mark.config("auth_service.authentication.second_factors")
def test_everybody_enrols_an_app_and_signs_in_with_a_code(odd: Odd, alice: User) -> None:
    assert odd.browser().get(odd.invite("bob", ["walker"])).secret
    assert "AUTH-LOGIN" in alice.sign_in(status=1, code="000000").err
    assert "strange-name" in (alice.sign_in(), alice.tsh("ls"))[1].out


@pytest.mark.config("auth_service.authentication.second_factor", "debug_service.enabled", "ssh_service.enabled")
def test_what_is_switched_off_is_not_there(tmp_path: Path) -> None:
    cluster = Silent(tmp_path, OFF, TELEPORT_ALLOW_NO_SECOND_FACTOR="yes")
    with cluster.running():
        cluster.role("walker", logins=[OWN])
        browser, link = cluster.browser(), cluster.invite("alice", ["walker"])
        page = browser.get(link)
        assert not page.secret
        assert browser.set_password(link, PASSWORD).status == 200
        login = f"https://{cluster.public}/web/login"
        form = {"csrf": browser.get(login).csrf, "username": "alice", "password": PASSWORD}
        assert browser.post(login, form).heading == "Servers", "a password alone is enough"
        assert not listens(cluster.ports["ssh"])
        assert json.loads(cluster.tctl("get", "nodes", "--format=json").out) == []
        assert not (cluster.data / "debug.sock").exists()


@contextlib.contextmanager
def session(user: User) -> Iterator[subprocess.Popen[bytes]]:
    """Keep a command running through `tsh ssh` for the time of a block; it has said `open` by then."""
    argv = [BIN / "tsh", "ssh", f"{OWN}@strange-name", "echo open; exec cat"]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=user.cluster.environment(user.name),
    ) as client:  # fmt: skip
        try:
            assert client.stdout is not None
            assert client.stdout.readline() == b"open\n"
            yield client
        finally:
            client.kill()


def ended(cluster: Cluster, user: str) -> bool:
    """Whether the node has recorded the end of a user's command."""
    return bool(cluster.events(event="exec", user=user))


@pytest.mark.config("auth_service.keep_alive_interval", "auth_service.keep_alive_count_max")
def test_a_client_that_does_not_answer_is_taken_for_gone(odd: Odd) -> None:
    assert odd.browser().set_password(odd.invite("stopped", ["walker"]), PASSWORD).status == 200
    stopped = User(odd, "stopped")
    stopped.sign_in()
    with session(stopped) as client:
        client.send_signal(signal.SIGSTOP)
        wait_for("the end of the session", lambda: ended(odd, "stopped"), seconds=60)
        assert client.poll() is None


@pytest.mark.config("auth_service.disconnect_expired_cert", "auth_service.authentication.disconnect_expired_cert")
def test_a_session_ends_with_its_certificate(odd: Odd) -> None:
    role = {"allow": {"logins": [OWN], "node_labels": {"*": "*"}}, "options": {"max_session_ttl": "20s"}}
    odd.create({"kind": "role", "version": "v7", "metadata": {"name": "brief"}, "spec": role})
    assert odd.browser().set_password(odd.invite("brief", ["brief"]), PASSWORD).status == 200
    brief = User(odd, "brief")
    brief.sign_in()
    with session(brief) as client:
        wait_for("the end of the certificate", lambda: client.poll() is not None, seconds=60)
        assert client.stderr is not None
        text = client.stderr.read().decode()
        assert "client certificate expired: sign in again with tsh login" in text, text
    told = odd.event(event="client.disconnect", user="brief")
    assert (told["code"], told["reason"]) == ("T3006I", "client certificate expired")
    wait_for("the end of the command", lambda: ended(odd, "brief"))


@pytest.mark.config("auth_service.client_idle_timeout", "auth_service.client_idle_timeout_message")
def test_a_session_that_moves_no_data_is_ended_with_the_message(tmp_path: Path) -> None:
    cluster = Odd(tmp_path, IDLE)
    with cluster.running():
        cluster.role("walker", logins=[OWN], node_labels={"*": "*"})
        assert cluster.browser().set_password(cluster.invite("away", ["walker"]), PASSWORD).status == 200
        away = User(cluster, "away")
        away.sign_in()
        shown = away.tsh("ssh", f"{OWN}@strange-name", "for i in 1 2 3 4 5 6; do echo $i; sleep 1; done").out
        assert shown.split() == list("123456"), "what prints is not idle"
        with session(away) as client:
            wait_for("the end of the session", lambda: client.poll() is not None, seconds=60)
            assert client.stderr is not None
            assert "You were away: good bye" in client.stderr.read().decode()
        told = cluster.event(event="client.disconnect", user="away")
        assert told["reason"] == "client exceeded idle timeout of 3s"
