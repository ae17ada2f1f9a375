"""Programs that people use over SSH, doing real work on a node behind the proxy: each finds it as with any sshd.

The configuration is what `tsh config` prints, and every connection goes through the proxy's one port.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import hashlib
import http.server
import os
import random
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import paramiko
import pytest

from tests.support import programs
from tests.support.cluster import BIN, NAME, NODE, OWN, Cluster, Done, User
from tests.support.ports import free_ports

HOST = f"{NODE}.{NAME}"
TARGET = f"{OWN}@{HOST}"


@pytest.fixture(scope="module")
def config(cluster: Cluster, alice: User) -> Path:
    """What `tsh config` prints, in a file, for every program that runs `ssh`."""
    path = cluster.folder / "ssh_config"
    path.write_text(alice.tsh("config").out)
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder of files: empty, large, deep, with names that shells trip over."""
    chance = random.Random(5)
    root = tmp_path / "tree"
    for number in range(40):
        folder = root / f"{number % 4}" / f"deep {number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"file {number}").write_bytes(chance.randbytes(chance.randrange(20_000)))
    (root / "empty").touch()
    (root / "-n large;$HOME 'quoted' \"twice\"").write_bytes(chance.randbytes(3_000_000))
    (root / "0" / "한글 é").write_text("text\n")
    (root / "link").symlink_to("empty")
    (root / "0" / "run").write_text("#!/bin/sh\n")
    (root / "0" / "run").chmod(0o755)
    return root


def sums(root: Path) -> dict[str, tuple[int, str]]:
    """Return mode and checksum of every file, and the target of every link, below a folder."""
    found = {}
    for path in sorted(root.rglob("*")):
        content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(root))] = (path.lstat().st_mode, hashlib.sha256(content).hexdigest())
    return found


def files_of(alice: User) -> tuple[Path, Path, Path]:
    """Return the files of key, certificate and known hosts that `tsh` has written."""
    home = alice.cluster.folder / f"home-{alice.name}"
    (key,) = [path for path in home.rglob(alice.name) if path.is_file()]
    (certificate,) = home.rglob("*-cert.pub")
    return key, certificate, next(path for path in home.rglob("known_hosts") if path.parent != home)


def host_key(alice: User) -> str:
    """Return the node's key as `type blob`, for clients that know no certificates of hosts."""
    port = str(alice.cluster.settings["ssh"])
    return run(alice, "ssh-keyscan", "-t", "ed25519", "-p", port, "127.0.0.1").out.split(" ", 1)[1]


def run(alice: User, *argv: str | Path, status: int = 0, stdin: str = "", **env: str) -> Done:
    """Run a program as alice."""
    words = [str(word) for word in argv]
    return alice.cluster.run(*words, stdin=stdin, status=status, env=alice.cluster.environment(alice.name, **env))


def test_rsync_copies_a_tree_and_then_only_what_changed(alice: User, config: Path, tree: Path, tmp_path: Path) -> None:
    rsync, shell = programs.need("rsync"), f"ssh -F {config}"
    there, back = tmp_path / "there", tmp_path / "back"
    run(alice, rsync, "-a", "-e", shell, f"{tree}/", f"{TARGET}:{there}/")
    assert sums(there) == sums(tree)
    with (tree / "empty").open("w") as file:
        file.write("no more\n")
    told = run(alice, rsync, "-a", "--checksum", "--itemize-changes", "-e", shell, f"{tree}/", f"{TARGET}:{there}/")
    assert [line.split()[1] for line in told.out.splitlines() if line.startswith("<f")] == ["empty"]
    run(alice, rsync, "-az", "-e", shell, f"{TARGET}:{there}/", f"{back}/")
    assert sums(back) == sums(tree)


def test_git_clones_and_pushes(alice: User, config: Path, tmp_path: Path) -> None:
    git = programs.need("git")
    env = {
        "GIT_SSH_COMMAND": f"ssh -F {config}", "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com",
    }  # fmt: skip
    there, here, again = tmp_path / "there.git", tmp_path / "here", tmp_path / "again"
    run(alice, git, "init", "-q", "--bare", "-b", "main", there)
    run(alice, git, "clone", "-q", f"{TARGET}:{there}", here, **env)
    (here / "data").write_bytes(random.Random(6).randbytes(2_000_000))
    run(alice, git, "-C", here, "checkout", "-q", "-b", "main", **env)
    run(alice, git, "-C", here, "add", ".", **env)
    run(alice, git, "-C", here, "commit", "-q", "-m", "data", **env)
    run(alice, git, "-C", here, "push", "-q", "origin", "main", **env)
    run(alice, git, "clone", "-q", f"ssh://{TARGET}{there}", again, **env)
    assert sums(again / ".git" / "refs" / "heads") == sums(here / ".git" / "refs" / "heads")
    assert (again / "data").read_bytes() == (here / "data").read_bytes()


PLAYBOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: write a file
      ansible.builtin.copy: {content: "made by a playbook\\n", dest: "FOLDER/made", mode: "0640"}
    - name: run a command
      ansible.builtin.command: {argv: [cat, "FOLDER/made"]}
      register: said
    - name: compare
      ansible.builtin.assert: {that: said.stdout == "made by a playbook"}
"""


def test_ansible_plays_three_tasks(alice: User, config: Path, tmp_path: Path) -> None:
    book = tmp_path / "play.yml"
    book.write_text(PLAYBOOK.replace("FOLDER", str(tmp_path)))
    done = run(
        alice, BIN / "ansible-playbook", "-i", f"{HOST},", "-u", OWN, book, ANSIBLE_SSH_ARGS=f"-F {config}",
        ANSIBLE_HOME=str(tmp_path / "ansible"), ANSIBLE_REMOTE_TMP=str(tmp_path / "remote"),
        ANSIBLE_PYTHON_INTERPRETER=str(BIN / "python"), ANSIBLE_LOCALHOST_WARNING="False", LC_ALL="C.UTF-8",
    )  # fmt: skip
    assert "ok=3    changed=2    unreachable=0    failed=0" in done.out
    made = tmp_path / "made"
    assert (made.read_text(), made.stat().st_mode & 0o777) == ("made by a playbook\n", 0o640)


def test_plink_runs_a_command(alice: User, cluster: Cluster, tmp_path: Path) -> None:
    """PuTTY's client, with its own form of key; it takes the host's key by its fingerprint."""
    plink, puttygen = programs.need("plink"), programs.need("puttygen")
    key, certificate, _ = files_of(alice)
    ours, bound = tmp_path / "key.ppk", tmp_path / "bound.ppk"
    run(alice, puttygen, key, "-o", ours, "-O", "private")
    run(alice, puttygen, ours, "--certificate", certificate, "-o", bound, "-O", "private")
    (tmp_path / "host.pub").write_text(host_key(alice))
    print_of = run(alice, "ssh-keygen", "-lf", tmp_path / "host.pub").out.split()[1]
    port = str(cluster.settings["ssh"])
    argv = [plink, "-batch", "-P", port, "-i", bound, "-hostkey", print_of, f"{OWN}@127.0.0.1", "echo here; exit 7"]
    assert run(alice, *argv, status=7).out == "here\n"


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a megabyte over HTTP on this machine; yields its address."""
    (folder / "page").write_bytes(random.Random(7).randbytes(1_000_000))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/page"
        server.shutdown()
        thread.join()


def test_many_channels_on_one_connection(alice: User, config: Path, tmp_path: Path) -> None:
    """How editors work: one connection with a SOCKS proxy, through which they reach the server that they have put on
    the node, and a dozen sessions at a time, each with its own bytes."""
    control, (port,) = config.parent / "control", free_ports(1)
    master = ["ssh", "-F", str(config), "-S", str(control)]
    env = alice.cluster.environment(alice.name)
    with (
        serving(tmp_path) as page,
        subprocess.Popen([*master, "-M", "-D", f"127.0.0.1:{port}", TARGET, "echo open; exec cat"], env=env,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first,
    ):  # fmt: skip
        assert first.stdin is not None
        assert first.stdout is not None
        assert first.stdout.readline() == b"open\n"
        workers = [
            subprocess.Popen(
                [*master, TARGET, f"head -c {1000 * number} /dev/zero; exit {number}"], env=env, stdout=subprocess.PIPE
            )
            for number in range(12)
        ]
        for number, worker in enumerate(workers):
            assert len(worker.communicate(timeout=60)[0]) == 1000 * number
            assert worker.returncode == number
        curl = ("curl", "-s", "--noproxy", "", "--socks5-hostname", f"127.0.0.1:{port}", "-o", tmp_path / "got", page)
        run(alice, *curl)
        assert (tmp_path / "got").read_bytes() == (tmp_path / "page").read_bytes()
        first.stdin.close()
        assert first.wait(60) == 0


def test_asyncssh_as_a_client(alice: User) -> None:
    key, certificate, known = files_of(alice)

    async def main() -> None:
        async with asyncssh.connect(
            "127.0.0.1", alice.cluster.settings["ssh"], username=OWN, host_key_alias=HOST, config=None,
            known_hosts=str(known), client_keys=[(str(key), str(certificate))], agent_path=None,
        ) as connection:  # fmt: skip
            done = await connection.run("cat; exit 3", input="through\n")
            assert (done.stdout, done.exit_status) == ("through\n", 3)

    asyncio.run(main())


def test_paramiko_as_a_client(alice: User) -> None:
    """It knows no certificates of hosts, so it is told the key; `tsh proxy ssh` is the way there."""
    key, certificate, _ = files_of(alice)
    mine = paramiko.Ed25519Key.from_private_key_file(str(key))
    mine.load_certificate(str(certificate))
    client = paramiko.SSHClient()
    kind, blob = host_key(alice).split()
    client.get_host_keys().add(HOST, kind, paramiko.Ed25519Key(data=base64.b64decode(blob)))
    ours, theirs = socket.socketpair()
    words = [BIN / "tsh", "proxy", "ssh", f"--cluster={NAME}", f"{OWN}@{HOST}:3022"]
    with theirs:
        way = subprocess.Popen(words, env=alice.cluster.environment(alice.name), stdin=theirs, stdout=theirs)
    with way:
        try:
            client.connect(HOST, username=OWN, pkey=mine, sock=ours, allow_agent=False, look_for_keys=False, timeout=30)
            stdin, stdout, _ = client.exec_command("cat; exit 5", timeout=30)
            stdin.write("through\n")
            stdin.channel.shutdown_write()
            assert (stdout.read(), stdout.channel.recv_exit_status()) == (b"through\n", 5)
        finally:
            client.close()
            ours.close()
