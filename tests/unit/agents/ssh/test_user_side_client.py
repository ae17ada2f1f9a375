"""The service's end of a helper, against a helper that the test plays."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from teleport.agents.ssh import user_side_messages as messages
from teleport.agents.ssh.spawner_messages import Refused
from teleport.agents.ssh.user_side import UserSide
from teleport.agents.ssh.user_side_client import HelperSide
from teleport.agents.ssh.user_side_messages import Given
from teleport.base.errors import AccessDenied, BadParameter, TeleportError, Unavailable
from teleport.net.ssh_x11 import X11Request
from tests.support.until import until


class Played:
    """A helper's end of the socket, and how often one was started."""

    def __init__(self) -> None:
        self.started = 0
        self.channel: socket.socket | None = None
        self.refusal: TeleportError | None = None

    async def launch(self) -> socket.socket:
        self.started += 1
        if self.refusal is not None:
            raise self.refusal
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        theirs.setblocking(False)
        self.close()
        self.channel = theirs
        return ours

    async def asked(self) -> messages.Request:
        await until(lambda: self.channel is not None)
        assert self.channel is not None
        data = await asyncio.get_running_loop().sock_recv(self.channel, 8192)
        return messages.decode_request(data)

    def send(self, data: bytes, *given: int) -> None:
        assert self.channel is not None
        socket.send_fds(self.channel, [data], list(given))

    def answer(self, reply: messages.Reply, count: int = 0) -> None:
        """Answer with `count` new sockets."""
        made = [socket.socket() for _ in range(count)]
        self.send(messages.encode(reply), *(each.fileno() for each in made))
        for each in made:
            each.close()

    def close(self) -> None:
        if self.channel is not None:
            self.channel.close()
            self.channel = None


Scene = Callable[[HelperSide, Played], Awaitable[None]]


def play(scene: Scene) -> None:
    async def main() -> None:
        played = Played()
        side = HelperSide(played.launch)
        contract: UserSide = side
        assert contract is side
        before = len(os.listdir("/proc/self/fd"))
        try:
            async with asyncio.timeout(30):
                await scene(side, played)
        finally:
            side.close()
            played.close()
        assert len(os.listdir("/proc/self/fd")) <= before

    asyncio.run(main())


async def refused(work: Awaitable[object], kind: type[TeleportError], code: str) -> TeleportError:
    with pytest.raises(kind) as caught:
        await work
    assert caught.value.code == code
    return caught.value


def begun(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    return asyncio.get_running_loop().create_task(work)


WANTED = X11Request(False, "p", b"c", 3)


async def meanwhile(
    work: Coroutine[Any, Any, Any], played: Played, reply: Callable[[int], messages.Reply], count: int = 0
) -> Any:
    """Do `work` while the helper answers."""
    task = begun(work)
    request = await played.asked()
    played.answer(reply(request.id), count)
    return await task


def test_every_question_is_asked_as_it_was_meant() -> None:
    async def scene(side: HelperSide, played: Played) -> None:
        for work, wanted, given, count in (
            (side.connect_tcp("h", 80), messages.ConnectTcp(0, "h", 80), Given(0), 1),
            (side.connect_unix("/s\udcff"), messages.ConnectUnix(0, b"/s\xff"), Given(0), 1),
            (side.serve_sftp(read_only=True), messages.ServeSftp(0, True), Given(0), 1),
            (side.listen_tcp("", 0), messages.ListenTcp(0, "", 0), Given(0, port=99), 1),
            (side.listen_unix("/l"), messages.ListenUnix(0, b"/l"), Given(0, path=b"/l"), 1),
            (side.listen_agent("sid"), messages.ListenAgent(0), Given(0, path=b"/tmp/\xff"), 1),
            (
                side.open_display("sid", WANTED, offset=1, most=2),
                messages.OpenDisplay(0, 1, 2, 3, "p", b"c"), Given(0, port=6001, name="localhost:1.3"), 2,
            ),
        ):  # fmt: skip
            task = begun(work)
            request = await played.asked()
            assert request._replace(id=0) == wanted
            played.answer(given._replace(id=request.id), count)
            found = await task
            if isinstance(found, socket.socket):
                found_sockets = [found]
            elif hasattr(found, "source"):
                found_sockets = [found.source._socket]
                assert (found.port, found.path) == (given.port, given.path.decode(errors="surrogateescape"))
            else:
                found_sockets = [each.source._socket for each in found.listening]
                assert (found.name, {each.port for each in found.listening}) == (given.name, {given.port})
            assert len(found_sockets) == count
            for each in found_sockets:
                assert each.getblocking() is False
                each.close()
        assert played.started == 1

    play(scene)


def test_answers_come_in_any_order() -> None:
    async def scene(side: HelperSide, played: Played) -> None:
        first, second = (begun(side.listen_tcp("h", port)) for port in (1, 2))
        one, two = await played.asked(), await played.asked()
        played.answer(Given(two.id, port=2), 1)
        assert (await second).port == 2
        played.answer(Given(one.id, port=1), 1)
        assert (await first).port == 1
        first.result().source.close()
        second.result().source.close()

    play(scene)


def test_what_cannot_be_asked_is_refused_here() -> None:
    async def scene(side: HelperSide, played: Played) -> None:
        for host in ("x" * 256, "a\0b"):
            await refused(side.connect_tcp(host, 1), BadParameter, "SSH-USER-HOST-NAME")
            await refused(side.listen_tcp(host, 1), BadParameter, "SSH-USER-HOST-NAME")
        for path in ("", "relative", "/" + "x" * 107, "/a\0"):
            await refused(side.connect_unix(path), BadParameter, "SSH-USER-PATH")
            await refused(side.listen_unix(path), BadParameter, "SSH-USER-PATH")
        for protocol, cookie in (("p" * 65, b"c"), ("p", b"c" * 65)):
            asked = side.open_display("sid", X11Request(False, protocol, cookie, 0), offset=1, most=2)
            await refused(asked, BadParameter, "SSH-USER-COOKIE")
        assert played.started == 0

    play(scene)


def test_refusals_come_back_as_errors() -> None:
    async def scene(side: HelperSide, played: Played) -> None:
        fields = {"address": "h:80", "login": "alice", "problem": "no"}
        answered = meanwhile(
            side.connect_tcp("h", 80), played, lambda id: Refused(id, 7, "SSH-USER-CONNECT", fields)
        )  # fmt: skip
        error = await refused(answered, AccessDenied, "SSH-USER-CONNECT")
        assert "h:80" in error.what

    play(scene)


@pytest.mark.parametrize("count", [0, 2])
def test_another_number_of_descriptors(count: int) -> None:
    async def scene(side: HelperSide, played: Played) -> None:
        answered = meanwhile(side.connect_tcp("h", 80), played, Given, count)
        await refused(answered, Unavailable, "SSH-USER-GONE")

    play(scene)


def test_listeners_are_forgotten_once() -> None:
    async def scene(side: HelperSide, played: Played) -> None:
        task = begun(side.open_display("sid", WANTED, offset=1, most=2))
        request = await played.asked()
        played.answer(Given(request.id, port=6001, name="n"), 2)
        display = await task
        forgetting = begun(side.forget(display.listening[1]))
        asked = await played.asked()
        assert asked._replace(id=0) == messages.Forget(0, request.id)
        played.answer(Refused(asked.id, 14, "SSH-USER-GONE", {"problem": "whatever"}))
        await forgetting
        await side.forget(display.listening[0])  # its other half: nothing is left
        for each in display.listening:
            each.source.close()
        listening = await meanwhile(side.listen_tcp("h", 1), played, Given, 1)
        await side.forget(listening)
        listening.source.close()
        side.close()
        await side.forget(display.listening[0])

    play(scene)


def test_a_caller_that_gives_up_leaves_nothing() -> None:
    async def scene(side: HelperSide, played: Played) -> None:
        task = begun(side.listen_agent("sid"))
        request = await played.asked()
        task.cancel()
        await asyncio.wait([task])
        played.answer(Given(request.id, path=b"/tmp/x/agent"), 1)
        assert (await played.asked())._replace(id=0) == messages.Forget(0, request.id)
        task = begun(side.connect_tcp("h", 1))
        request = await played.asked()
        played.answer(Given(request.id), 1)
        side._receive()  # the answer is here, and the task has not run on
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        played.answer(Given(12345), 1)
        played.answer(Refused(12346, 14, "SSH-USER-GONE", {"problem": "x"}))
        (await meanwhile(side.connect_tcp("h", 1), played, Given, 1)).close()

    play(scene)


def test_a_helper_that_ends_is_replaced() -> None:
    async def scene(side: HelperSide, played: Played) -> None:
        task = begun(side.connect_tcp("h", 1))
        await played.asked()
        played.close()
        await refused(task, Unavailable, "SSH-USER-GONE")
        (await meanwhile(side.connect_tcp("h", 1), played, Given, 1)).close()
        assert played.started == 2

    play(scene)


@pytest.mark.parametrize(
    "data",
    [b"{}", b"\xff", messages.encode(messages.ListenAgent(1)), b"x" * (messages.REPLY_BYTES + 5)],
    ids=["{}", "bytes", "a request", "long"],
)
def test_a_helper_that_says_something_else_is_dropped(data: bytes) -> None:
    async def scene(side: HelperSide, played: Played) -> None:
        task = begun(side.connect_tcp("h", 1))
        await played.asked()
        with socket.socket() as other:
            played.send(data, other.fileno())
        await refused(task, Unavailable, "SSH-USER-GONE")

    play(scene)


def test_a_helper_that_cannot_be_asked() -> None:
    async def scene(side: HelperSide, played: Played) -> None:
        (await meanwhile(side.connect_tcp("h", 1), played, Given, 1)).close()
        assert side._channel is not None
        side._channel.shutdown(socket.SHUT_RDWR)
        await refused(side.connect_tcp("h", 1), Unavailable, "SSH-USER-GONE")

    play(scene)


def test_a_helper_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "SECONDS", 0.05)

    async def scene(side: HelperSide, played: Played) -> None:
        error = await refused(side.connect_tcp("h", 1), Unavailable, "SSH-USER-SLOW")
        assert "ConnectTcp" in error.what

    play(scene)


def test_what_is_under_way_is_bounded() -> None:
    async def scene(side: HelperSide, played: Played) -> None:
        tasks = [begun(side.connect_tcp("h", 1)) for _ in range(messages.REQUESTS + 5)]
        requests = [await played.asked() for _ in range(messages.REQUESTS)]
        assert played.channel is not None
        with pytest.raises(BlockingIOError):
            played.channel.recv(10)
        for request in requests:
            played.answer(Given(request.id), 1)
        for _ in range(5):
            played.answer(Given((await played.asked()).id), 1)
        for task in tasks:
            (await task).close()

    play(scene)


def test_nothing_is_asked_after_the_end() -> None:
    async def scene(side: HelperSide, played: Played) -> None:
        side.close()
        await refused(side.connect_tcp("h", 1), Unavailable, "SSH-USER-GONE")
        assert played.started == 0

    play(scene)


def test_the_end_comes_while_a_helper_starts() -> None:
    async def scene(side: HelperSide, played: Played) -> None:
        launch = played.launch

        async def slow() -> socket.socket:
            made = await launch()
            side.close()
            return made

        side._launch = slow
        await refused(side.connect_tcp("h", 1), Unavailable, "SSH-USER-GONE")

    play(scene)


def test_a_helper_that_is_refused() -> None:
    async def scene(side: HelperSide, played: Played) -> None:
        played.refusal = AccessDenied("SSH-ADMIT-MISSING", whom="alice")
        await refused(side.connect_tcp("h", 1), AccessDenied, "SSH-ADMIT-MISSING")
        played.refusal = None
        (await meanwhile(side.connect_tcp("h", 1), played, Given, 1)).close()

    play(scene)
