"""The connection holder: whose calls it takes, for how long, and what becomes of descriptors."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from teleport.base.clock import ManualClock
from teleport.client import holder
from teleport.client import holder_call as call
from teleport.client.holder import Holder
from teleport.wire.reach import read_answer
from tests.support.signed_in import profile
from tests.support.ssh_server import Running, serving

NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
UNTIL = NOW + dt.timedelta(hours=1)


async def process(process: Any) -> None:
    if process.command == "cat":
        process.stdout.write(await process.stdin.read())
        process.exit(3)
    elif process.command == "yes":
        while not process.stdout.channel.is_closing():
            process.stdout.write(b"y" * 4096)
            await process.stdout.drain()
            await asyncio.sleep(0)
    elif process.command == "drop":
        process.channel.get_connection().abort()
    else:
        await process.stdin.read()
        await asyncio.sleep(1000)


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with serving(process) as running:
        yield running


class Stage:
    """A holder in a thread."""

    def __init__(self, server: Running, home: Path, **options: Any) -> None:
        (home / "current-profile").write_text("proxy.example.com")
        (home / "proxy.example.com.yaml").write_text("{}")
        self.home = home
        self.environment = {"TELEPORT_HOME": str(home)}
        self.key = call.key(self.environment, "alice", "node-1", "")
        self.clock = ManualClock(NOW)
        listening = holder._listen(call.folder(self.environment), call.name_of(self.key))
        assert listening is not None
        connection = server.connect()
        options = {"clock": self.clock, **options}
        self.holder = Holder(connection, listening, self.environment, self.key, UNTIL, **options)
        self.thread = threading.Thread(target=self.holder.run)
        self.thread.start()

    def call(self, command: str, stdin: bytes = b"", *, key: bytes = b"", kind: bytes = call.CALL) -> Calling:
        return Calling(self, call.message(kind, key or self.key, command.encode()), stdin)

    def end(self) -> None:
        """Sign out."""
        call.end_all(self.environment, str(self.home), "proxy.example.com")
        self.thread.join(30)
        assert not self.thread.is_alive()
        assert not Path(call.folder(self.environment), call.name_of(self.key)).exists()


class Calling:
    """A call, with pipes as its ends."""

    def __init__(self, stage: Stage, message: bytes, stdin: bytes, count: int = 3) -> None:
        self.pipes = [os.pipe() for _ in range(3)]
        os.write(self.pipes[0][1], stdin)
        os.close(self.pipes[0][1])
        ours = [self.pipes[0][0], self.pipes[1][1], self.pipes[2][1]]
        self.sock = call.connect(call.folder(stage.environment), call.name_of(stage.key))
        self.sock.settimeout(30)
        passed = b"".join(number.to_bytes(4, "little") for number in ours[:count])
        self.sock.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)])
        self.kept = ours

    def answers(self) -> list[bytes]:
        found = []
        while answer := self.sock.recv(call.LARGEST):
            found.append(answer)
        assert all(os.get_blocking(descriptor) for descriptor in self.kept), "given back as they were"
        self.close()
        return found

    def close(self) -> None:
        self.sock.close()
        for descriptor in self.kept:
            os.close(descriptor)

    def out(self) -> bytes:
        with os.fdopen(self.pipes[1][0], "rb") as out:
            os.close(self.pipes[2][0])
            return out.read()


@contextmanager
def staged(server: Running, home: Path, **options: Any) -> Iterator[Stage]:
    stage = Stage(server, home, **options)
    try:
        yield stage
    finally:
        if stage.thread.is_alive():
            stage.end()


@pytest.fixture
def stage(server: Running, tmp_path: Path) -> Iterator[Stage]:
    with staged(server, tmp_path) as made:
        yield made


def test_calls_bring_their_own_ends(stage: Stage) -> None:
    calls = [stage.call("cat", b"%d" % number) for number in range(5)]
    for number, one in enumerate(calls):
        assert one.answers() == [b"A", b"S\x03"]
        assert one.out() == b"%d" % number


def test_what_is_not_for_this_connection_is_declined(stage: Stage) -> None:
    other = call.key(stage.environment, "bob", "node-1", "")
    for one in (
        stage.call("cat", key=other), Calling(stage, b"TSH9" + stage.key, b""), stage.call("cat", kind=b"?"),
        Calling(stage, call.message(call.CALL, stage.key, b"cat"), b"", count=2),
    ):  # fmt: skip
        assert one.answers() in ([b"N"], [])
        assert one.out() == b""
    assert stage.thread.is_alive()
    assert stage.call("cat").answers() == [b"A", b"S\x03"]


def test_another_user_is_not_heard(server: Running, tmp_path: Path) -> None:
    stage = Stage(server, tmp_path, uid=lambda sock: os.geteuid() + 1)
    try:
        sock = call.connect(call.folder(stage.environment), call.name_of(stage.key))
        sock.settimeout(30)
        assert sock.recv(1) == b"", "closed before anything was said"
        sock.close()
    finally:
        stage.holder.ending = True
        stage.thread.join(30)
    assert not stage.thread.is_alive()


def test_nothing_runs_on_a_certificate_that_has_expired(stage: Stage) -> None:
    running = stage.call("wait")
    assert running.sock.recv(1) == b"A"
    stage.clock.advance(dt.timedelta(hours=2))
    assert stage.call("cat").answers() == [b"N"]
    running.close()
    stage.thread.join(30)
    assert not stage.thread.is_alive()


def test_a_new_sign_in_is_another_connection(stage: Stage) -> None:
    path = stage.home / "proxy.example.com.yaml"
    path.unlink()
    path.write_text("{ }")
    assert not stage.holder.is_current()
    assert stage.call("cat").answers() == [b"N"]


def test_it_ends_when_nobody_calls(server: Running, tmp_path: Path) -> None:
    with staged(server, tmp_path, idle=0.2) as stage:
        stage.thread.join(30)
        assert not stage.thread.is_alive()


def test_it_ends_with_its_connection(stage: Stage) -> None:
    one = stage.call("drop")
    answers = one.answers()
    stage.thread.join(30)
    assert not stage.thread.is_alive()
    assert answers[0] == b"A"
    if len(answers) > 1:
        error, _ = read_answer(answers[1][1:])
        assert error is not None


def test_signing_out_of_another_proxy_is_not_meant(stage: Stage) -> None:
    call.end_all(stage.environment, str(stage.home), "proxy")
    assert stage.call("cat").answers() == [b"A", b"S\x03"]


def test_a_reader_that_leaves_is_told_to_the_caller(stage: Stage) -> None:
    one = stage.call("yes")
    os.close(one.pipes[1][0])
    assert one.answers() == [b"A", b"P"]
    assert stage.thread.is_alive()


def test_a_caller_that_leaves_takes_its_session_along(stage: Stage) -> None:
    one = stage.call("yes")
    assert one.sock.recv(1) == b"A"
    one.close()
    one.out()
    assert stage.call("cat").answers() == [b"A", b"S\x03"]


def test_calls_are_bounded(server: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holder, "CALLS", 2)
    with staged(server, tmp_path) as stage:
        running = [stage.call("wait") for _ in range(2)]
        for one in running:
            assert one.sock.recv(1) == b"A"
        assert stage.call("cat").answers() == [b"N"]
        stage.end()
        for one in running:
            one.close()


def test_holders_are_bounded_and_leftovers_are_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(holder, "HOLDERS", 2)
    folder = str(tmp_path / "run")
    made = [holder._listen(folder, f"ssh-{number}") for number in range(3)]
    assert [one is not None for one in made] == [True, True, False]
    assert holder._listen(folder, "ssh-0") is None
    for one in made[:2]:
        assert one is not None
        one.close()  # as when the process is killed: the files stay
    assert holder._listen(folder, "ssh-2") is None
    assert os.listdir(folder) == [".lock"], "the third has swept"
    again = holder._listen(folder, "ssh-0")
    assert again is not None
    assert holder._listen(folder, "ssh-0") is None
    again.close()
    last = holder._listen(folder, "ssh-0")
    assert last is not None, "a leftover of the same name is replaced"
    last.close()


def test_whose_connections_may_be_held() -> None:
    assert holder.may_hold({}, profile())
    assert not holder.may_hold({call.OFF: "1"}, profile())
    assert not holder.may_hold({}, profile(extensions=("mfa-verified",)))


def test_a_connection_that_is_broken_is_not_held(server: Running, tmp_path: Path) -> None:
    connection = server.connect()
    holder.keep(connection, {"TELEPORT_HOME": str(tmp_path)}, b"", UNTIL)
    for one in server.connections:
        server.loop.call_soon_threadsafe(one.abort)
    connection.run(lambda: False)
    holder.keep(connection, {"TELEPORT_HOME": str(tmp_path)}, b"key", UNTIL)
    assert list(tmp_path.iterdir()) == []
    connection.close()
