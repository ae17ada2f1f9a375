"""The helper: its way of working in a thread of the test, and as a process of its own under a real spawner."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from teleport.agents.ssh import user_side_messages as messages
from teleport.agents.ssh import user_side_process, user_side_sockets
from teleport.agents.ssh.spawner import Spawner
from teleport.agents.ssh.spawner_messages import Refused
from teleport.agents.ssh.user_side_client import HelperSide
from teleport.agents.ssh.user_side_messages import Given
from teleport.agents.ssh.user_side_process import Helper
from teleport.agents.ssh.user_side_sockets import Made
from teleport.base.clock import SystemClock
from teleport.base.errors import AccessDenied, NotFound, Unavailable
from tests.support import bare_home, proofs
from tests.support.authorities import cluster
from tests.support.ssh_node import LOGIN
from tests.support.until import until

CLUSTER = cluster(now=SystemClock().now())


class Asked:
    """A helper in a thread, and the service's end of its socket."""

    def __init__(self) -> None:
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.channel.settimeout(20)
        self.helper = Helper(theirs, "alice", {"PATH": "/nowhere"})
        self._theirs = theirs
        self._running = threading.Thread(target=self.helper.run)
        self._running.start()

    def ask(self, request: messages.Request) -> tuple[messages.Reply, Sequence[int]]:
        self.channel.send(messages.encode(request))
        return self.answer()

    def answer(self) -> tuple[messages.Reply, Sequence[int]]:
        data, descriptors, _, _ = socket.recv_fds(self.channel, 1 << 16, 4)
        return messages.decode_reply(data), descriptors

    def end(self) -> None:
        self.channel.close()
        self._running.join(20)
        assert not self._running.is_alive()
        self._theirs.close()


@pytest.fixture
def asked() -> Iterator[Asked]:
    made = Asked()
    yield made
    made.end()


def code(answer: tuple[messages.Reply, Sequence[int]]) -> str:
    reply, descriptors = answer
    assert isinstance(reply, Refused)
    assert not descriptors
    return reply.code


def test_answers_name_their_request_and_carry_sockets(asked: Asked) -> None:
    reply, descriptors = asked.ask(messages.ListenTcp(41, "127.0.0.1", 0))
    assert isinstance(reply, Given)
    assert reply.id == 41
    with socket.socket(fileno=descriptors[0]) as listening:
        assert listening.getsockname() == ("127.0.0.1", reply.port)


def test_refusals_are_answers(asked: Asked) -> None:
    assert code(asked.ask(messages.ConnectUnix(1, b"/no/such/socket"))) == "SSH-USER-SOCKET"
    assert code(asked.ask(messages.ConnectTcp(2, "\U0001f600" * 255, 80))) == "SSH-USER-HOST"
    assert code(asked.ask(messages.OpenDisplay(3, 31000, 31999, 0, "P", b"c"))) == "SSH-USER-XAUTH"


def test_what_was_made_is_removed_when_it_is_forgotten_and_at_the_end(tmp_path: Path) -> None:
    asked = Asked()
    for id in (1, 2, 3):
        reply, descriptors = asked.ask(messages.ListenUnix(id, bytes(tmp_path / str(id))))
        assert isinstance(reply, Given)
        os.close(descriptors[0])
    assert asked.ask(messages.Forget(4, listener=2)) == (Given(4), [])
    assert asked.ask(messages.Forget(5, listener=2)) == (Given(5), [])
    assert sorted(os.listdir(tmp_path)) == ["1", "3"]
    asked.end()
    assert os.listdir(tmp_path) == []


def test_what_is_made_too_late_is_removed_at_once(asked: Asked) -> None:
    removed: list[int] = []
    made = Made(leaves=(lambda: removed.append(1),))
    asked.helper._remember(messages.ListenAgent(1), made)
    assert removed == []
    asked.end()
    assert removed == [1]
    asked.helper._remember(messages.ListenAgent(2), made)
    assert removed == [1, 1]


def test_a_slow_request_holds_nobody_up(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    def slowly(host: str, port: int, login: str) -> socket.socket:
        assert go_on.wait(20)
        raise NotFound("SSH-USER-HOST", host=host, problem="after a while")

    monkeypatch.setattr(user_side_sockets, "connect_tcp", slowly)
    asked.channel.send(messages.encode(messages.ConnectTcp(1, "slow", 80)))
    assert code(asked.ask(messages.ConnectUnix(2, b"/no/such/socket"))) == "SSH-USER-SOCKET"
    go_on.set()
    assert code(asked.answer()) == "SSH-USER-HOST"


@pytest.mark.parametrize(
    ("problem", "wanted"), [(OSError(24, "Too many open files"), "SSH-USER-BUSY"), (KeyError("x"), "SSH-USER-GONE")]
)
def test_whatever_happens_is_answered(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, problem: Exception, wanted: str
) -> None:
    def fails(*_: object) -> Made:
        raise problem

    monkeypatch.setattr(user_side_sockets, "do", fails)
    assert code(asked.ask(messages.ListenAgent(1))) == wanted
    assert code(asked.ask(messages.ListenAgent(2))) == wanted


def test_an_account_that_can_start_no_more_threads(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    def no(_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no)
        assert code(asked.ask(messages.ListenAgent(1))) == "SSH-USER-BUSY"
        asked.helper._room.acquire()
        with pytest.raises(Unavailable) as caught:
            asked.helper._serve_sftp(read_only=False)
        asked.helper._room.release()
        assert caught.value.code == "SSH-USER-SFTP"
    assert code(asked.ask(messages.ConnectUnix(2, b"/no/such/socket"))) == "SSH-USER-SOCKET"


@pytest.mark.parametrize("data", [b"{}", b"x" * 5000, messages.encode(Given(1))])
def test_a_message_that_cannot_be_read_is_the_end(data: bytes) -> None:
    asked = Asked()
    asked.channel.send(data)
    asked._running.join(20)
    assert not asked._running.is_alive()
    asked.end()


def test_files_are_served_so_many_times(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked.helper, "_files", threading.BoundedSemaphore(1))
    served = threading.Semaphore(0)

    def serve(connection: socket.socket, *, read_only: bool) -> None:
        connection.sendall(b"ro" if read_only else b"rw")
        connection.recv(1)
        served.release()
        raise ConnectionResetError

    monkeypatch.setattr(user_side_process.sftp_server, "serve", serve)
    _, descriptors = asked.ask(messages.ServeSftp(1, read_only=True))
    with socket.socket(fileno=descriptors[0]) as connection:
        assert connection.recv(10) == b"ro"
        assert code(asked.ask(messages.ServeSftp(2, read_only=False))) == "SSH-USER-BUSY"
        connection.send(b"x")
        assert served.acquire(timeout=20)
        assert connection.recv(1) == b""
    assert asked.helper._files.acquire(timeout=20)
    asked.helper._files.release()
    _, descriptors = asked.ask(messages.ServeSftp(3, read_only=False))
    with socket.socket(fileno=descriptors[0]) as connection:
        assert connection.recv(10) == b"rw"
    assert asked.helper._files.acquire(timeout=20)
    asked.helper._files.release()


def test_answers_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, go_on, done = Asked(), threading.Event(), threading.Event()

    def slowly(*_: object) -> Made:
        go_on.wait(20)
        done.set()
        raise NotFound("SSH-USER-HOST", host="h", problem="p")

    monkeypatch.setattr(user_side_sockets, "do", slowly)
    asked.channel.send(messages.encode(messages.ListenAgent(1)))
    asked.end()
    go_on.set()
    assert done.wait(20)


# -- as a process -------------------------------------------------------------------------------------------


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    running = Spawner.launch(wrapper=bare_home.wrapper())
    yield running
    running.close()


def play(spawner: Spawner, scene: Callable[[HelperSide, int], Awaitable[None]]) -> None:
    async def main() -> None:
        spawner.connect()
        admission = await proofs.admitted(spawner, CLUSTER, LOGIN)
        side = HelperSide(lambda: spawner.help(admission))
        try:
            await scene(side, admission)
        finally:
            side.close()
            await spawner.dismiss(admission)
            await until(lambda: not children(spawner))
            spawner.disconnect()

    asyncio.run(main())


def children(spawner: Spawner) -> list[int]:
    return [int(word) for word in Path(f"/proc/{spawner.pid}/task/{spawner.pid}/children").read_text().split()]


def test_a_process_that_has_nothing_of_the_spawner(spawner: Spawner) -> None:
    async def scene(side: HelperSide, admission: int) -> None:
        listening = await side.listen_tcp("127.0.0.1", 0)
        listening.source.close()
        (helper,) = children(spawner)
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{helper}/status").read_text().splitlines())
        assert status["Name"] == "teleport-user"
        assert status["NoNewPrivs"] == "1"
        assert os.getsid(helper) == helper
        await until(lambda: len(os.listdir(f"/proc/{helper}/fd")) == 4)  # what it gave away, it closes
        opened = [os.readlink(f"/proc/{helper}/fd/{number}") for number in range(4)]
        assert opened[:3] == ["/dev/null"] * 3
        assert opened[3].startswith("socket:")

    play(spawner, scene)


def test_one_process_serves_a_connection_and_leaves_nothing(spawner: Spawner) -> None:
    paths: list[str] = []

    async def scene(side: HelperSide, admission: int) -> None:
        for _ in range(3):
            listening = await side.listen_agent("sid")
            assert stat.S_ISSOCK(os.lstat(listening.path).st_mode)
            listening.source.close()
            paths.append(listening.path)
        assert len(children(spawner)) == 1
        await side.forget(listening)
        assert not os.path.exists(os.path.dirname(listening.path))

    play(spawner, scene)
    assert len(set(paths)) == 3
    assert not any(os.path.exists(os.path.dirname(path)) for path in paths)


def test_a_helper_that_was_killed_is_replaced(spawner: Spawner) -> None:
    async def scene(side: HelperSide, admission: int) -> None:
        (await side.listen_tcp("127.0.0.1", 0)).source.close()
        (first,) = children(spawner)
        os.kill(first, 9)
        await until(lambda: not children(spawner))
        await until(lambda: side._channel is None)
        (await side.listen_tcp("127.0.0.1", 0)).source.close()
        assert children(spawner) not in ([], [first])

    play(spawner, scene)


def test_a_helper_ends_with_its_admission_though_its_socket_stays_open(spawner: Spawner) -> None:
    async def scene(side: HelperSide, admission: int) -> None:
        (await side.listen_tcp("127.0.0.1", 0)).source.close()
        await spawner.dismiss(admission)
        await until(lambda: not children(spawner))
        await until(lambda: side._channel is None)
        with pytest.raises(AccessDenied, match="login"):
            await side.listen_tcp("127.0.0.1", 0)

    play(spawner, scene)


def test_files_are_served(spawner: Spawner, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("contents")

    async def scene(side: HelperSide, admission: int) -> None:
        connection = await side.serve_sftp()
        with connection:
            assert connection.getblocking() is False
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(connection, bytes([0, 0, 0, 5, 1, 0, 0, 0, 3]))
            answer = await loop.sock_recv(connection, 4096)
            assert answer[4] == 2
            assert answer[5:9] == b"\0\0\0\3"

    play(spawner, scene)


def test_a_client_that_leaves_without_reading_ends_nothing_else(spawner: Spawner) -> None:
    async def scene(side: HelperSide, admission: int) -> None:
        (await side.listen_tcp("127.0.0.1", 0)).source.close()
        before = children(spawner)
        for _ in range(20):
            with await side.serve_sftp() as connection:
                connection.send(bytes([0, 0, 0, 5, 1, 0, 0, 0, 3]))
        await until(lambda: len(os.listdir(f"/proc/{before[0]}/fd")) == 4)
        (await side.listen_tcp("127.0.0.1", 0)).source.close()
        assert children(spawner) == before

    play(spawner, scene)


def test_many_at_a_time(spawner: Spawner) -> None:
    async def scene(side: HelperSide, admission: int) -> None:
        found: list[Any] = await asyncio.gather(*(side.listen_tcp("127.0.0.1", 0) for _ in range(100)))
        assert len({each.port for each in found}) == 100
        for each in found:
            each.source.close()

    play(spawner, scene)
