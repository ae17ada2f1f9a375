"""Who connects to whom, as strace(1) sees it: Auth Service, proxy, an agent and people, each a program of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import programs
from tests.support.apart import Apart, Member
from tests.support.cluster import OWN, User
from tests.support.processes import wait_for
from tests.support.programs import need

_CALL = re.compile(r"^\d+ +connect\(\d+, \{sa_family=AF_(\w+), (.*)\}, \d+\)", re.MULTILINE)
_PORT = re.compile(r"sin6?_port=htons\((\d+)\)")


def watched(file: Path) -> tuple[str, ...]:
    """Return what is put in front of a command to write every connect(2) of it and of its children into a file."""
    return (need("strace"), "-D", "-f", "-A", "--seccomp-bpf", "-e", "trace=connect", "-o", str(file))


class Told:
    """The programs of a cluster and where each has connected to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def calls(self, who: str) -> list[tuple[str, str]]:
        """Return family and address of every call so far."""
        return _CALL.findall((self.folder / f"{who}.trace").read_text(errors="replace"))

    def ports(self, who: str) -> set[int]:
        """Return the ports to which a program has connected. Fails where one was not of this machine."""
        found = set()
        for family, address in self.calls(who):
            if family in ("UNIX", "UNSPEC", "NETLINK"):
                continue
            assert re.search(r'"(127\.|::1"|::ffff:127\.)', address), f"{who} connected to {address}"
            port = _PORT.search(address)
            assert port is not None, address
            found.add(int(port[1]))
        return found - {0}  # by such a call libc finds out which of its own addresses to prefer; nothing is sent


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    programs.need("strace")
    return Told(tmp_path_factory.mktemp("told"))


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory, told: Told) -> Iterator[Apart]:
    made = Apart(tmp_path_factory.mktemp("topology"))
    made.data.mkdir(mode=0o700)
    made.wrapper = watched(told.folder / "auth.trace")
    with made.running():
        made.wrapper = ()
        made.role("walker", logins=["{{internal.logins}}"])
        yield made


@pytest.fixture(scope="module")
def proxy(apart: Apart, told: Told) -> Iterator[Member]:
    made = apart.proxy()
    made.wrapper = watched(told.folder / "proxy.trace")
    with made.running() as running:
        yield running


@pytest.fixture(scope="module")
def agent(apart: Apart, proxy: Member, told: Told) -> Iterator[Member]:
    lines = f"  proxy_server: {apart.public}\n  join_params: {{token_name: {apart.token('node')}}}\n"
    made = apart.node("agent", teleport=lines)
    made.wrapper = watched(told.folder / "agent.trace")
    with made.running() as running:
        apart.wait_for_node("agent")
        yield running


def test_s3_02_s3_04_people_to_the_proxy_the_proxy_to_auth_agents_to_the_proxy(
    apart: Apart, proxy: Member, agent: Member, told: Told
) -> None:
    """S3-02, S3-04: nobody connects to anything outside of the cluster, nor past the proxy."""
    alice = apart.sign_up("alice", ["walker"], [OWN])

    def works() -> bool:
        return alice.tsh("ssh", f"{OWN}@agent", "echo here", status=None).out == "here\n"

    wait_for("a session", works, seconds=60)
    apart.wrapper = watched(told.folder / "tsh.trace")
    try:
        alice = User(apart, "alice")
        alice.sign_in()
        assert "agent" in alice.tsh("ls").out
        (told.folder / "tsh.trace").rename(told.folder / "ls.trace")
        assert alice.tsh("ssh", f"{OWN}@agent", "echo here").out == "here\n"
    finally:
        apart.wrapper = ()
    web, auth = int(str(apart.settings["web"]).rpartition(":")[2]), int(str(apart.settings["auth"]))
    assert (told.folder / "auth.trace").exists()
    assert told.ports("auth") == set(), "the Auth Service calls nobody"
    assert told.ports("proxy") == {auth}, "agents have come to it"
    assert told.ports("agent") == {web}
    assert told.ports("ls") == told.ports("tsh") == {web}
