"""Recording at the proxy: connections to the cluster's own nodes end at the proxy, which records them and goes on."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import NAME, NODE, OWN, Cluster, User, decision_in
from tests.support.processes import wait_for
from tests.support.terminal_story import SHELL, a_shell

HOST = f"{NODE}.{NAME}"
OWN_SESSIONS = {"resources": ["session"], "verbs": ["list", "read"],
                "where": "contains(session.participants, user.metadata.name)"}  # fmt: skip
MODE = "kind: session_recording_config\nversion: v2\nmetadata: {name: session-recording-config}\nspec: {mode: %s}\n"


class Stage:
    """A cluster that records at the proxy, and somebody who uses it."""

    def __init__(self, cluster: Cluster, alice: User) -> None:
        self.cluster = cluster
        self.alice = alice
        self.proxy = (cluster.data / "host_uuid").read_text().strip()

    def config(self, user: str) -> str:
        """Return a configuration of `ssh` that goes through the proxy."""
        path = self.cluster.folder / f"through-{user}"
        if not path.exists():
            whole = (self.cluster.folder / f"ssh-config-{user}").read_text()
            path.write_text(whole.split("\n\n", 1)[1])  # without the direct way
        return str(path)

    def argv(self, *words: str, user: str = "alice", login: str = OWN) -> list[str]:
        """Return the command line of stock `ssh`; the last word is the command."""
        return ["ssh", "-F", self.config(user), *words[:-1], f"{login}@{HOST}", *words[-1:]]

    def ssh(self, *words: str, stdin: str = "", status: int | None = 0, **who: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the node with stock `ssh` through the proxy."""
        done = subprocess.run(
            self.argv(*words, **who), input=stdin, capture_output=True, text=True, timeout=90,
            env=self.cluster.environment(who.get("user", "alice")),
        )  # fmt: skip
        assert status is None or done.returncode == status, f"{done}\n{self.cluster.log[-3000:]}"
        return done

    def told(self, text: str, event: str) -> list[dict[str, Any]]:
        """Return events of one kind about a command, once there is one."""
        wait_for(f"{event} of {text}", lambda: self.cluster.events(text, event=event))
        return self.cluster.events(text, event=event)

    def recordings(self, text: str) -> list[dict[str, Any]]:
        """Return alice's recordings of a command, once there is one."""
        found: list[dict[str, Any]] = []

        def look() -> bool:
            listed = json.loads(self.alice.tsh("recordings", "ls", "--format=json").out)
            found[:] = [entry for entry in listed if text in json.dumps(entry)]
            return bool(found)

        wait_for(f"the recording of {text}", look, seconds=60)
        return found


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    cluster = Cluster(tmp_path_factory.mktemp("at-proxy"))
    with cluster.running():
        cluster.tctl("create", "-f", stdin=MODE % "proxy")
        cluster.role("developer", logins=[OWN], rules=[OWN_SESSIONS])
        made = Stage(cluster, cluster.sign_up("alice", ["developer"]))

        def ended() -> bool:
            made.ssh("echo first")
            return any("forwarded_by" in event for event in cluster.events("echo first", event="session.start"))

        wait_for("the mode at the proxy", ended, seconds=60)
        yield made


def test_a_command_is_one_session_recorded_by_the_proxy(stage: Stage) -> None:
    command = "echo hello-there; echo wrong >&2; cat; echo $SSH_SESSION_ID; exit 7"
    done = stage.ssh(command, stdin="input\n", status=7)
    *lines, shown = done.stdout.splitlines()
    assert (lines, done.stderr) == (["hello-there", "input"], "wrong\n")
    (kept,) = stage.recordings("hello-there")
    (start,) = stage.told("hello-there", "session.start")
    assert (start["forwarded_by"], start["session_recording"]) == (stage.proxy, "proxy")
    assert kept["session_id"] == start["sid"] == shown
    assert stage.alice.tsh("play", shown, "--format=text").out.startswith("hello-there")
    (ran,) = stage.told("hello-there", "exec")
    assert (ran["exitCode"], ran["login"], ran["user"], ran["forwarded_by"]) == ("7", OWN, "alice", stage.proxy)
    for event in ("session.end", "session.upload"):
        wait_for(event, lambda event=event: stage.cluster.events(event=event, sid=shown))  # type: ignore[misc]
        stage.cluster.event(event=event, sid=shown)
    assert len(stage.told("hello-there", "session.end")) == 1
    made = stage.cluster.events(event="cert.create", target=start["server_id"])
    assert made[0]["identity"]["logins"] == [OWN]


def test_a_shell_at_a_terminal_is_found_by_its_text(stage: Stage) -> None:
    def listed() -> None:
        assert len(json.loads(stage.alice.tsh("sessions", "ls", "--format=json").out)) == 1

    a_shell(stage.alice, stage.argv("-tt", SHELL), listed)


@pytest.mark.parametrize("how", [(), ("-O",)], ids=["sftp", "scp"])
def test_files_are_copied_and_told_once(stage: Stage, tmp_path: Path, how: tuple[str, ...]) -> None:
    data, there = os.urandom(1 << 20), tmp_path / "there"
    (tmp_path / "here").write_bytes(data)
    argv = ["scp", *how, "-q", "-F", stage.config("alice"), f"{tmp_path}/here", f"{OWN}@{HOST}:{there}"]
    subprocess.run(argv, check=True, env=stage.cluster.environment("alice"), timeout=90)
    assert there.read_bytes() == data
    told = stage.cluster.some(str(there))
    assert {event["forwarded_by"] for event in told} == {stage.proxy}
    assert len([event for event in told if event["event"] == "session.start"]) <= 1


def test_tsh_goes_this_way_too(stage: Stage, tmp_path: Path) -> None:
    done = stage.alice.tsh("ssh", f"{OWN}@{NODE}", "cat; echo by-tsh; exit 3", stdin="typed\n", status=3)
    assert done.out == "typed\nby-tsh\n"
    (start,) = stage.told("by-tsh", "session.start")
    assert start["forwarded_by"] == stage.proxy
    (tmp_path / "here").write_text("by tsh scp")
    stage.alice.tsh("scp", f"{tmp_path}/here", f"{OWN}@{NODE}:{tmp_path}/there")
    assert (tmp_path / "there").read_text() == "by tsh scp"


def test_a_local_port_is_led_to_the_node(stage: Stage) -> None:
    said = stage.ssh("-W", f"127.0.0.1:{stage.cluster.settings['ssh']}", "true", status=None)
    assert "SSH-2.0-" in said.stdout, said
    told = stage.cluster.some(event="port", success=True, code="T3003I")
    assert len(told) == len({json.dumps(event["time"]) for event in told})
    assert {event["forwarded_by"] for event in told} == {stage.proxy}


def test_a_node_that_is_reached_directly_records_by_itself(stage: Stage) -> None:
    assert stage.alice.ssh("echo straight-on").out == "straight-on\n"
    (kept,) = stage.recordings("straight-on")
    (start,) = stage.told("straight-on", "session.start")
    assert (start["sid"], start["session_recording"]) == (kept["session_id"], "node")
    assert start.get("forwarded_by", "") == ""


def test_a_login_that_no_role_allows(stage: Stage) -> None:
    done = stage.ssh("true", login="nobody", status=255)
    assert stage.cluster.tctl("access", "explain", decision_in(done.stderr)).out


def test_a_lock_cuts_what_runs(stage: Stage) -> None:
    stage.cluster.sign_up("dave", ["developer"])
    argv = stage.argv("echo open; exec cat", user="dave")
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=stage.cluster.environment("dave")) as client:  # fmt: skip
        try:
            assert client.stdout is not None
            assert client.stderr is not None
            assert client.stdout.readline() == "open\n"
            stage.cluster.tctl("lock", "--user=dave", "--message=gone fishing")
            assert client.wait(60) == 255
            assert "gone fishing" in client.stderr.read()
        finally:
            client.kill()
    cut = "client.disconnect"
    stage.cluster.event(event=cut, user="dave")


def test_a_strict_session_ends_when_the_auth_service_cannot_store_it(stage: Stage) -> None:
    cluster = stage.cluster
    cluster.role("careful", logins=[OWN])
    role = cluster.read("role", "careful")
    cluster.create({**role, "spec": {**role["spec"], "options": {"record_session": {"ssh": "strict"}}}})
    cluster.sign_up("erin", ["careful"])
    cluster.tctl("create", "-f", stdin=MODE % "proxy-sync")
    records = cluster.data / "log" / "records"
    away = records.with_name("records-away")
    try:

        def waits() -> bool:
            stage.ssh("echo sync-now", user="erin")
            (*_, last) = cluster.some("sync-now", event="session.start")
            return bool(last["session_recording"] == "proxy-sync")

        wait_for("the new mode", waits, seconds=60)
        argv = stage.argv("echo open; while read line; do echo $line; done", user="erin")
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=cluster.environment("erin")) as client:  # fmt: skip
            try:
                assert client.stdin is not None
                assert client.stdout is not None
                assert client.stderr is not None
                assert client.stdout.readline() == "open\n"
                records.rename(away)
                records.write_text("in the way")
                client.stdin.write("more\n")
                client.stdin.flush()
                assert client.wait(60) == 255
                assert "REC-LOST" in client.stderr.read()
            finally:
                client.kill()
        said = stage.ssh("echo never", user="erin", status=255)
        assert (said.stdout, "REC-IMPOSSIBLE" in said.stderr) == ("", True)
        cluster.some(event="session.recording.failed", user="erin")
    finally:
        if away.exists():
            records.unlink()
            away.rename(records)
        cluster.tctl("create", "-f", stdin=MODE % "proxy")
