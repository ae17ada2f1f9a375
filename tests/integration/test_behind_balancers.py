"""tsh through what stands between: nginx and HAProxy that end TLS, tinyproxy that wants CONNECT; real programs."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.test_edge import STRANGER, attempt
from tests.support.cluster import BIN, NODE, OWN, PASSWORD, Cluster, Done, User
from tests.support.front import ADDRESS, PROXY_HOST, UPGRADES, Front, Web, haproxy, nginx, tinyproxy
from tests.support.ports import free_ports

FORWARDED = "  http-request set-header X-Forwarded-For %[src]\n"


class Stage:
    """A cluster that believes X-Forwarded-For, and everything in front of it."""

    def __init__(self, cluster: Cluster, ports: dict[str, int], folder: Path) -> None:
        self.cluster = cluster
        self.ports = ports
        self.folder = folder

    def log(self, name: str) -> str:
        """What a CONNECT proxy has written."""
        return (self.folder / f"{name}.log").read_text()


class Walker:
    """Somebody who works through one of the programs."""

    def __init__(self, stage: Stage, name: str, proxy: str, *, stranger: bool = False, **env: str) -> None:
        """A `stranger` has no account, where nobody gets as far as that."""
        self.user = User(stage.cluster, name)
        self.cluster = stage.cluster
        self.proxy = proxy
        self.env = env
        if stranger:
            return
        page = stage.cluster.browser().set_password(stage.cluster.invite(name, ["walker"]), PASSWORD)
        assert page.status == 200, page.text

    def tsh(self, *arguments: str, stdin: str = "", status: int | None = 0) -> Done:
        env = self.cluster.environment(self.user.name, **self.env)
        return self.cluster.run(str(BIN / "tsh"), *arguments, stdin=stdin, status=status, env=env)

    def login(self, status: int = 0) -> Done:
        options = (f"--proxy={self.proxy}", f"--user={self.user.name}")
        return self.tsh("login", *options, stdin=f"{PASSWORD}\n{self.user.code()}\n", status=status)

    @property
    def upgraded(self) -> bool:
        """What the profile remembers."""
        (profile,) = (self.cluster.folder / f"home-{self.user.name}").glob("*.yaml")
        return bool(json.loads(profile.read_text()).get("upgraded", False))

    def works(self) -> None:
        """Every way in which tsh speaks to nodes and to the Auth Service."""
        assert self.tsh("ssh", f"{OWN}@{NODE}", "echo", "here").out == "here\n"
        assert self.tsh("ssh", "-T", f"{OWN}@{NODE}", "--", "cat", stdin="data").out == "data"
        assert NODE in self.tsh("ls").out
        kept = self.cluster.folder / f"copied-{self.user.name}"
        kept.write_bytes(b"x" * 300000)
        self.tsh("scp", str(kept), f"{OWN}@{NODE}:{kept}.back")
        assert Path(f"{kept}.back").read_bytes() == kept.read_bytes()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("balancers")
    cluster = Cluster(folder, proxy_service="  trust_x_forwarded_for: yes\n")
    names = ("nginx", "backend-http", "no-upgrades", "haproxy", "haproxy-http", "open", "login", "closed")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    fronts = folder / "fronts"
    with cluster.running(), contextlib.ExitStack() as stack:
        web = Web(cluster.data, str(cluster.settings["web"]))

        def start(front: Front) -> None:
            stack.enter_context(front)

        start(nginx(fronts, web, {
            "nginx": (ports["nginx"], "https", UPGRADES),
            "backend-http": (ports["backend-http"], "http", UPGRADES),
            "no-upgrades": (ports["no-upgrades"], "https", ""),
        }))  # fmt: skip
        start(haproxy(fronts, web, {
            "haproxy": (ports["haproxy"], "ssl verify none", FORWARDED),
            "haproxy-http": (ports["haproxy-http"], "", FORWARDED),
        }))  # fmt: skip
        start(tinyproxy(fronts, "open", ports["open"]))
        start(tinyproxy(fronts, "login", ports["login"], "BasicAuth alice secret\n"))
        start(tinyproxy(fronts, "closed", ports["closed"], "ConnectPort 1\n"))
        cluster.role("walker", logins=[OWN])
        yield Stage(cluster, ports, fronts)
        assert "Traceback" not in cluster.log


# Load balancers that end TLS


@pytest.mark.parametrize("front", ["nginx", "haproxy"])
@pytest.mark.config("proxy_service.trust_x_forwarded_for")
def test_s0_35_s0_37_through_a_balancer_that_ends_tls(stage: Stage, front: str) -> None:
    """S0-35, S0-37: sign-in, sessions, copies and the Auth Service; the audit log has the client's own address."""
    walker = Walker(stage, f"alice-{front}", f"localhost:{stage.ports[front]}")
    walker.login()
    assert walker.upgraded
    walker.works()
    (login,) = stage.cluster.some(walker.user.name, event="user.login")
    starts = stage.cluster.some(walker.user.name, event="session.start")
    for event in (login, *starts):
        assert event["addr.remote"].startswith("127.0.0.1")
        assert ADDRESS not in json.dumps(event)


@pytest.mark.config("proxy_service.trust_x_forwarded_for")
def test_an_address_that_somebody_made_up_is_not_believed(stage: Stage) -> None:
    """The balancer writes the field anew. One that adds to it says two addresses, of which one may be made up."""
    made_up = ("-H", "X-Forwarded-For: 203.0.113.5")
    attempt(stage.ports["nginx"], "made-up", STRANGER, *made_up)
    failed = stage.cluster.event("made-up", event="user.login", success=False)
    assert failed["addr.remote"] == STRANGER
    direct = str(stage.cluster.settings["web"]).rpartition(":")[2]
    refused = attempt(direct, "made-up-twice", STRANGER, *made_up, "-H", f"X-Forwarded-For: {STRANGER}")
    assert "WEB-FORWARDED" in refused
    assert stage.cluster.events("made-up-twice", event="user.login") == []


@pytest.mark.parametrize("front", ["backend-http", "haproxy-http"])
def test_s0_36_s0_39_a_backend_in_plain_http(stage: Stage, front: str) -> None:
    """S0-36, S0-39: the web port refuses plain HTTP; the error names the balancer, the cause and the annotation."""
    walker = Walker(stage, f"alice-{front}", f"localhost:{stage.ports[front]}", stranger=True)
    said = walker.login(status=1).err
    assert "NET-502-BACKEND-HTTP" in said
    assert 'nginx.ingress.kubernetes.io/backend-protocol: "HTTPS"' in said
    assert "(nginx" in said or front != "backend-http"
    assert "overflow" not in said


def test_s0_39_a_balancer_without_upgrades(stage: Stage) -> None:
    """S0-39: signing in works as the web pages do; what does not get through says why, and does not hang."""
    walker = Walker(stage, "alice-stripped", f"localhost:{stage.ports['no-upgrades']}")
    walker.login()
    for words in (("ssh", f"{OWN}@{NODE}", "true"), ("ls",)):
        said = walker.tsh(*words, status=1).err
        assert "NET-ALPN-STRIPPED" in said
        assert re.search(r"\(nginx|\(Teleport", said)
        assert "/webapi/connectionupgrade" in said


def test_a_balancer_that_came_after_the_sign_in(stage: Stage) -> None:
    """The error says what has changed; the variable helps at once."""
    walker = Walker(stage, "alice-later", stage.cluster.public)
    walker.login()
    assert not walker.upgraded
    (profile,) = (stage.cluster.folder / "home-alice-later").glob("*.yaml")
    profile.write_text(profile.read_text().replace(stage.cluster.public, f"localhost:{stage.ports['nginx']}"))
    assert "CLIENT-BALANCER" in walker.tsh("ssh", f"{OWN}@{NODE}", "true", status=1).err
    assert NODE in walker.tsh("ls").out  # with an event loop at hand it is found out as it comes
    walker.env = {"TELEPORT_TLS_ROUTING_CONN_UPGRADE": "true"}
    assert walker.tsh("ssh", f"{OWN}@{NODE}", "echo", "here").out == "here\n"


# HTTP CONNECT proxies


def test_s3_11_s3_13_s3_45_through_a_connect_proxy(stage: Stage) -> None:
    """S3-11, S3-13, S3-45: tsh opens CONNECT for everything, and dials nothing itself."""
    variable = f"http://{PROXY_HOST}:{stage.ports['open']}/"
    walker = Walker(stage, "alice-connect", stage.cluster.public, https_proxy=variable, NO_PROXY="")
    before = stage.log("open").count(f"CONNECT {stage.cluster.public}")
    walker.login()
    assert not walker.upgraded
    walker.works()
    assert stage.log("open").count(f"CONNECT {stage.cluster.public}") >= before + 6
    walker.env["NO_PROXY"] = stage.cluster.public  # S3-18
    count = stage.log("open").count("CONNECT")
    assert walker.tsh("ssh", f"{OWN}@{NODE}", "echo", "here").out == "here\n"
    assert stage.log("open").count("CONNECT") == count


def test_s3_19_a_connect_proxy_that_wants_to_know_who_asks(stage: Stage) -> None:
    """S3-19: the basic header is sent; without it, and with a wrong one, the error says what to write."""
    where = f"{PROXY_HOST}:{stage.ports['login']}"
    walker = Walker(stage, "alice-known", stage.cluster.public, NO_PROXY="", HTTPS_PROXY=f"http://alice:secret@{where}")
    walker.login()
    walker.works()
    for value in (where, f"http://alice:wrong@{where}"):
        walker.env["HTTPS_PROXY"] = value
        for words in (("ssh", f"{OWN}@{NODE}", "true"), ("ls",)):
            said = walker.tsh(*words, status=1).err
            assert "NET-CONNECT-LOGIN" in said
            assert f"HTTPS_PROXY=http://USER:PASSWORD@{where}" in said
            assert "wrong" not in said


def test_connect_proxies_that_let_nothing_through(stage: Stage) -> None:
    walker = Walker(stage, "alice-closed", stage.cluster.public, stranger=True, NO_PROXY="")
    for value, code in (
        (f"http://{PROXY_HOST}:{stage.ports['closed']}", "NET-CONNECT-FORBIDDEN"),
        (f"http://{PROXY_HOST}:{stage.cluster.settings['ssh']}", "NET-CONNECT-PROXY"),
        ("http://127.0.0.1:3128", "NET-CONNECT-LOOPBACK"),  # S3-20
        ("socks5://proxy.example.com:1080", "NET-CONNECT-VALUE"),
    ):
        walker.env["HTTPS_PROXY"] = value
        said = walker.login(status=1).err
        assert code in said
        assert "HTTPS_PROXY" in said


def test_a_balancer_behind_a_connect_proxy(stage: Stage) -> None:
    """Both at once: CONNECT, TLS to nginx, a WebSocket, TLS to the proxy."""
    variable = f"http://{PROXY_HOST}:{stage.ports['open']}"
    address = f"localhost:{stage.ports['nginx']}"
    walker = Walker(stage, "alice-both", address, HTTPS_PROXY=variable, NO_PROXY="")
    walker.login()
    assert walker.upgraded
    walker.works()
    assert f"CONNECT {address}" in stage.log("open")


# Nothing in between


def test_s0_45_straight_to_the_web_port(stage: Stage) -> None:
    """S0-45: without balancers and proxies."""
    walker = Walker(stage, "alice-straight", stage.cluster.public)
    walker.login()
    assert not walker.upgraded
    walker.works()
