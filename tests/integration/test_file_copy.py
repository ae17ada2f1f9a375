"""Files to a node and from it, behind the proxy: stock sftp and scp, `tsh scp` and `tsh sftp`, and what the audit log
has of it."""

from __future__ import annotations

import hashlib
import os
import random
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import BIN, NAME, NODE, OWN, Cluster, Done, User, decision_in
from tests.support.until import until

HOST = f"{NODE}.{NAME}"
TARGET = f"{OWN}@{HOST}"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("copies")).running() as running:
        running.role("copier", logins=["{{internal.logins}}"])
        yield running


@pytest.fixture(scope="module")
def alice(cluster: Cluster) -> User:
    return cluster.sign_up("alice", ["copier"], [OWN])


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Folders of files: empty, large, deep, and with names that shells and terminals trip over."""
    chance, root = random.Random(7), tmp_path / "tree"
    for number, name in enumerate(["plain", "with blank", "-rf", "ünï", "new\nline", ".hidden", "a:b", "*", "\x1b[2J"]):
        folder = root / f"{number % 3}" / "deep er"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(chance.randbytes(number * 5000))
    (root / "large").write_bytes(chance.randbytes(6_000_000))
    (root / "run").write_text("#!/bin/sh\n")
    (root / "run").chmod(0o751)
    (root / "link").symlink_to("run")
    for path in [*root.rglob("*"), root]:
        os.utime(path, (1_000_000_000, 1_000_000_000 + len(path.name)))
    return root


def sums(root: Path) -> dict[str, tuple[int, int, str]]:
    """Return mode, time and checksum of everything below a folder, through links."""
    found = {}
    for path in root.rglob("*"):
        facts = path.stat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(root))] = (
            stat.S_IMODE(facts.st_mode), int(facts.st_mtime), hashlib.sha256(content).hexdigest()
        )  # fmt: skip
    return found


def stock(user: User, program: str, *arguments: str | Path, status: int | None = 0, stdin: str = "") -> Done:
    """Run OpenSSH's sftp or scp with the configuration that `tsh config` prints."""
    config = user.cluster.folder / f"stock-{user.name}"
    if not config.exists():
        config.write_text(user.tsh("config").out)
    words = [program, "-F", str(config), *map(str, arguments)]
    return user.cluster.run(*words, status=status, stdin=stdin, env=user.cluster.environment(user.name))


def told(cluster: Cluster, text: str, **fields: Any) -> list[dict[str, Any]]:
    """Return the events that name a path, once there are some."""
    found: list[dict[str, Any]] = []

    def some() -> bool:
        found[:] = cluster.events(text, **fields)
        return bool(found)

    until(some, "the events of a copy")
    return found


def test_tsh_scp_copies_a_tree_there_and_back(alice: User, tree: Path, tmp_path: Path) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    alice.tsh("scp", "-r", "-p", str(tree), f"{TARGET}:{there}")
    assert sums(there) == sums(tree)
    alice.tsh("scp", "-r", "-p", f"{TARGET}:{there}", str(back))
    assert sums(back) == sums(tree)


def test_tsh_scp_into_the_home_and_by_patterns(alice: User, tmp_path: Path) -> None:
    home = Path(alice.tsh("ssh", TARGET, "pwd").out.strip())
    source, goal = tmp_path / f"unique-{os.getpid()}.txt", tmp_path / "goal"
    source.write_text("text\n")
    goal.mkdir()
    try:
        alice.tsh("scp", str(source), f"{TARGET}:")
        assert (home / source.name).read_text() == "text\n"
        alice.tsh("scp", f"{TARGET}:unique-{os.getpid()}.*", f"{TARGET}:~/{source.name}", str(goal))
        assert [path.name for path in goal.iterdir()] == [source.name]
    finally:
        (home / source.name).unlink(missing_ok=True)


def test_tsh_scp_says_what_it_could_not_copy(alice: User, tmp_path: Path) -> None:
    (tmp_path / "good").write_text("good")
    done = alice.tsh("scp", f"{TARGET}:{tmp_path}/none\x1b[2J", f"{TARGET}:{tmp_path}/good", str(tmp_path), status=1)
    assert "CLIENT-COPY-REMOTE" in done.err
    assert "\x1b" not in done.err
    done = alice.tsh("scp", str(tmp_path), f"{TARGET}:{tmp_path}/d", status=1)
    assert "add -r" in done.err
    for words, code in (
        (["a", "b"], "CLIENT-COPY-SIDES"), ([f"{TARGET}:a", f"{TARGET}:b"], "CLIENT-COPY-SIDES"),
        (["a"], "CLIENT-COPY-SIDES"), ([":a", "b"], "CLIENT-COPY-PLACE"),
        ([str(tmp_path / "good"), str(tmp_path / "good"), f"{TARGET}:{tmp_path}/none"], "CLIENT-COPY-TARGET"),
    ):  # fmt: skip
        assert code in alice.tsh("scp", *words, status=1).err


def test_stock_sftp_does_its_work(alice: User, tree: Path, tmp_path: Path) -> None:
    batch = tmp_path / "batch"
    batch.write_text(
        f"mkdir {tmp_path}/there\ncd {tmp_path}/there\nlcd {tmp_path}\nput -Rp tree copy\nget -Rp copy back\nrename copy/run "
        "copy/ran\nln -s ran copy/soft\nln copy/ran copy/hard\nchmod 600 copy/ran\ndf .\nls -la copy\nrm copy/hard\n"
    )  # fmt: skip
    stock(alice, "sftp", "-b", batch, TARGET)
    copied = sums(tmp_path / "there" / "copy")
    assert copied["large"] == sums(tree)["large"] == sums(tmp_path / "back")["large"]
    assert copied["ran"][0] == 0o600
    assert os.readlink(tmp_path / "there" / "copy" / "soft") == "ran"


@pytest.mark.parametrize("old", [[], ["-O"]], ids=["sftp", "the old protocol"])
def test_stock_scp_does_its_work(alice: User, tree: Path, tmp_path: Path, old: list[str], cluster: Cluster) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    stock(alice, "scp", "-q", *old, "-rp", tree, f"{TARGET}:{there}")
    stock(alice, "scp", "-q", *old, "-rp", f"{TARGET}:{there}", back)
    assert sums(there) == sums(tree) == sums(back)
    if old:
        found = told(cluster, str(there), event="scp")
        until(lambda: len(cluster.events(str(there), event="scp")) == 2, "both events of scp")
        found = cluster.events(str(there), event="scp")
        assert {(event["code"], event["action"]) for event in found} == {("T3004I", "download"), ("T3005I", "upload")}


def test_tsh_sftp_runs_a_batch(alice: User, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("text")
    (tmp_path / "batch").write_text(f"put {tmp_path}/f {tmp_path}/g\nls -l {tmp_path}/g\n")
    done = alice.tsh("sftp", "-b", str(tmp_path / "batch"), TARGET)
    assert (tmp_path / "g").read_text() == "text"
    assert f"{tmp_path}/g" in done.out
    alice.tsh("sftp", "-b", "-", f"{OWN}@{NODE}", stdin=f"rm {tmp_path}/g\n")
    assert not (tmp_path / "g").exists()
    assert alice.tsh("sftp", "-b", "-", TARGET, stdin=f"rm {tmp_path}/g\n", status=None).status == 1


def test_the_audit_log_has_what_was_done_and_no_contents(alice: User, cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("contents that nobody logs")
    stock(
        alice, "sftp", "-b", "-", TARGET, status=1,
        stdin=f"put {tmp_path}/secret {tmp_path}/up\nrename {tmp_path}/up {tmp_path}/moved\nrm {tmp_path}/moved\n"
        f"rm {tmp_path}/moved\n",
    )  # fmt: skip
    (summary,) = told(cluster, f"{tmp_path}/up", event="sftp_summary")
    found = {(event["code"], event["path"]): event for event in cluster.events(str(tmp_path), event="sftp")}
    assert found["TS002I", f"{tmp_path}/up"]["bytes_written"] == 25
    assert found["TS016I", f"{tmp_path}/up"]["target_path"] == f"{tmp_path}/moved"
    assert ("TS011I", f"{tmp_path}/moved") in found
    assert "no such file" in found["TS011E", f"{tmp_path}/moved"]["error"]
    assert (summary["bytes_written"], summary["user"], summary["login"]) == (25, "alice", OWN)
    assert not cluster.events("contents that nobody logs")


def test_whoever_may_not_copy_hears_why(cluster: Cluster, tmp_path: Path) -> None:
    """The option ssh_file_copy of a role, for each of the ways to copy."""
    spec = {
        "allow": {"logins": [OWN], "node_labels": {"env": ["dev"]}}, "options": {"ssh_file_copy": False},
    }  # fmt: skip
    cluster.create({"kind": "role", "version": "v7", "metadata": {"name": "reader"}, "spec": spec})
    bob = cluster.sign_up("bob", ["reader"], [OWN])
    (tmp_path / "f").write_text("text")
    assert bob.tsh("ssh", TARGET, "echo in").out == "in\n"
    ways = [
        bob.tsh("scp", str(tmp_path / "f"), f"{TARGET}:{tmp_path}/g", status=1),
        stock(bob, "scp", "-O", tmp_path / "f", f"{TARGET}:{tmp_path}/g", status=None),
        stock(bob, "sftp", "-b", "-", TARGET, stdin=f"put {tmp_path}/f {tmp_path}/g\n", status=None),
    ]
    assert all(done.status != 0 for done in ways)
    assert not (tmp_path / "g").exists()
    id = decision_in(ways[0].err)
    until(lambda: cluster.events(id), "the record of the refusal")
    codes = {event["code"] for event in cluster.events(user="bob")}
    assert codes >= {"TS020E", "T3010E"}


def test_a_cut_connection_leaves_no_half_file(alice: User, cluster: Cluster, tmp_path: Path) -> None:
    """The client is ended in the middle of an upload, as a network would end it: nothing stands under the name."""
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2_000_000_000)
    argv = [*cluster.wrapper, str(BIN / "tsh"), "scp", str(tmp_path / "large"), f"{TARGET}:{tmp_path}/goal"]
    with subprocess.Popen(argv, env=cluster.environment("alice"), stderr=subprocess.PIPE) as copy:
        try:
            until(lambda: any(path.stat().st_size for path in tmp_path.glob("goal*.part")), "the beginning of the copy")
        finally:
            copy.kill()
    assert not (tmp_path / "goal").exists()
    found = told(cluster, f"{tmp_path}/goal", event="sftp_summary")
    assert found[0]["bytes_written"] < 2_000_000_000
