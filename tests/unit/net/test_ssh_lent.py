"""What a server may open to us: what was lent and nothing else, and each display by the cookie of its session."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import asyncssh
import pytest

from teleport.base.errors import TeleportError
from teleport.net.ssh_carried import Carried
from teleport.net.ssh_lent import AGENT, CHANNELS, FORWARDED_TCP, X11, Incoming, Lent, PortPlace, origin_of
from tests.unit.net.test_ssh_carried import Channel
from tests.unit.wire.test_x11_setup import NAME, message

PLACE = PortPlace("localhost", 80)
OURS, THEIRS = bytes(16), b"\1" * 16


class Stage:
    """What was lent, and what was refused."""

    def __init__(self) -> None:
        self.refused: list[tuple[str, str]] = []
        self.over = False
        self.stopped = 0
        self.lent = Lent(lambda kind, error: self.refused.append((kind, error.code)), lambda: self.over, "node-1")
        self.opened: list[Carried] = []

    def stop(self) -> None:
        self.stopped += 1

    async def open(self, leading: Awaitable[Carried]) -> tuple[Carried, Channel]:
        """What asyncssh does with a channel that the server opens."""
        session, channel = await leading, Channel()
        session.connection_made(channel)
        self.opened.append(session)
        return session, channel

    async def declined(self, leading: Awaitable[Carried]) -> str:
        with pytest.raises(asyncssh.ChannelOpenError) as found:
            await leading
        return found.value.reason


def run(story: Callable[[Stage], Awaitable[None]]) -> Stage:
    async def body() -> Stage:
        stage = Stage()
        async with asyncio.timeout(60):
            try:
                await story(stage)
            finally:
                for session in stage.opened:
                    session.connection_lost(None)
                await asyncio.sleep(0.01)  # transports close in the loop's next turns
        return stage

    return asyncio.run(body())


async def taken(incoming: Incoming) -> tuple[socket.socket, str]:
    async with asyncio.timeout(10):
        return await incoming.accept()


def test_a_port_leads_to_whoever_has_it_and_nowhere_afterwards() -> None:
    async def story(stage: Stage) -> None:
        loop = asyncio.get_running_loop()
        incoming = stage.lent.place(PLACE, stage.stop)
        session, channel = await stage.open(stage.lent.from_place(FORWARDED_TCP, PLACE, "10.0.0.1:5"))
        near, origin = await taken(incoming)
        with near:
            assert origin == "10.0.0.1:5"
            session.data_received(b"question", None)
            assert await loop.sock_recv(near, 100) == b"question"
            await loop.sock_sendall(near, b"answer")
            while channel.sent != b"answer":  # noqa: ASYNC110 - a state of the object under test
                await asyncio.sleep(0)
        incoming.close()
        incoming.close()
        assert "nothing of the kind" in await stage.declined(stage.lent.from_place(FORWARDED_TCP, PLACE, ""))

    stage = run(story)
    assert stage.stopped == 1
    assert stage.refused == [(FORWARDED_TCP, "SSH-NOT-LENT")]


def test_what_was_not_lent_is_refused_and_told() -> None:
    async def story(stage: Stage) -> None:
        await stage.declined(stage.lent.to_agent())
        await stage.declined(stage.lent.to_display("h", 1))
        await stage.declined(stage.lent.from_place(FORWARDED_TCP, PLACE, ""))

    assert run(story).refused == [(kind, "SSH-NOT-LENT") for kind in (AGENT, X11, FORWARDED_TCP)]


def test_the_agent_is_that_of_the_first_session_that_has_it() -> None:
    async def story(stage: Stage) -> None:
        first, second = stage.lent.agent(), stage.lent.agent()
        await stage.open(stage.lent.to_agent())
        (await taken(first))[0].close()
        first.close()
        await stage.open(stage.lent.to_agent())
        (await taken(second))[0].close()
        second.close()
        await stage.declined(stage.lent.to_agent())

    run(story)


def test_a_program_finds_the_display_of_its_session_by_the_cookie() -> None:
    async def story(stage: Stage) -> None:
        loop = asyncio.get_running_loop()
        others = stage.lent.display(NAME.decode(), b"\2" * 16, b"\3" * 16)
        mine = stage.lent.display(NAME.decode(), OURS, THEIRS)
        session, _ = await stage.open(stage.lent.to_display("localhost", 77))
        said = message("little", cookie=OURS)
        for at in range(len(said)):
            session.data_received(said[at : at + 1], None)
        session.data_received(b"more", None)
        near, origin = await taken(mine)
        with near:
            assert origin == "localhost:77"
            found = b""
            while len(found) < len(said) + 4:
                found += await loop.sock_recv(near, 1000)
        assert found == message("little", cookie=THEIRS) + b"more"
        mine.close()
        others.close()

    assert run(story).refused == []


@pytest.mark.parametrize(
    "said",
    [message("big", cookie=b"\7" * 16), message("big", name=b"XDM-AUTHORIZATION-1", cookie=OURS),
     message("big", cookie=b""), b"GET / HTTP/1.0\r\n"],
    ids=["cookie", "protocol", "none", "bytes"],
)  # fmt: skip
def test_a_program_that_does_not_show_the_cookie_is_closed_and_told(said: bytes) -> None:
    async def story(stage: Stage) -> None:
        display = stage.lent.display(NAME.decode(), OURS, THEIRS)
        session, channel = await stage.open(stage.lent.to_display("localhost", 77))
        session.data_received(said, None)
        assert channel.aborted
        with pytest.raises(TeleportError) as found:
            await taken(display)
        assert found.value.code == ("WIRE-X11" if said.startswith(b"GET") else "SSH-X11-COOKIE")
        display.close()

    run(story)


def test_a_program_that_says_nothing_or_comes_too_late() -> None:
    async def story(stage: Stage) -> None:
        display = stage.lent.display(NAME.decode(), OURS, THEIRS)
        session, channel = await stage.open(stage.lent.to_display("localhost", 77))
        late, second = await stage.open(stage.lent.to_display("localhost", 78))
        assert session.eof_received()
        assert channel.aborted
        display.close()
        late.data_received(message("big", cookie=OURS), None)
        assert second.aborted

    run(story)


def test_as_many_as_may_wait_and_what_waits_is_closed() -> None:
    async def story(stage: Stage) -> None:
        agent = stage.lent.agent()
        for _ in range(CHANNELS):
            await stage.open(stage.lent.to_agent())
        assert "too many" in await stage.declined(stage.lent.to_agent())
        near, _ = await taken(agent)
        agent.close()
        near.close()
        display = stage.lent.display(NAME.decode(), OURS, THEIRS)
        display.close()

    assert run(story).refused == [(AGENT, "SSH-LIMIT-CHANNELS")]


def test_a_channel_of_a_connection_that_has_ended_meanwhile() -> None:
    async def story(stage: Stage) -> None:
        agent = stage.lent.agent()
        stage.over = True
        await stage.lent.to_agent()
        agent.close()

    run(story)


def test_where_it_comes_from_has_no_control_characters() -> None:
    assert origin_of("fe80::1", 4) == "[fe80::1]:4"
    assert "\x1b" not in origin_of("\x1b[31m" + "x" * 1000, 4)
    assert len(origin_of("x" * 1000, 4)) < 300
