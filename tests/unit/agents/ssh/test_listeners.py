"""What listens for a client: whom it lets in, what it records, and how it ends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from teleport.access.action import Channel
from teleport.agents.ssh import audit
from teleport.agents.ssh.forwards import Forwards
from teleport.agents.ssh.listeners import LISTENERS, PENDING, Listeners
from teleport.agents.ssh.user_side import Display, Listening
from teleport.agents.ssh.user_side_client import ListeningSocket
from teleport.base import tasks
from teleport.base.errors import AccessDenied, LimitExceeded, TeleportError, Unavailable
from teleport.model.events.base import Event, document
from teleport.net.ssh import Place
from teleport.net.ssh_stream import StreamSession
from teleport.net.ssh_x11 import X11Request
from tests.support import policy
from tests.support.until import until

WANTED = X11Request(False, "MIT-MAGIC-COOKIE-1", b"\1" * 16, 0)


def listening() -> socket.socket:
    made = socket.create_server(("127.0.0.1", 0))
    made.setblocking(False)
    return made


class Side:
    """A user's side whose sockets are our own."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.forgotten = 0
        self.refuse: TeleportError | None = None

    def _listening(self, asked: str, **facts: Any) -> Listening:
        self.asked.append(asked)
        if self.refuse:
            raise self.refuse
        made = listening()
        return Listening(ListeningSocket(made), **{"port": made.getsockname()[1], **facts})

    async def listen_tcp(self, host: str, port: int) -> Listening:
        return self._listening(f"tcp {host} {port}")

    async def listen_unix(self, path: str) -> Listening:
        return self._listening(f"unix {path}", path=path)

    async def listen_agent(self, session_id: str) -> Listening:
        assert session_id == "sid"
        return self._listening("agent", path="/tmp/agent/socket")

    async def open_display(self, session_id: str, wanted: X11Request, *, offset: int, most: int) -> Display:
        self.asked.append(f"display {session_id} {offset} {most} {wanted.cookie.hex()}")
        return Display((self._listening("first"), self._listening("second")), "localhost:10.0")

    async def forget(self, listening: Listening) -> None:
        self.forgotten += 1


class Owner:
    """A connection whose client opens every channel, unless told to refuse or to be silent."""

    def __init__(self) -> None:
        self.side = Side()
        self.told: list[dict[str, Any]] = []
        self.refused: list[dict[str, Any]] = []
        self.refuse: TeleportError | None = None
        self.refuse_channel: TeleportError | None = None
        self.opened: list[tuple[StreamSession, bytes, tuple[bytes, ...]]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.running: set[asyncio.Task[None]] = set()
        self.failures: list[BaseException] = []

    async def permit(self, channel: Channel, *, counted: bool = False) -> Any:
        if self.refuse:
            raise self.refuse

    def user_side(self) -> Any:
        return self.side

    def context(self, session_id: str = "") -> audit.Context:
        return audit.Context(policy.caller("dev"), "root", "198.51.100.4:1", "", policy.node(), session_id)

    async def emit(self, event: Event) -> None:
        self.told.append(document(event))

    async def record_refusal(self, event: Event, *, seen_here: bool = False) -> None:
        self.refused.append(document(event))

    def background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = tasks.spawn(work, name="test", on_error=self.failures.append)
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        return task

    def used(self) -> None:
        """Data went by."""

    def client_address(self) -> str:
        return "198.51.100.4:1"

    async def open_outward(self, session: StreamSession, kind: bytes, *parts: bytes) -> None:
        self.opened.append((session, kind, parts))
        await self.gate.wait()
        if self.refuse_channel:
            raise self.refuse_channel


Scene = Callable[[Owner, Listeners], Awaitable[None]]


@pytest.fixture
def play() -> Callable[[Scene], Owner]:
    def run(scene: Scene) -> Owner:
        async def main() -> Owner:
            owner = Owner()
            forwards = Forwards(owner)
            listeners = Listeners(owner, forwards)
            try:
                async with asyncio.timeout(20):
                    await scene(owner, listeners)
            finally:
                forwards.end()
                await listeners.end()
                owner.gate.set()
                while owner.running:
                    await asyncio.wait(owner.running)
            assert owner.failures == []
            return owner

        return asyncio.run(main())

    return run


Play = Callable[[Scene], Owner]


@pytest.mark.parametrize(
    ("host", "asked"),
    [("", "127.0.0.1"), ("*", "127.0.0.1"), ("10.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1"), ("::1", "::1")],
)
def test_ports_are_on_loopback_and_told_in_the_clients_words(host: str, asked: str, play: Play) -> None:
    async def scene(owner: Owner, listeners: Listeners) -> None:
        port = await listeners.listen(Place(host, 0))
        assert owner.side.asked == [f"tcp {asked} 0"]
        with socket.create_connection(("127.0.0.1", port)) as client:
            await until(lambda: owner.opened)
            _, kind, parts = owner.opened[0]
            assert kind == b"forwarded-tcpip"
            assert parts[0].endswith(host.encode())
            assert parts[1] == port.to_bytes(4)
            assert parts[2].endswith(b"127.0.0.1")
            assert parts[3] == client.getsockname()[1].to_bytes(4)
        assert await listeners.unlisten(Place(host, port))
        assert not await listeners.unlisten(Place(host, port))

    owner = play(scene)
    assert owner.side.forgotten == 1
    codes = [event["code"] for event in owner.told]
    assert codes.count("T3003I") == 2
    assert codes.count("T3003S") == 2


def test_a_unix_socket(play: Play) -> None:
    async def scene(owner: Owner, listeners: Listeners) -> None:
        port = await listeners.listen(Place(path="/run/s"))
        with socket.create_connection(("127.0.0.1", port)):
            await until(lambda: owner.opened)
        assert owner.opened[0][1:] == (
            b"forwarded-streamlocal@openssh.com", (b"\0\0\0\6/run/s", b"\0\0\0\0")
        )  # fmt: skip

    play(scene)


@pytest.mark.parametrize("what", ["port", "agent", "display"])
def test_refusals_and_failures_are_recorded(what: str, play: Play) -> None:
    async def ask(listeners: Listeners) -> None:
        if what == "port":
            await listeners.listen(Place("", 80))
        elif what == "agent":
            await listeners.agent("sid")
        else:
            await listeners.display("sid", WANTED, offset=10, most=20)

    async def scene(owner: Owner, listeners: Listeners) -> None:
        owner.refuse = AccessDenied("SSH-ENDED", id="the-id", reason="x")
        with pytest.raises(AccessDenied):
            await ask(listeners)
        owner.refuse, owner.side.refuse = None, Unavailable("SSH-ENDED", reason="y")
        with pytest.raises(Unavailable):
            await ask(listeners)

    owner = play(scene)
    assert [event.get("decision_id", "") for event in owner.refused] == ["the-id", ""]
    assert {event["code"] for event in owner.refused} == {"T3008W" if what == "display" else "T3003E"}
    assert owner.told == []


def test_listeners_are_bounded(play: Play) -> None:
    async def scene(owner: Owner, listeners: Listeners) -> None:
        for _ in range(LISTENERS):
            await listeners.listen(Place("", 0))
        with pytest.raises(LimitExceeded) as found:
            await listeners.agent("sid")
        assert found.value.code == "SSH-LIMIT-LISTENERS"

    play(scene)


def test_connections_that_the_client_does_not_open_are_bounded(play: Play) -> None:
    async def scene(owner: Owner, listeners: Listeners) -> None:
        owner.gate.clear()
        port = await listeners.listen(Place("", 0))
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(PENDING + 20)]
        await until(lambda: len(owner.opened) == PENDING)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(owner.opened) == PENDING
        owner.gate.set()
        await until(lambda: len(owner.opened) == PENDING + 20)
        for client in clients:
            client.close()

    play(scene)


def test_a_connection_is_decided_anew(play: Play) -> None:
    async def scene(owner: Owner, listeners: Listeners) -> None:
        port = await listeners.listen(Place("", 0))
        owner.refuse = AccessDenied("SSH-ENDED", id="the-id", reason="x")
        with socket.create_connection(("127.0.0.1", port)) as client:
            await until(lambda: owner.refused)
            client.settimeout(10)
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        assert owner.opened == []
        owner.refuse, owner.refuse_channel = None, Unavailable("SSH-CLIENT-REFUSED", kind="x", reason="y")
        with socket.create_connection(("127.0.0.1", port)):
            await until(lambda: len(owner.refused) == 2)

    owner = play(scene)
    assert [event["channel"] for event in owner.refused] == ["forwarded-tcpip"] * 2
    assert owner.refused[0]["origin"].startswith("127.0.0.1:")


@pytest.mark.parametrize("single", [False, True])
def test_a_display_for_one_program_or_for_many(single: bool, play: Play) -> None:
    async def scene(owner: Owner, listeners: Listeners) -> None:
        wanted = WANTED._replace(single_connection=single)
        listener = await listeners.display("sid", wanted, offset=10, most=20)
        assert owner.side.asked[0] == f"display sid 10 20 {'01' * 16}"
        assert listener.told.address == "localhost:10.0"
        ports = [each.port for each in listener.sockets]
        with socket.create_connection(("127.0.0.1", ports[0])):
            await until(lambda: owner.opened)
            assert owner.opened[0][1] == b"x11"
            if single:
                await until(lambda: owner.side.forgotten == 2)
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", ports[1]))
            else:
                with socket.create_connection(("127.0.0.1", ports[1])):
                    await until(lambda: len(owner.opened) == 2)

    owner = play(scene)
    (ended,) = [event for event in owner.told if event["code"] == "T3003S"]
    assert (ended["channel"], ended["addr"], ended["connections"]) == ("x11", "localhost:10.0", 1 if single else 2)
    assert ended["sid"] == "sid"


def test_the_agent(play: Play) -> None:
    async def scene(owner: Owner, listeners: Listeners) -> None:
        listener = await listeners.agent("sid")
        assert listener.told.address == "/tmp/agent/socket"
        with socket.create_connection(("127.0.0.1", listener.sockets[0].port)):
            await until(lambda: owner.opened)
        assert owner.opened[0][1:] == (b"auth-agent@openssh.com", ())
        await listeners.close(listener)
        await listeners.close(listener)

    owner = play(scene)
    assert [event["code"] for event in owner.told] == ["T3003I", "T3003S"]


def test_a_connection_that_its_source_refuses_is_recorded(play: Play) -> None:
    """It is no connection of the listener, which goes on."""

    class Refusing:
        def __init__(self) -> None:
            self.left: list[Exception] = [AccessDenied("SSH-X11-COOKIE"), OSError(24, "Too many open files")]
            self.closed = False

        async def accept(self) -> tuple[socket.socket, str]:
            if self.left:
                raise self.left.pop(0)
            await asyncio.Event().wait()
            raise AssertionError

        def close(self) -> None:
            self.closed = True

    source = Refusing()

    async def scene(owner: Owner, listeners: Listeners) -> None:
        async def opened(session_id: str, wanted: X11Request, *, offset: int, most: int) -> Display:
            return Display((Listening(source),), "")

        owner.side.open_display = opened  # type: ignore[method-assign]
        await listeners.display("sid", WANTED, offset=10, most=20)
        await until(lambda: not source.left)

    owner = play(scene)
    assert source.closed
    (refused,) = owner.refused
    assert (refused["code"], refused["sid"]) == ("T3008W", "sid")
    (ended,) = [event for event in owner.told if event["code"] == "T3003S"]
    assert ended.get("connections", 0) == 0


def test_nothing_listens_after_the_end(play: Play) -> None:
    async def scene(owner: Owner, listeners: Listeners) -> None:
        await listeners.end()
        with pytest.raises(Unavailable) as found:
            await listeners.listen(Place("", 0))
        assert found.value.code == "SSH-ENDED"

    play(scene)
