"""Recording: sessions are recorded at the node, stored at the Auth Service, and listed and read by rule."""

from __future__ import annotations

import contextlib
import json
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from teleport.api.client import AuthClient
from teleport.api.recording_calls import RecordingCalls
from teleport.api.recording_messages import Recording, RecordingQuery
from teleport.wire import recording
from teleport.wire.recording_chunk import MAGIC
from tests.support.cluster import OWN, Cluster, User
from tests.support.processes import wait_for


@pytest.mark.config("auth_service.session_recording", "auth_service.proxy_checks_host_keys")
def test_the_configuration_file_turns_recording_off_and_tctl_cannot_change_it(tmp_path: Path) -> None:
    with Cluster(
        tmp_path, auth_service="  session_recording: off\n  proxy_checks_host_keys: no\n"
    ).running() as cluster:
        found = cluster.read("session_recording_config", "session-recording-config")
        assert (found["spec"]["mode"], found["spec"]["proxy_checks_host_keys"]) == ("off", False)
        assert found["metadata"]["labels"]["teleport.dev/origin"] == "config-file"
        assert len(found["status"]["keys"]) == 1
        (tmp_path / "on.yaml").write_text(
            "kind: session_recording_config\nversion: v2\nmetadata: {name: session-recording-config}\n"
            "spec: {mode: node}\n"
        )
        done = cluster.tctl("create", "-f", str(tmp_path / "on.yaml"), status=1)
        assert "managed by static configuration" in done.err


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("recording")).running() as running:
        running.role("developer", logins=[OWN])
        running.role("auditing", rules=[{"resources": ["session"], "verbs": ["list", "read"]}])
        yield running


@pytest.fixture(scope="module")
def alice(cluster: Cluster) -> User:
    return cluster.sign_up("alice", ["developer"])


def recorded(cluster: Cluster, text: str) -> Recording:
    """Return the recording of the session that ran `text`, once it is stored."""

    async def newest(client: AuthClient) -> list[Recording]:
        return [entry async for entry in RecordingCalls(client).list(RecordingQuery())]

    found: list[Recording] = []

    def look() -> bool:
        found[:] = [entry for entry in cluster.ask(newest) if text in entry.command]
        return bool(found)

    wait_for(f"the recording of {text}", look)
    return found[0]


def frames(cluster: Cluster, session_id: str) -> list[recording.Frame]:
    async def read(client: AuthClient) -> bytes:
        return b"".join([part.frames async for part in RecordingCalls(client).frames(session_id)])

    return list(recording.decode(cluster.ask(read)))


def test_a_session_that_waits_for_the_auth_service(cluster: Cluster, alice: User) -> None:
    """Another mode holds for the next session; with `node-sync` the recording is there before the session is over."""
    mode = "kind: session_recording_config\nversion: v2\nmetadata: {name: session-recording-config}\nspec: {mode: %s}\n"
    cluster.tctl("create", "-f", stdin=mode % "node-sync")
    try:

        def waits() -> bool:
            alice.ssh("echo waiting")
            (*_, last) = cluster.some("echo waiting", event="session.start")
            return bool(last["session_recording"] == "node-sync")

        wait_for("the new mode", waits, seconds=60)
        with alice.session("echo open; echo in-sync; exec cat"):
            start = cluster.event("in-sync", event="session.start")
            assert (cluster.data / "log" / "records" / f"{start['sid']}.rec").stat().st_size > 0
        assert recorded(cluster, "in-sync").session_id == start["sid"]
    finally:
        cluster.tctl("create", "-f", stdin=mode % "node")


def test_what_a_session_showed_is_stored_sealed_and_can_be_read(cluster: Cluster, alice: User) -> None:
    done = alice.ssh("echo a very secret word; echo and a warning >&2")
    assert done.out == "a very secret word\n"
    found = recorded(cluster, "very secret")
    assert (found.user, found.login, found.problem, found.interactive) == ("alice", OWN, "", False)
    shown = frames(cluster, found.session_id)
    assert b"".join(f.data for f in shown if f.kind == recording.OUTPUT) == b"a very secret word\n"
    assert b"".join(f.data for f in shown if f.kind == recording.ERROR) == b"and a warning\n"
    assert shown[-1].kind == recording.END
    stored = cluster.data / "log" / "records" / f"{found.session_id}.rec"
    assert b"secret" not in stored.read_bytes()
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    event = cluster.event(sid=found.session_id, event="session.upload")
    assert event["digest"] == stored.read_bytes()[-32:].hex()
    cluster.some(session_id=found.session_id, event="session.recording.access")
    spools = cluster.data / "log" / "upload"
    wait_for("empty spools", lambda: not [path for path in spools.rglob("*") if path.is_file() and holds(path)])


def holds(path: Path) -> bool:
    """Whether a file of a spool has something in it: the segment for the next recording is a head and zeros."""
    with contextlib.suppress(FileNotFoundError):
        return bool(path.read_bytes()[8:].strip(b"\0"))
    return False


def test_a_killed_process_loses_no_more_than_was_not_acknowledged(cluster: Cluster, alice: User) -> None:
    session = subprocess.Popen(
        alice.ssh_argv("echo before the crash; exec sleep 600"), env=cluster.environment("alice"),
        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert session.stdout is not None
        assert session.stdout.readline() == b"before the crash\n"
        brief = cluster.data / "log" / "spool" / "events" / "node"
        wait_for("a durable chunk", lambda: sum(f.read_bytes().count(MAGIC) for f in brief.glob("*.journal")) > 1)
        cluster.kill()
    finally:
        session.kill()
        session.wait()
        session.stdout.close()
    cluster.start()
    found = recorded(cluster, "before the crash")
    assert "end of the session was not recorded" in found.problem
    shown = frames(cluster, found.session_id)
    assert b"".join(f.data for f in shown if f.kind == recording.OUTPUT) == b"before the crash\n"


def test_a_session_that_was_seen_is_in_the_audit_log_after_a_kill(cluster: Cluster, alice: User) -> None:
    """Its start waits on the node's disk before its client hears of it, and is sent once by the next run."""
    for number in range(3):
        session = subprocess.Popen(
            alice.ssh_argv(f"echo seen-{number}; exec sleep 600"), env=cluster.environment("alice"),
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            assert session.stdout is not None
            assert session.stdout.readline() == f"seen-{number}\n".encode()
            cluster.kill()
        finally:
            session.kill()
            session.wait()
            session.stdout.close()
        cluster.start()
        cluster.event(f"seen-{number}", event="session.start")


def test_keys_are_rotated_and_old_recordings_stay_readable(cluster: Cluster, alice: User) -> None:
    alice.ssh("echo with the old key")
    old = recorded(cluster, "old key")
    before = json.loads(cluster.tctl("recordings", "encryption", "status", "--format=json").out)
    cluster.tctl("recordings", "encryption", "rotate")
    after = json.loads(cluster.tctl("recordings", "encryption", "status", "--format=json").out)
    assert [key["active"] for key in after] == [True, *[False] * len(before)]
    alice.ssh("echo with the new key")
    new = recorded(cluster, "new key")
    for entry in (old, new):
        assert frames(cluster, entry.session_id)[-1].kind == recording.END


def test_tctl_lists_and_downloads(cluster: Cluster, alice: User, tmp_path: Path) -> None:
    alice.ssh("echo for the shelf")
    found = recorded(cluster, "for the shelf")
    assert found.session_id in cluster.tctl("recordings", "ls").out
    listed = json.loads(cluster.tctl("recordings", "ls", "--format=json").out)
    assert found.session_id in {entry["session_id"] for entry in listed}
    done = cluster.tctl("recordings", "download", found.session_id, "-o", str(tmp_path / "new"))
    (file,) = (tmp_path / "new").iterdir()
    assert str(file) in done.out
    assert b"for the shelf" in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_who_may_not_read_a_recording_gets_the_id_of_the_decision(cluster: Cluster, alice: User) -> None:
    alice.ssh("echo not for everyone")
    found = recorded(cluster, "not for everyone")
    done = alice.tctl("recordings", "download", found.session_id, status=1)
    assert re.search(r"[0-9a-z]{26}", done.err)
    assert found.session_id in cluster.sign_up("olga", ["auditing"]).tctl("recordings", "ls").out
