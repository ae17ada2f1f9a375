"""Recorded shells on a real node while its disk fills up or breaks, or while programs are killed: what the user saw,
what was acknowledged, what was lost, what the audit log says. `pytest -s` prints the table.

The disk of the recordings is failed by the preloaded library (`tests/faults/fault.c`): no mount and no root needed.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from teleport.api.client import AuthClient
from teleport.api.recording_calls import RecordingCalls
from teleport.api.recording_messages import Recording, RecordingQuery
from teleport.wire import recording
from teleport.wire.recording_chunk import scan
from tests.faults.compiler import NEEDS_COMPILER
from tests.faults.library import DiskSwitch
from tests.support.cluster import NAME, NODE, OWN, Cluster, User
from tests.support.processes import wait_for
from tests.support.terminal import Terminal

pytestmark = NEEDS_COMPILER
TICKS = "echo {mark}; i=0; while :; do i=$((i+1)); echo tick $i; test -e {stop} && exit 0; sleep 0.02; done"
"""A shell that prints numbered lines until a file appears."""
CHANGES = ("write", "create", "sync", "truncate")
SAFE = 1024 * 1024
"""Bytes of output that may be on the way to the disk."""


@dataclass
class Row:
    """A line of the table."""

    case: str
    saw: str
    acknowledged: int = 0
    lost: int = 0
    """Chunks that were acknowledged and are not there."""
    rest: int = 0
    """Lines that the user saw and that were not acknowledged yet, or no longer recorded."""
    audit: str = ""

    def __str__(self) -> str:
        return (
            f"{self.case}\n  the user saw: {self.saw}\n  acknowledged: {self.acknowledged} chunks, of these lost: "
            f"{self.lost}; lines seen and not recorded: {self.rest}\n  audit log: {self.audit}"
        )


class World(Cluster):
    """A cluster whose recordings are on a disk that can be failed."""

    def __init__(self, folder: Path, below: str = "log") -> None:
        """`below` is the part of the data directory that stands on that disk."""
        super().__init__(folder)
        self.disk = DiskSwitch(self.data / below, folder / "disk")
        self.table: list[Row] = []
        self._starting = False

    def environment(self, home: str = "nobody", **more: str) -> dict[str, str]:
        return super().environment(home, **(self.disk.environment if self._starting else {}), **more)

    def start(self, *options: str) -> None:
        self._starting = True
        try:
            super().start(*options)
        finally:
            self._starting = False

    # -- what was recorded

    @property
    def spool(self) -> Path:
        return self.data / "log" / "upload" / "streaming" / "default"

    def durable(self, sid: str) -> int:
        """Return how many chunks of a running session are in the spool."""
        file = self.spool / f"{sid}.rec"
        return len(list(scan(file.read_bytes()))) if file.exists() else 0

    def recording(self, sid: str) -> tuple[Recording, list[recording.Frame]]:
        """Return a recording, once it is stored, and its frames."""
        found: list[Recording] = []

        async def listed(client: AuthClient) -> list[Recording]:
            return [entry async for entry in RecordingCalls(client).list(RecordingQuery())]

        async def frames(client: AuthClient) -> bytes:
            return b"".join([part.frames async for part in RecordingCalls(client).frames(sid)])

        def stored() -> bool:
            found[:] = [entry for entry in self.ask(listed) if entry.session_id == sid]
            return bool(found)

        wait_for(f"the recording of {sid}", stored, seconds=90)
        return found[0], list(recording.decode(self.ask(frames)))


class Shell:
    """A user at a terminal of the node, in a recorded session."""

    def __init__(self, world: World, user: User, mark: str) -> None:
        self.world, self.mark = world, mark
        self.stop = world.folder / f"stop-{mark}"
        command = TICKS.format(mark=mark, stop=self.stop)
        self.argv = [*user.ssh_argv(command)[:-2], "-tt", f"{OWN}@{NODE}.{NAME}", command]
        self.environment = world.environment(user.name)
        self.sid = ""

    def play(self, story: Callable[[Terminal], Any], *, status: int) -> str:
        """Run the session up to some durable chunks, then the story; return everything that was shown."""
        with Terminal(self.argv, self.environment, status=status) as terminal:
            terminal.see(f"{self.mark}\r\n")
            (started,) = self._started()
            self.sid = started["sid"]
            wait_for("durable chunks", lambda: self.world.durable(self.sid) > 1, seconds=60)
            story(terminal)
            return terminal.rest()

    def _started(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []

        def there() -> bool:
            events = self.world.events(self.mark, event="session.start")
            found[:] = [event for event in events if self.mark in str(event.get("initial_command"))]
            return bool(found)

        wait_for("the event of the session", there, seconds=60)
        return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("faults")).running() as running:
        assert isinstance(running, World)
        for name, policy in (("strictly", "strict"), ("kindly", "best_effort")):
            running.create({
                "kind": "role", "version": "v7", "metadata": {"name": name},
                "spec": {"options": {"record_session": {"ssh": policy}},
                         "allow": {"logins": [OWN], "node_labels": {"env": ["dev"]}}},
            })  # fmt: skip
        yield running
    show(running)


def show(world: World) -> None:
    """Print the table."""
    sys.stdout.write("\n" + "\n".join(map(str, world.table)) + "\n")


@pytest.fixture(scope="module")
def users(world: World) -> dict[str, User]:
    return {"strict": world.sign_up("sara", ["strictly"]), "best_effort": world.sign_up("bob", ["kindly"])}


def last_words(shown: str) -> str:
    """Return what was said to the user beside the output of the shell."""
    lines = [line.strip() for line in shown.replace("\r", "\n").splitlines()]
    return " / ".join(line for line in lines if line and not re.fullmatch(r"tick \d*|mark-\S+|tick|tic|ti|t", line))


def judge(world: World, case: str, shell: Shell, shown: str, acknowledged: int, audit: str) -> tuple[Recording, str]:
    """Look at what was kept: no acknowledged chunk is lost, and the lines have no gap."""
    found, frames = world.recording(shell.sid)
    output = b"".join(frame.data for frame in frames if frame.kind == recording.OUTPUT).decode()
    kept = re.findall(r"tick (\d+)\r\n", output)
    assert kept == [str(number) for number in range(1, len(kept) + 1)]
    chunks = len(list(scan((world.data / "log" / "records" / f"{shell.sid}.rec").read_bytes())))
    seen = re.findall(r"tick (\d+)\r\n", shown)
    rest = seen[len(kept) :]
    assert len("".join(f"tick {number}\r\n" for number in rest)) < SAFE
    said = last_words(shown)
    world.table.append(Row(case, said, acknowledged, max(0, acknowledged - chunks), len(rest), audit))
    assert chunks >= acknowledged
    return found, said


def failures(world: World, sid: str) -> list[dict[str, Any]]:
    """Return the events that say that a session was not recorded, once there are some."""
    wait_for("the event", lambda: bool(world.events(event="session.recording.failed", sid=sid)), seconds=60)
    return world.events(event="session.recording.failed", sid=sid)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=["full", "broken"])
def test_a_disk_fails_under_a_session_that_must_be_recorded(
    world: World, users: dict[str, User], number: int
) -> None:  # fmt: skip
    shell = Shell(world, users["strict"], f"mark-strict-{number}")
    durable = 0

    def story(terminal: Terminal) -> None:
        nonlocal durable
        durable = world.durable(shell.sid)
        world.disk.fail(number, *CHANGES)
        terminal.see("this session is ended, because it can no longer be recorded")
        world.disk.heal()

    try:
        shown = shell.play(story, status=255)
    finally:
        world.disk.heal()
    (event,) = failures(world, shell.sid)
    assert event["ended"] is True
    case = f"strict, {errno.errorcode[number]} during the session"
    found, _ = judge(world, case, shell, shown, durable, f"{event['event']} ended=true")
    assert "end of the session was not recorded" in found.problem


@pytest.mark.timeout(300)
def test_a_full_disk_under_a_session_that_need_not_be_recorded(world: World, users: dict[str, User]) -> None:
    shell = Shell(world, users["best_effort"], "mark-best-effort")
    durable = 0

    def story(terminal: Terminal) -> None:
        nonlocal durable
        durable = world.durable(shell.sid)
        world.disk.fail(errno.ENOSPC, *CHANGES)
        failures(world, shell.sid)
        world.disk.heal()
        shell.stop.touch()

    try:
        shown = shell.play(story, status=0)
    finally:
        world.disk.heal()
    (event,) = failures(world, shell.sid)
    assert not event.get("ended")
    judge(world, "best_effort, ENOSPC during the session", shell, shown, durable, f"{event['event']}, goes on")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("policy", "number", "status"), [
    ("strict", errno.ENOSPC, 1), ("best_effort", errno.ENOSPC, 1),
    ("strict", errno.EIO, 1), ("best_effort", errno.EIO, 0),
], ids=lambda value: str(value))  # fmt: skip
def test_sessions_that_begin_on_a_failing_disk(
    world: World, users: dict[str, User], policy: str, number: int, status: int
) -> None:
    before = len(world.events(event="session.recording.failed", user=users[policy].name))
    world.disk.fail(number, *CHANGES)
    try:
        done = users[policy].ssh("echo it runs", options=["-tt"], status=None)
        assert "kind" in world.tctl("get", "role/strictly").out  # administration works meanwhile
    finally:
        world.disk.heal()
    shown = done.out + done.err
    case = f"{policy}, new session at {errno.errorcode[number]}"
    said = " / ".join(line.strip() for line in shown.splitlines() if line.strip())
    world.table.append(Row(case, said, audit="session.recording.failed"))
    assert ("it runs" in done.out) == (status == 0), shown
    assert ("no new sessions" if number == errno.ENOSPC else "recorded") in shown
    wait_for("the event", lambda: len(world.events(event="session.recording.failed", user=users[policy].name)) > before)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("victim", ["teleport", "teleport-spawner"])
def test_kill_nine_during_a_recording(world: World, users: dict[str, User], victim: str) -> None:
    shell = Shell(world, users["strict"], f"mark-{victim}-killed")
    durable = 0

    def story(terminal: Terminal) -> None:
        nonlocal durable
        durable = world.durable(shell.sid)
        if victim == "teleport":
            world.kill()
        else:
            os.kill(world.helper(victim).pid, signal.SIGKILL)

    try:
        shown = shell.play(story, status=255)
    finally:
        world.kill()  # without its spawner, the server starts no more sessions
        world.start()
    found, _ = judge(world, f"kill -9 of {victim}", shell, shown, durable, "session.upload")
    event = world.event(event="session.upload", sid=shell.sid)
    assert event.get("problem", "") == found.problem


@pytest.mark.timeout(300)
def test_the_auth_service_cannot_store_what_is_recorded(tmp_path: Path) -> None:
    with World(tmp_path, "log/records").running() as world:
        assert isinstance(world, World)
        world.role("developer", logins=[OWN])
        shell = Shell(world, world.sign_up("carol", ["developer"]), "mark-away")
        durable = 0

        def story(terminal: Terminal) -> None:
            nonlocal durable
            world.disk.fail(errno.ENOSPC, *CHANGES)
            terminal.see("tick 100\r\n")
            wait_for("more durable chunks", lambda: world.durable(shell.sid) > 3, seconds=60)
            durable = world.durable(shell.sid)
            shell.stop.touch()

        try:
            shown = shell.play(story, status=0)
            wait_for("the end of the session", lambda: bool(world.events(event="session.end", sid=shell.sid)))
            assert world.durable(shell.sid) >= durable  # all of it is kept on the node as long as it is nowhere else
            assert world.events(event="session.upload", sid=shell.sid) == []
        finally:
            world.disk.heal()
        found, _ = judge(world, "the Auth Service cannot store: ENOSPC", shell, shown, durable, "session.upload, later")
        assert found.problem == ""
        assert world.table[-1].rest == 0
        wait_for("an empty spool", lambda: not world.durable(shell.sid), seconds=90)
    show(world)
