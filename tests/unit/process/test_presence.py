"""Presence: the rhythm of heartbeats, failures, the end. In virtual time."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
from typing import Any

import pytest

from teleport.base.errors import Unavailable
from teleport.model.config import teleport_yaml
from teleport.model.kinds.proxy import Proxy
from teleport.model.resource import Metadata
from teleport.process import presence
from teleport.process.presence import HEARTBEAT, Presence
from teleport.process.settings import Settings, make
from tests.support import virtual_loop

PEERING = "tunnel_strategy: {type: proxy_peering}"
NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


class Auth:
    """Notes what is written, and when it would end."""

    def __init__(self) -> None:
        self.down = False
        self.written: list[tuple[float, float]] = []
        self.clock = virtual_loop.LoopClock(virtual_loop.current(), NOW)

    async def upsert(self, resource: Proxy) -> None:
        if self.down:
            raise Unavailable("API-UNAVAILABLE", problem="it is down")
        now = self.clock.now()
        assert resource.metadata.expires is not None
        self.written.append(((now - NOW).total_seconds(), (resource.metadata.expires - now).total_seconds()))

    def presence(self) -> Presence:
        client: Any = self
        return Presence(
            client, lambda: Proxy(version="v2", metadata=Metadata(name="one")), clock=self.clock,
            entropy=virtual_loop.current().entropy,
        )  # fmt: skip


def test_a_record_never_outlives_two_heartbeats() -> None:
    async def main() -> None:
        auth = Auth()
        made = auth.presence()
        made.start()
        made.start()
        await asyncio.sleep(10 * HEARTBEAT)
        times = [time for time, _ in auth.written]
        assert {life for _, life in auth.written} == {2 * HEARTBEAT}
        assert all(0.9 * HEARTBEAT <= b - a <= HEARTBEAT for a, b in itertools.pairwise(times))
        await made.stop()
        assert auth.written[-1][1] == presence.LEAVING.total_seconds()

    virtual_loop.run(main())


def test_who_cannot_be_announced_tries_again_soon() -> None:
    async def main() -> None:
        auth = Auth()
        made = auth.presence()
        auth.down = True
        made.start()
        await asyncio.sleep(60)
        assert auth.written == []
        auth.down = False
        await asyncio.sleep(10)
        assert len(auth.written) == 1
        auth.down = True
        await made.stop()

    virtual_loop.run(main())


def test_who_drains_is_no_longer_named() -> None:
    async def main() -> None:
        auth = Auth()
        made = auth.presence()
        made.start()
        await asyncio.sleep(1)
        assert (len(made), made.address, made.waited_for) == (0, "proxy", True)
        made.drain(60.0, lambda _: None)
        await asyncio.sleep(1)
        assert auth.written[-1][1] == 1.0
        await made.stop()
        assert len(auth.written) == 2

    virtual_loop.run(main())


def test_an_auth_service_that_hangs_holds_nobody() -> None:
    async def main() -> None:
        auth = Auth()
        made = auth.presence()
        made.start()
        await asyncio.sleep(1)

        async def hang(resource: Proxy) -> None:
            await asyncio.sleep(3600)

        auth.upsert = hang  # type: ignore[method-assign]
        async with asyncio.timeout(5):
            await made.stop()

    virtual_loop.run(main())


@pytest.mark.parametrize(
    ("lines", "peer"),
    [
        ("", "192.0.2.7:3021"),
        ("peer_listen_addr: 10.0.0.1:4021", "10.0.0.1:4021"),
        ("peer_public_addr: p1.example.com", "p1.example.com:3021"),
        ("peer_public_addr: 'p1.example.com:5'", "p1.example.com:5"),
    ],
)
def test_where_a_proxy_is(lines: str, peer: str) -> None:
    """S3-26: the port for other proxies is 3021, where there is one."""
    text = f"proxy_service:\n  public_addr: p.example.com:443\n  {lines}\n"
    alone = settings_of(text)
    assert presence.of_proxy(alone, "one", lambda: "192.0.2.7").spec.peer_addr == ""
    found = presence.of_proxy(settings_of(f"auth_service: {{{PEERING}}}\n{text}"), "one", lambda: "192.0.2.7")
    assert (found.name, found.spec.addr, found.spec.public_addrs, found.spec.peer_addr) == (
        "one", "0.0.0.0:3080", ("p.example.com:443",), peer,
    )  # fmt: skip


def test_without_a_network_the_name_has_to_do() -> None:
    text = f"teleport: {{nodename: front}}\nauth_service: {{{PEERING}}}\n"
    assert presence.of_proxy(settings_of(text), "one", lambda: "").spec.peer_addr == "front:3021"


def test_where_an_auth_service_is() -> None:
    found = presence.of_auth(settings_of("teleport: {nodename: auth-1}\n"), "one")
    assert (found.name, found.spec.hostname, found.spec.addr) == ("one", "auth-1", "0.0.0.0:3025")


def settings_of(text: str) -> Settings:
    return make(teleport_yaml.load(text, "t.yaml"), "t.yaml")
