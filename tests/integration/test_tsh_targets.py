"""tsh ssh on a cluster with several nodes: by name, id, labels and query; one command on many; ports and the agent.

Beside our own node there are OpenSSH servers, so the other side of every forward is a program that others wrote.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ssh_agent, sshd_node
from tests.support.cluster import BIN, NAME, NODE, OWN, Cluster, User, decision_in
from tests.support.ports import free_ports
from tests.support.processes import wait_for
from tests.support.sshd_node import SshdNode

SAY = "echo on $NODE_NAME; echo aside >&2"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("targets")).running() as running:
        running.create({
            "kind": "role", "version": "v7", "metadata": {"name": "walker"},
            "spec": {
                "allow": {"logins": ["{{internal.logins}}"], "node_labels": {"*": ["*"]}},
                "options": {"forward_agent": True},
            },
        })  # fmt: skip
        yield running


@pytest.fixture(scope="module")
def nodes(cluster: Cluster) -> Iterator[dict[str, SshdNode]]:
    with contextlib.ExitStack() as stack:
        yield {
            key: stack.enter_context(sshd_node.running(cluster, name, up=up, env=env, role=key.split("-")[0]))
            for key, name, env, up in (
                ("web-1", "web", "prod", True), ("web-2", "web", "prod", True), ("db-1", "db", "prod", True),
                ("old-1", "old", "test", False),
            )
        }  # fmt: skip


@pytest.fixture(scope="module")
def alice(cluster: Cluster, nodes: dict[str, SshdNode]) -> User:
    user = cluster.sign_up("alice", ["walker"], [OWN])
    wait_for("all nodes", lambda: len(user.tsh("ls", "-f", "names").out.split()) == 5)
    return user


# which node


def test_by_name_id_and_labels_that_one_node_has(alice: User, nodes: dict[str, SshdNode]) -> None:
    """S2-38: also by the id of a host."""
    for target in (
        "db",
        f"db.{NAME}",
        nodes["db-1"].id,
        "role=db",
        "env=prod,role=db",
        f"127.0.0.1:{nodes['db-1'].port}",
    ):
        assert alice.tsh("ssh", f"{OWN}@{target}", SAY).out == "on db\n", target
    assert alice.tsh("ssh", "-l", OWN, "db", "--", "echo", "-n", "$NODE_NAME").out == "db"
    query = ("--query", 'labels["role"] == "db"')
    assert alice.tsh("ssh", *query, f"{OWN}@", SAY).out == "on db\n"
    assert alice.tsh("ssh", "--search", "db", f"{OWN}@db", "-T", SAY).out == "on db\n"


def test_a_name_of_several_nodes_is_refused_with_the_candidates(alice: User, nodes: dict[str, SshdNode]) -> None:
    for words in (("web", "id"), ("web",), ("role=web",)):
        done = alice.tsh("ssh", f"{OWN}@{words[0]}", *words[1:], status=1)
        assert "ERROR: ambiguous host could match multiple nodes: " in done.err
        for node in (nodes["web-1"], nodes["web-2"]):
            assert f"web       {node.id} 127.0.0.1:{node.port} env=prod,role=web" in done.err
        assert "fix:  name one by its id, for example: tsh ssh " in done.err
    for key in ("web-1", "web-2"):
        assert alice.tsh("ssh", f"{OWN}@{nodes[key].id}", SAY).out == "on web\n"


def test_nothing_matches(alice: User) -> None:
    for target in ("role=nothing", "env=prod,role=old"):
        done = alice.tsh("ssh", f"{OWN}@{target}", "id", status=1)
        assert "ERROR: no matching hosts found" in done.err
        assert target in done.err
    assert "CLIENT-TARGET" in alice.tsh("ssh", f"{OWN}@", "id", status=1).err
    assert "PROXY-CLUSTER" in alice.tsh("ssh", "--cluster", "leaf", f"{OWN}@role=db", "id", status=1).err


def test_another_login_is_told_as_other_clients_tell_it(cluster: Cluster, alice: User) -> None:
    """S1-29: a login that is not among the certificate's principals; with the logins there are, and an id."""
    for words in (("ssh", "bob@db", "id"), ("ssh", f"bob@{NODE}"), ("proxy", "ssh", "bob@db")):
        done = alice.tsh(*words, status=1)
        assert done.err.startswith(
            "ERROR: ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], no "
            "supported methods remain\n"
        )
        assert f"bob is not among the logins of your certificate ({OWN})" in done.err
    assert "bob" in cluster.tctl("access", "explain", done.err.split("id: ")[1].split()[0]).out


# many nodes


def test_a_command_on_all_nodes_with_labels(alice: User, nodes: dict[str, SshdNode]) -> None:
    done = alice.tsh("ssh", f"{OWN}@env=prod", SAY)
    names = [f"web/{nodes[key].id[:8]}" for key in ("web-1", "web-2")]
    assert sorted(done.out.splitlines()) == sorted(["db: on db", *(f"{name}: on web" for name in names)])
    assert {f"{name}: aside" for name in ("db", *names)} <= set(done.err.splitlines())
    assert done.err.endswith("3 of 3 succeeded.\n")


def test_one_that_fails_makes_all_of_it_fail(alice: User) -> None:
    done = alice.tsh("ssh", "--query", 'labels["role"] != "web"', f"{OWN}@", f"{SAY}; test -z $NODE_NAME", status=1)
    assert "db: on db" in done.out
    assert "failed to connect to" in done.err, "of each node, what it was"
    assert done.err.endswith("1 of 3 succeeded.\n")
    rows = {
        line.split()[0]: line.split()[1]
        for line in done.err.splitlines()
        if line.startswith(("db ", "old ", f"{NODE} "))
    }
    assert rows == {"db": "1", "old": "-", NODE: "0"}


def test_results_for_programs_and_files(alice: User, tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    words = ("--log-dir", str(folder), "--format=json", "--parallel=1")
    done = alice.tsh("ssh", *words, "--query", 'labels["role"] != "web"', f"{OWN}@", SAY, status=1)
    found = {entry["name"]: entry for entry in json.loads(done.out)}
    assert set(found) == {"db", "old", NODE}
    assert (found["db"]["exit_status"], found["db"]["stdout"], found["db"]["stderr"]) == (0, "on db\n", "aside\n")
    assert found["old"]["exit_status"] is None
    assert found["old"]["error"]["code"] == "PROXY-NODE-UNREACHABLE"
    assert (folder / "db.stdout").read_text() == "on db\n"
    assert (folder / "db.stderr").read_text() == "aside\n"
    assert (folder / "old.stdout").read_text() == ""
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert alice.tsh("ssh", "--log-dir", str(folder), f"{OWN}@db", "echo again").out == "db: again\n"
    assert (folder / "db.stdout").read_text() == "again\n"


# ports


@contextlib.contextmanager
def echo(family: int = socket.AF_INET, address: object = ("127.0.0.1", 0)) -> Iterator[socket.socket]:
    """A server that says what it is told, in capitals, until the end; to all at once, in whatever order they come."""
    with socket.socket(family) as listener, concurrent.futures.ThreadPoolExecutor(16) as pool:
        listener.bind(address)
        listener.listen()

        def answer(connection: socket.socket) -> None:
            with connection, connection.makefile("rb") as lines, contextlib.suppress(OSError):
                for line in lines:
                    connection.sendall(line.upper())

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    pool.submit(answer, listener.accept()[0])

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(30)


@contextlib.contextmanager
def forwarding(user: User, *words: str, node: str = "db") -> Iterator[subprocess.Popen[str]]:
    """`tsh ssh` with a command that says `open` when everything is set up, and stays until its input ends."""
    argv = [str(BIN / "tsh"), "ssh", *words, f"{OWN}@{node}", "echo open; exec cat"]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=user.cluster.environment(user.name),
    ) as client:  # fmt: skip
        try:
            assert client.stdout is not None
            assert client.stdout.readline() == "open\n", client.communicate()[1]
            yield client
            assert client.stdin is not None
            client.stdin.close()
            assert client.wait(60) == 0
        finally:
            client.kill()


def asked(sock: socket.socket, text: bytes = b"hello\n") -> bytes:
    """Say a line, end, and return what comes back."""
    with sock, contextlib.suppress(ConnectionResetError):
        sock.settimeout(60)
        with contextlib.suppress(OSError):  # who has nothing to say may have closed already
            sock.sendall(text)
            sock.shutdown(socket.SHUT_WR)
        with sock.makefile("rb") as answer:
            return answer.read()
    return b""


def dial(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


@pytest.mark.parametrize("node", ["db", NODE])
def test_a_local_port_leads_to_where_the_node_can_go(alice: User, tmp_path: Path, node: str) -> None:
    (port,) = free_ports(1)
    unix = str(tmp_path / "s")
    with contextlib.ExitStack() as stack:
        there = f"127.0.0.1:{stack.enter_context(echo()).getsockname()[1]}"
        stack.enter_context(forwarding(alice, "-L", f"{port}:{there}", "-L", f"{unix}:{there}", node=node))
        assert asked(dial(port)) == b"HELLO\n"
        sockets = [dial(port) for _ in range(5)]
        assert [asked(sock, b"many\n" * 1000) for sock in sockets] == [b"MANY\n" * 1000] * 5
        assert os.stat(unix).st_mode & 0o777 == 0o600
        local = socket.socket(socket.AF_UNIX)
        local.connect(unix)
        assert asked(local) == b"HELLO\n"
    assert not os.path.exists(unix)


@pytest.mark.parametrize("node", ["db", NODE])
def test_a_local_port_leads_to_a_socket_of_the_node(alice: User, tmp_path: Path, node: str) -> None:
    (port,) = free_ports(1)
    path = str(tmp_path / "there")
    with echo(socket.AF_UNIX, path), forwarding(alice, "-L", f"127.0.0.1:{port}:{path}", node=node):
        assert asked(dial(port)) == b"HELLO\n"


@pytest.mark.parametrize("node", ["db", NODE])
def test_a_port_of_the_node_leads_here(alice: User, tmp_path: Path, node: str) -> None:
    there, nobody = free_ports(2)
    path = str(tmp_path / "there")
    with contextlib.ExitStack() as stack:
        here = stack.enter_context(echo()).getsockname()[1]
        words = ("-R", f"{there}:localhost:{here}", "-R", f"{path}:localhost:{here}", "-R", f"0:127.0.0.1:{nobody}")
        client = stack.enter_context(forwarding(alice, *words, node=node))
        assert asked(dial(there)) == b"HELLO\n"
        remote = socket.socket(socket.AF_UNIX)
        remote.connect(path)
        assert asked(remote) == b"HELLO\n"
        assert client.stderr is not None
        told = client.stderr.readline()
        assert f"remote forward to 127.0.0.1:{nobody}" in told
        assert told.startswith("Allocated port ")
        assert asked(dial(int(told.split()[2]))) == b""


@pytest.mark.parametrize("version", [["--socks5-hostname"], ["--socks4a"], ["--socks5"], ["--socks4"]])
def test_a_socks_proxy(alice: User, version: list[str]) -> None:
    """With curl as the client: a page of the web port that only the node is asked for."""
    (port,) = free_ports(1)
    with forwarding(alice, "-D", str(port)) as client:
        web = alice.cluster.settings["web"].rpartition(":")[2]
        host = "localhost" if version[0] in ("--socks5-hostname", "--socks4a") else "127.0.0.1"
        curl = ["curl", "-sk", "--noproxy", "", *version, f"127.0.0.1:{port}", "--max-time", "60"]
        done = alice.cluster.run(*curl, f"https://{host}:{web}/webapi/ping")
        assert json.loads(done.out)["cluster_name"] == NAME
        (nobody,) = free_ports(1)
        alice.cluster.run(*curl, f"https://{host}:{nobody}/", status=None)
        assert client.stderr is not None
        assert "the node did not connect" in client.stderr.readline()


@pytest.mark.parametrize("node", ["db", NODE])
def test_a_socks_proxy_for_the_node(alice: User, node: str) -> None:
    """-R with a port alone: programs of the node go where we can go."""
    (port,) = free_ports(1)
    web = alice.cluster.settings["web"].rpartition(":")[2]
    with forwarding(alice, "-R", str(port), node=node):
        curl = ["curl", "-sk", "--noproxy", "", "--socks5-hostname", f"127.0.0.1:{port}", "--max-time", "60"]
        done = alice.cluster.run(*curl, f"https://localhost:{web}/webapi/ping")
        assert json.loads(done.out)["cluster_name"] == NAME


def test_ports_alone_and_what_ends_them(alice: User) -> None:
    (port,) = free_ports(1)
    with echo() as target:
        words = ("ssh", "-N", "-L", f"{port}:127.0.0.1:{target.getsockname()[1]}", f"{OWN}@db")
        with subprocess.Popen([str(BIN / "tsh"), *words], env=alice.cluster.environment("alice")) as client:
            try:
                wait_for("the port", lambda: _listens(port))
                assert asked(dial(port)) == b"HELLO\n"
                client.send_signal(signal.SIGINT)
                assert client.wait(60) == 130
            finally:
                client.kill()


def test_in_the_background(alice: User, tmp_path: Path) -> None:
    """-f: the command that was typed ends, and what it is for goes on until the node ends it."""
    (port,) = free_ports(1)
    with echo() as target:
        words = (
            str(BIN / "tsh"), "ssh", "-f", "-L", f"{port}:127.0.0.1:{target.getsockname()[1]}", f"{OWN}@db",
            f"until [ -e {tmp_path}/over ]; do sleep 0.2; done; echo said > {tmp_path}/said",
        )  # fmt: skip
        with subprocess.Popen(words, env=alice.cluster.environment("alice")) as client:
            assert client.wait(60) == 0
        assert asked(dial(port)) == b"HELLO\n"
        (tmp_path / "over").touch()
        wait_for("the end", lambda: not _listens(port))
        wait_for("what it said", (tmp_path / "said").exists)


def test_an_interrupt_ends_a_command_on_many_nodes(alice: User, tmp_path: Path) -> None:
    words = (str(BIN / "tsh"), "ssh", f"{OWN}@env=prod", f"echo open; echo $$ >> {tmp_path}/started; exec sleep 1000")
    with subprocess.Popen(words, env=alice.cluster.environment("alice"), stdout=subprocess.PIPE) as client:
        try:
            wait_for("all three", lambda: _lines(tmp_path / "started") == 3)
            client.send_signal(signal.SIGINT)
            assert client.wait(60) == 130
        finally:
            client.kill()


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def _listens(port: int) -> bool:
    try:
        dial(port).close()
    except OSError:
        return False
    return True


def test_a_port_that_is_taken_is_told(alice: User) -> None:
    with echo() as taken:
        port = taken.getsockname()[1]
        done = alice.tsh("ssh", "-L", f"127.0.0.1:{port}:localhost:1", f"{OWN}@db", "echo never", status=1)
        assert done.out == ""
        assert "CLIENT-FORWARD-LOCAL" in done.err
        assert "already in use" in done.err
        done = alice.tsh("ssh", "-R", "/nowhere/s:localhost:1", f"{OWN}@db", "echo never", status=1)
        assert done.out == ""
        assert "CLIENT-NODE-REFUSED" in done.err
    assert "CLIENT-FORWARD" in alice.tsh("ssh", "-L", "nonsense", f"{OWN}@db", status=1).err


# the agent


@pytest.mark.parametrize("node", ["db", NODE])
def test_the_agent_goes_along_when_it_is_asked_for(alice: User, node: str) -> None:
    with ssh_agent.running() as path:
        env = alice.cluster.environment("alice", SSH_AUTH_SOCK=path)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "mine", "-f", f"{path}.key"], check=True)
        subprocess.run(["ssh-add", "-q", f"{path}.key"], env=env, check=True)
        listing = [str(BIN / "tsh"), "ssh", f"{OWN}@{node}", "ssh-add -l"]
        assert "mine" in alice.cluster.run(*listing[:2], "-A", *listing[2:], env=env).out
        assert "mine" in alice.cluster.run(*listing[:2], "-o", "ForwardAgent=yes", *listing[2:], env=env).out
        assert alice.cluster.run(*listing, status=2, env=env).out == ""


def test_what_roles_do_not_allow_is_refused_with_an_id(cluster: Cluster, nodes: dict[str, SshdNode]) -> None:
    """Ports that the node does not open are told of as they are used; the command goes on."""
    cluster.create({
        "kind": "role", "version": "v7", "metadata": {"name": "no-ports"},
        "spec": {
            "allow": {"logins": [OWN], "node_labels": {"*": ["*"]}},
            "options": {"ssh_port_forwarding": {"local": {"enabled": False}, "remote": {"enabled": False}}},
        },
    })  # fmt: skip
    mallory = cluster.sign_up("mallory", ["no-ports"])
    (port,) = free_ports(1)
    with forwarding(mallory, "-L", f"{port}:127.0.0.1:{port}", node=NODE) as client:
        assert asked(dial(port)) == b""
        assert client.stderr is not None
        told = client.stderr.readline()
    assert "the node did not connect: POL-" in told
    assert "port forwarding not allowed" in told
    assert "mallory" in cluster.tctl("access", "explain", decision_in(told)).out
    done = mallory.tsh("ssh", "-R", "0:localhost:1", f"{OWN}@{NODE}", "echo never", status=1)
    assert done.out == ""
    assert "CLIENT-NODE-REFUSED" in done.err


def test_another_proxy_on_the_way(alice: User) -> None:
    """-J names a proxy by an address that is not the profile's."""
    other = alice.cluster.settings["web"]
    assert other != alice.cluster.public
    assert alice.tsh("ssh", "-J", str(other), f"{OWN}@db", SAY).out == "on db\n"
    (nobody,) = free_ports(1)
    assert "CLIENT-UNREACHABLE" in alice.tsh("ssh", "-J", f"127.0.0.1:{nobody}", f"{OWN}@db", "id", status=1).err
