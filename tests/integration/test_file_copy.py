"""Files to a node and from it, behind the proxy: stock sftp and scp, `tsh scp` and `tsh sftp`, and what the audit log
has of it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import stat
import subprocess
from pathlib import Path

import asyncssh
import paramiko
import pytest

from tests.support.cluster import BIN, NAME, NODE, OWN, Cluster, Done, User, decision_in
from tests.support.processes import wait_for

HOST = f"{NODE}.{NAME}"
TARGET = f"{OWN}@{HOST}"


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
        alice.tsh("scp", f"{OWN}@env=dev:{source.name}", str(goal / "by label"))
        assert (goal / "by label").read_text() == "text\n"
        assert "CLIENT-NO-MATCH" in alice.tsh("scp", f"{OWN}@env=none:x", str(goal), status=1).err
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
        f"mkdir {tmp_path}/there\ncd {tmp_path}/there\nlcd {tmp_path}\nput -Rp tree copy\nget -Rp copy back\n"
        "rename copy/run copy/ran\nln -s ran copy/soft\nln copy/ran copy/hard\nchmod 600 copy/ran\ndf .\n"
        "ls -la copy\nrm copy/hard\n"
    )  # fmt: skip
    stock(alice, "sftp", "-b", batch, TARGET)
    copied = sums(tmp_path / "there" / "copy")
    assert copied["large"] == sums(tree)["large"] == sums(tmp_path / "back")["large"]
    assert copied["ran"][0] == 0o600
    assert os.readlink(tmp_path / "there" / "copy" / "soft") == "ran"


@pytest.mark.parametrize("old", [[], ["-O"]], ids=["sftp", "the old protocol"])
def test_stock_scp_does_its_work(alice: User, tree: Path, tmp_path: Path, old: list[str], cluster: Cluster) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    if old:  # its protocol cannot say a name with a line break
        next(tree.rglob("new\n*")).unlink()
    stock(alice, "scp", "-q", *old, "-rp", tree, f"{TARGET}:{there}")
    stock(alice, "scp", "-q", *old, "-rp", f"{TARGET}:{there}", back)
    assert sums(there) == sums(tree) == sums(back)
    if old:
        found = cluster.some(str(there), event="scp", least=2)
        assert {(event["code"], event["action"]) for event in found} == {("T3004I", "download"), ("T3005I", "upload")}


@pytest.fixture
def keys(alice: User) -> tuple[str, str, str]:
    """Files of alice's key, certificate and known hosts."""
    home = alice.cluster.folder / f"home-{alice.name}"
    (key,) = [path for path in home.rglob(alice.name) if path.is_file()]
    (certificate,) = home.rglob("*-cert.pub")
    known = next(path for path in home.rglob("known_hosts") if path.parent != home)
    return str(key), str(certificate), str(known)


def test_asyncssh_copies(alice: User, keys: tuple[str, str, str], tree: Path, tmp_path: Path) -> None:
    key, certificate, known = keys

    async def main() -> None:
        connecting = asyncssh.connect(
            "127.0.0.1", alice.cluster.settings["ssh"], username=OWN, host_key_alias=HOST, config=None,
            known_hosts=known, client_keys=[(key, certificate)], agent_path=None,
        )  # fmt: skip
        async with connecting as connection, connection.start_sftp_client() as client:
            await client.put(str(tree), str(tmp_path / "there"), preserve=True, recurse=True, follow_symlinks=True)
            await client.get(str(tmp_path / "there"), str(tmp_path / "back"), preserve=True, recurse=True)
            assert (await client.statvfs("/")).bsize
            async with client.open(str(tmp_path / "far"), "wb") as file:
                await file.write(b"end", offset=5 * 1024**3)
            assert await client.getsize(str(tmp_path / "far")) == 5 * 1024**3 + 3

    asyncio.run(main())
    assert sums(tmp_path / "there") == sums(tree) == sums(tmp_path / "back")


def test_paramiko_copies(alice: User, keys: tuple[str, str, str], tree: Path, tmp_path: Path) -> None:
    """It asks for all of a file at once. It knows no certificates of hosts; another story looks at its keys."""
    mine = paramiko.Ed25519Key.from_private_key_file(keys[0])
    mine.load_certificate(keys[1])
    transport = paramiko.Transport(("127.0.0.1", int(str(alice.cluster.settings["ssh"]))))
    try:
        transport.connect(username=OWN, pkey=mine)
        client = paramiko.SFTPClient.from_transport(transport)
        assert client is not None
        client.put(str(tree / "large"), str(tmp_path / "there"))
        client.get(str(tmp_path / "there"), str(tmp_path / "back"))
        client.posix_rename(str(tmp_path / "there"), str(tmp_path / "moved"))
        with pytest.raises(FileNotFoundError):
            client.stat(str(tmp_path / "there"))
        assert "moved" in client.listdir(str(tmp_path))
    finally:
        transport.close()
    assert (tmp_path / "back").read_bytes() == (tree / "large").read_bytes() == (tmp_path / "moved").read_bytes()


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
    (summary,) = cluster.some(f"{tmp_path}/up", event="sftp_summary")
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
    cluster.some(id)
    assert cluster.some(user="bob", code="TS020E")
    assert cluster.some(user="bob", code="T3010E")


def test_a_cut_connection_leaves_no_half_file(alice: User, cluster: Cluster, tmp_path: Path) -> None:
    """The client is ended in the middle of an upload, and cannot come back: nothing stands under the name."""
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2_000_000_000)
    argv = [*cluster.wrapper, str(BIN / "tsh"), "scp", str(tmp_path / "large"), f"{TARGET}:{tmp_path}/goal"]
    environment = {**cluster.environment("alice"), "TELEPORT_NO_RESUME": "1"}
    with subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE) as copy:
        try:
            parts = tmp_path.glob
            wait_for("the beginning of the copy", lambda: any(part.stat().st_size for part in parts("goal*.part")))
        finally:
            copy.kill()
    assert not (tmp_path / "goal").exists()
    found = cluster.some(f"{tmp_path}/goal", event="sftp_summary")
    assert found[0]["bytes_written"] < 2_000_000_000


def test_a_lock_ends_a_copy_and_leaves_nothing(cluster: Cluster, tmp_path: Path) -> None:
    """The server ends the connection in the middle of a download: the error says so, and no half file is left."""
    carol = cluster.sign_up("carol", ["walker"], [OWN])
    with (tmp_path / "large").open("wb") as file:
        file.truncate(100_000_000_000)
    argv = [*cluster.wrapper, str(BIN / "tsh"), "scp", f"{TARGET}:{tmp_path}/large", str(tmp_path / "goal")]
    with subprocess.Popen(argv, env=cluster.environment("carol"), stderr=subprocess.PIPE, text=True) as copy:
        try:
            parts = tmp_path.glob
            wait_for("the beginning of the copy", lambda: any(part.stat().st_size for part in parts("goal*.part")))
            cluster.tctl("lock", f"--user={carol.name}", "--message=enough")
            assert copy.stderr is not None
            said = copy.stderr.read()
            assert copy.wait(60) == 1
        finally:
            copy.kill()
    assert "ERROR: " in said
    assert "fix:" in said
    assert [path.name for path in tmp_path.iterdir()] == ["large"]


@pytest.mark.parametrize(("upload", "number"), [(True, signal.SIGINT), (False, signal.SIGTERM)])
def test_whoever_stops_a_copy_leaves_nothing(
    alice: User, cluster: Cluster, tmp_path: Path, upload: bool, number: signal.Signals
) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(100_000_000_000)
    there, here = f"{TARGET}:{tmp_path}/", f"{tmp_path}/"
    words = [f"{here}large", f"{there}goal"] if upload else [f"{there}large", f"{here}goal"]
    argv = [*cluster.wrapper, str(BIN / "tsh"), "scp", *words]
    with subprocess.Popen(argv, env=cluster.environment("alice"), stderr=subprocess.PIPE) as copy:
        try:
            parts = tmp_path.glob
            wait_for("the beginning of the copy", lambda: any(part.stat().st_size for part in parts("goal*.part")))
            copy.send_signal(number)
            assert copy.wait(60) == 130
        finally:
            copy.kill()
    wait_for("the removal of the part", lambda: [path.name for path in tmp_path.iterdir()] == ["large"])
