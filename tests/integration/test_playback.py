"""Playback on a real cluster: a shell at a terminal is recorded, found by what stood on its screen, and watched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cluster import BIN, NAME, NODE, OWN, Cluster, User
from tests.support.processes import wait_for
from tests.support.terminal import Terminal

HOST = f"{NODE}.{NAME}"
OWN_SESSIONS = {"resources": ["session"], "verbs": ["list", "read"],
                "where": "contains(session.participants, user.metadata.name)"}  # fmt: skip


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("playback")).running() as running:
        running.role("developer", logins=[OWN], rules=[OWN_SESSIONS])
        yield running


@pytest.fixture(scope="module")
def alice(cluster: Cluster) -> User:
    return cluster.sign_up("alice", ["developer"])


@pytest.fixture(scope="module")
def bob(cluster: Cluster) -> User:
    return cluster.sign_up("bob", ["developer"])


def hits(user: User, text: str) -> list[dict[str, Any]]:
    found = json.loads(user.tsh("recordings", "search", text, "--format=json").out)
    assert isinstance(found, list)
    return found


@pytest.fixture(scope="module")
def hit(cluster: Cluster, alice: User) -> dict[str, Any]:
    """Where a text stood that alice's session showed: it is drawn in two halves, so that no argument names it."""
    command = "printf 'one '; printf '\\033[31mred\\033[0m 빨강\\r\\n'; printf '\\033]52;c;eA==\\007\\033[6nlast'"
    argv = [str(BIN / "tsh"), "ssh", "-t", f"{OWN}@{HOST}", command]
    with Terminal(argv, cluster.environment("alice", TERM="xterm")):
        pass
    found: list[dict[str, Any]] = []

    def look() -> bool:
        found[:] = hits(alice, "ONE RED 빨강")
        return bool(found)

    wait_for("the index of the recording", look, seconds=60.0)
    return found[0]


def test_a_session_is_found_by_what_stood_on_its_screen(cluster: Cluster, alice: User, hit: dict[str, Any]) -> None:
    assert hit["line"] == "one red 빨강"
    listed = json.loads(alice.tsh("recordings", "ls", "--format=json").out)
    assert hit["session_id"] in [entry["session_id"] for entry in listed]
    cluster.some(event="session.recording.search", user="alice")
    index = cluster.data / "log" / "records" / f"{hit['session_id']}.idx"
    assert b"red" not in index.read_bytes()
    assert index.stat().st_mode & 0o777 == 0o600


def test_nobody_finds_what_others_did(bob: User, hit: dict[str, Any]) -> None:
    assert hits(bob, "one red") == []
    assert json.loads(bob.tsh("recordings", "ls", "--format=json").out) == []
    assert "not found" in bob.tsh("play", hit["session_id"], "--format=text", status=1).err


def test_it_is_watched_from_that_moment_on(cluster: Cluster, hit: dict[str, Any]) -> None:
    words = [*hit["play"].split()[1:], "--speed=10x"]
    with Terminal([str(BIN / "tsh"), *words], cluster.environment("alice", TERM="xterm")) as screen:
        screen.see("red")
        shown = screen.rest()
        assert screen.modes_now() == screen.modes
    assert "last" in shown
    assert "]52" not in shown
    assert "\x1b[6n" not in shown


def test_it_is_downloaded_and_read_offline(alice: User, hit: dict[str, Any], tmp_path: Path) -> None:
    alice.tsh("recordings", "download", hit["session_id"], "-o", str(tmp_path))
    (file,) = tmp_path.iterdir()
    assert alice.tsh("play", str(file), "-f", "text").out.splitlines()[:2] == ["one red 빨강", "last"]
