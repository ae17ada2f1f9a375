"""SIGHUP: another process takes the listeners and the tunnels, and the former one finishes its sessions."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Iterator

import pytest

from tests.support.apart import Apart, Member
from tests.support.cluster import BIN, OWN, User
from tests.support.processes import wait_for
from tests.support.successor import hand_over


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    made = Apart(tmp_path_factory.mktemp("handing"))
    made.data.mkdir(mode=0o700)
    with made.running():
        made.role("walker", logins=["{{internal.logins}}"], env=["*"])
        yield made


@pytest.fixture(scope="module")
def proxy(apart: Apart) -> Iterator[Member]:
    with apart.proxy().running() as running:
        yield running


@pytest.fixture(scope="module")
def near(apart: Apart, proxy: Member) -> Iterator[Member]:
    """A node that the proxy dials."""
    with apart.node("near").running() as running:
        apart.wait_for_node("near")
        yield running


@pytest.fixture(scope="module")
def far(apart: Apart, proxy: Member) -> Iterator[Member]:
    """A node in a tunnel."""
    lines = f"  proxy_server: {apart.public}\n  join_params: {{token_name: {apart.token('node')}}}\n"
    with apart.node("far", teleport=lines).running() as running:
        apart.wait_for_node("far")
        yield running


@pytest.fixture(scope="module")
def alice(apart: Apart, near: Member, far: Member) -> User:
    alice = apart.sign_up("alice", ["walker"], [OWN])
    for node in ("near", "far"):
        wait_for(f"a session on {node}", lambda node=node: here(alice, node) == "", seconds=60)  # type: ignore[misc]
    return alice


def here(user: User, node: str) -> str:
    """Open a session; return what went wrong."""
    done = user.tsh("ssh", f"{OWN}@{node}", "echo here", status=None)
    return "" if (done.status, done.out) == (0, "here\n") else f"{node}: {done}"


class Walks:
    """Sessions on nodes, one after the other, for the time of a block."""

    def __init__(self, user: User, *nodes: str) -> None:
        self.user, self.nodes = user, nodes
        self.done = 0
        self.failed: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._walk)

    def _walk(self) -> None:
        while not self._over.is_set():
            for node in self.nodes:
                self.failed += [problem] if (problem := here(self.user, node)) else []
                self.done += 1

    def more(self, count: int = 4) -> None:
        """Wait until there were so many more."""
        target = self.done + count
        wait_for(f"{count} more sessions", lambda: self.done >= target, seconds=120)

    def __enter__(self) -> Walks:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(120)


@contextlib.contextmanager
def session(user: User, node: str) -> Iterator[subprocess.Popen[bytes]]:
    """Keep a session through `tsh ssh`."""
    argv = [str(BIN / "tsh"), "ssh", f"{OWN}@{node}", "echo open; exec cat"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=user.cluster.environment(user.name)) as client:  # fmt: skip
        try:
            assert client.stdout is not None
            assert client.stdout.readline() == b"open\n"
            yield client
        finally:
            client.kill()


def says(client: subprocess.Popen[bytes], word: bytes) -> None:
    """Send a line through a session and read it back."""
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(word + b"\n")
    client.stdin.flush()
    assert client.stdout.readline() == word + b"\n"


def ends(client: subprocess.Popen[bytes], former: subprocess.Popen[bytes]) -> None:
    """End a session; the process that served it, which has waited for it alone, ends by itself."""
    assert former.poll() is None
    out, _ = client.communicate(timeout=60)
    assert (out, client.returncode) == (b"", 0)
    assert former.wait(timeout=120) == 0


@pytest.mark.parametrize("name", ["far", "near"])
def test_a_node_hands_over(apart: Apart, near: Member, far: Member, alice: User, name: str) -> None:
    """New sessions come to the new process with its configuration; one that runs lives on and is recorded whole."""
    member = {"near": near, "far": far}[name]
    with session(alice, name) as client, Walks(alice, name) as walks:
        walks.more(2)
        member.config.write_text(member.config.read_text().replace("env: dev", "env: changed"))
        former = hand_over(member)
        walks.more()
        says(client, b"still here")
        wait_for("the label", lambda: "env=changed" in next(
            (line for line in alice.tsh("ls").out.splitlines() if line.startswith(name)), ""
        ), seconds=60)  # fmt: skip
        says(client, b"and here")
        ends(client, former)
        walks.more(2)
    assert walks.failed == []
    assert "clone" not in apart.log.lower()
    wait_for("the node to stay", lambda: here(alice, name) == "", seconds=60)


def test_a_proxy_hands_over(apart: Apart, proxy: Member, near: Member, far: Member, alice: User) -> None:
    """Agents come to the new process before the former one lets them go: nobody sees a proxy without its nodes."""
    with session(alice, "far") as client, session(alice, "near") as second, Walks(alice, "far", "near") as walks:
        walks.more(2)
        former = hand_over(proxy)
        walks.more(6)
        says(client, b"still here")
        says(second, b"still here")
        second.communicate(timeout=60)
        ends(client, former)
        walks.more(4)
    assert walks.failed == []
    states = json.loads(proxy.debug("GET", "/readyz")[1])
    assert states["status"] == "ok"


def test_a_configuration_that_is_wrong_changes_nothing(near: Member, alice: User) -> None:
    """Neither one that cannot be read, nor one with which no process gets ready."""
    text, pid = near.config.read_text(), near.pid
    for spoiled, said in (
        ("nonsense: [", "The configuration was not reloaded"),
        (text.replace(f"data_dir: {near.data}", f"data_dir: {near.config}"), "PROC-SUCCESSOR"),
    ):
        start = len(near.log)
        near.config.write_text(spoiled)
        assert near.server is not None
        near.server.send_signal(1)
        wait_for(said, lambda start=start, said=said: said in near.log[start:], seconds=60)  # type: ignore[misc]
        assert here(alice, "near") == ""
        assert json.loads(near.debug("GET", "/readyz")[1])["pid"] == pid
    near.config.write_text(text)
