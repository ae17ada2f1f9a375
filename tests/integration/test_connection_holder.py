"""Commands of `tsh ssh` share a connection that a process of the user holds: who may use it, and what ends it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster import BIN, NAME, NODE, OWN, Cluster, Done, User
from tests.support.processes import wait_for

HOST = f"{NODE}.{NAME}"


class Person:
    """Somebody whose connections are held."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.user: User = cluster.sign_up(name, ["walker"], [OWN])
        self.environment = cluster.environment(name, XDG_RUNTIME_DIR="")
        del self.environment["TELEPORT_NO_HOLDER"]
        self.folder = Path(self.environment["TELEPORT_HOME"], "run")

    def tsh(self, *words: str, stdin: str = "", status: int | None = 0) -> Done:
        return self.cluster.run(str(BIN / "tsh"), *words, stdin=stdin, status=status, env=self.environment)

    def ssh(self, command: str, *, stdin: str = "", status: int | None = 0) -> Done:
        return self.tsh("ssh", f"{OWN}@{HOST}", command, stdin=stdin, status=status)

    @property
    def sockets(self) -> list[Path]:
        return sorted(self.folder.glob("ssh-*")) if self.folder.exists() else []

    def holder(self) -> int:
        """Return the id of the process that holds the one connection."""
        (path,) = self.sockets
        inode = next(
            line.split()[6] for line in Path("/proc/net/unix").read_text().splitlines() if str(path.name) in line
        )
        for process in Path("/proc").glob("[0-9]*"):
            try:
                links = [os.readlink(link) for link in (process / "fd").iterdir()]
            except OSError:
                continue
            if f"socket:[{inode}]" in links:
                return int(process.name)
        raise AssertionError("nobody listens")

    def connections(self) -> int:
        """How often this person has signed in to the node."""
        return len({event["sid"] for event in self.events("session.start")})

    def events(self, kind: str) -> list[dict[str, object]]:
        return self.cluster.events(event=kind, user=self.user.name)

    def end(self) -> None:
        for path in self.sockets:
            if path.exists():
                os.kill(self.holder(), signal.SIGTERM)
                path.unlink(missing_ok=True)


@pytest.fixture
def anna(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Person]:
    person = Person(cluster, f"anna{abs(hash(request.node.name)) % 10**6}")
    yield person
    person.end()


def test_commands_share_a_connection_and_are_decided_and_recorded_one_by_one(cluster: Cluster, anna: Person) -> None:
    assert anna.ssh("echo one; exit 3", status=3).out == "one\n"
    held = wait_for("the holder", lambda: anna.sockets)
    process = anna.holder()
    done = anna.ssh("cat; echo wrong >&2; exit 4", stdin="two\n", status=4)
    assert (done.out, done.err) == ("two\n", "wrong\n")
    assert anna.ssh("kill -TERM $$", status=143).out == ""
    assert (anna.sockets, anna.holder()) == (held, process), "the same process took them"
    # Every use is a session of its own, with its own decision and end.
    wait_for("the records", lambda: len(anna.events("exec")) >= 3)
    assert anna.folder.stat().st_mode & 0o777 == 0o700
    # What the process has of whoever started it: nothing.
    assert {os.readlink(f"/proc/{process}/fd/{number}") for number in (0, 1, 2)} == {"/dev/null"}
    assert os.readlink(f"/proc/{process}/cwd") == "/"


def test_twenty_at_a_time(anna: Person) -> None:
    anna.ssh("true")
    wait_for("the holder", lambda: anna.sockets)
    found: list[Done] = []

    def one(number: int) -> None:
        found.append(anna.ssh(f"cat; echo {number}; exit {number}", stdin="x" * 100_000, status=number))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(done.out for done in found) == sorted("x" * 100_000 + f"{number}\n" for number in range(20))


def test_one_call_may_have_its_own(anna: Person) -> None:
    anna.tsh("ssh", "--no-holder", f"{OWN}@{HOST}", "true")
    environment = {**anna.environment, "TELEPORT_NO_HOLDER": "1"}
    anna.cluster.run(str(BIN / "tsh"), "ssh", f"{OWN}@{HOST}", "true", env=environment)
    assert anna.sockets == []


def test_sign_out_ends_it_and_what_runs_on_it(anna: Person) -> None:
    anna.ssh("true")
    wait_for("the holder", lambda: anna.sockets)
    process = anna.holder()
    marker = anna.folder.parent.parent / "running"
    argv = [str(BIN / "tsh"), "ssh", f"{OWN}@{HOST}", f"touch {marker}; exec sleep 1000"]
    with subprocess.Popen(argv, env=anna.environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as running:
        wait_for("the command", marker.exists)
        anna.tsh("logout")
        _, err = running.communicate(timeout=30)
        assert running.returncode == 1
        assert b"CLIENT-HOLDER" in err
    marker.unlink()
    wait_for("its end", lambda: not Path(f"/proc/{process}").exists() or _is_zombie(process))
    assert anna.sockets == []
    assert "CLIENT-NOT-LOGGED-IN" in anna.ssh("true", status=1).err


def _is_zombie(process: int) -> bool:
    try:
        return ") Z " in Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return True


def test_a_lock_ends_the_connection_and_the_next_call_says_why(cluster: Cluster, anna: Person) -> None:
    anna.ssh("true")
    wait_for("the holder", lambda: anna.sockets)
    marker = anna.folder.parent.parent / "locked"
    argv = [str(BIN / "tsh"), "ssh", f"{OWN}@{HOST}", f"touch {marker}; exec sleep 1000"]
    with subprocess.Popen(argv, env=anna.environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as running:
        wait_for("the command", marker.exists)
        cluster.tctl("lock", f"--user={anna.user.name}", "--message=go home", "--ttl=1h")
        _, err = running.communicate(timeout=30)
        assert running.returncode in (1, 255)
        assert b"go home" in err
    wait_for("its end", lambda: anna.sockets == [])
    assert "POL-LOCKED" in anna.ssh("true", status=1).err


def test_one_that_was_killed_in_the_middle_is_said_and_the_next_call_works(anna: Person) -> None:
    anna.ssh("true")
    wait_for("the holder", lambda: anna.sockets)
    marker = anna.folder.parent.parent / "killed"
    argv = [str(BIN / "tsh"), "ssh", f"{OWN}@{HOST}", f"touch {marker}; exec sleep 1000"]
    with subprocess.Popen(argv, env=anna.environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as running:
        wait_for("the command", marker.exists)
        os.kill(anna.holder(), signal.SIGKILL)
        _, err = running.communicate(timeout=30)
        assert running.returncode == 1
        assert b"CLIENT-HOLDER" in err
    assert len(anna.sockets) == 1, "what it left is in the way of nobody"
    assert anna.ssh("echo on").out == "on\n"
    wait_for("the next holder", lambda: anna.ssh("echo on").out == "on\n" and anna.holder())


def test_a_caller_that_leaves_ends_its_command_alone(anna: Person) -> None:
    anna.ssh("true")
    wait_for("the holder", lambda: anna.sockets)
    process = anna.holder()
    marker = anna.folder.parent.parent / "left"
    argv = [str(BIN / "tsh"), "ssh", f"{OWN}@{HOST}", f"echo $$ > {marker}; exec sleep 1000"]
    with subprocess.Popen(argv, env=anna.environment, stdin=subprocess.DEVNULL) as running:
        pid = wait_for("the command", lambda: marker.exists() and marker.read_text().strip())
        running.kill()
    wait_for("the end of the command", lambda: not Path(f"/proc/{pid}").exists())
    assert anna.ssh("echo still").out == "still\n"
    assert anna.holder() == process


def test_nobody_else_may_see_the_folder(anna: Person) -> None:
    """A folder that others may enter is not used: neither for a call nor for a new holder."""
    anna.ssh("true")
    wait_for("the holder", lambda: anna.sockets)
    process = anna.holder()
    anna.folder.chmod(0o755)
    try:
        assert anna.ssh("echo alone").out == "alone\n"
    finally:
        anna.folder.chmod(0o700)
    assert anna.holder() == process


def test_another_cluster_has_its_own(anna: Person, tmp_path: Path) -> None:
    """Two homes, as two clusters have them, share a folder of sockets and nothing else."""
    runtime = Path("/tmp") / f"tsh-{os.getpid()}"
    runtime.mkdir(mode=0o700)
    bert = Person(anna.cluster, f"bert{os.getpid()}")
    try:
        for person in (anna, bert):
            person.environment["XDG_RUNTIME_DIR"] = str(runtime)
            person.folder = runtime / "teleport"
            assert person.ssh("echo $SSH_TELEPORT_USER").out == f"{person.user.name}\n"
        wait_for("both", lambda: len(anna.sockets) == 2)
        for person in (bert, anna):
            assert person.ssh("echo $SSH_TELEPORT_USER").out == f"{person.user.name}\n"
        bert.tsh("logout")
        assert len(anna.sockets) == 1
        assert anna.ssh("echo $SSH_TELEPORT_USER").out == f"{anna.user.name}\n"
        anna.tsh("logout")
        assert anna.sockets == []
    finally:
        shutil.rmtree(runtime)
