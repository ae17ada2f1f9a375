"""What the proxy is, and how it is told that it does not say so."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping
from typing import Any

import pytest

from teleport.base.errors import BadParameter, Unavailable
from teleport.bot.proxy_facts import FRESH, ProxyPing, facts, own_address
from teleport.bot.web_find import WebFind
from tests.support.log_lines import said
from tests.support.virtual_loop import run

__all__ = ["said"]

FOUND: dict[str, Any] = {
    "proxy": {
        "ssh": {"public_addr": "out.example.com:443", "listen_addr": "0.0.0.0:3023"}, "tls_routing_enabled": True,
    }
}  # fmt: skip
SEPARATE: dict[str, Any] = {"proxy": {**FOUND["proxy"], "tls_routing_enabled": False}}


class Find(WebFind):
    """Answers without a network."""

    def __init__(self, found: Mapping[str, Any] | None) -> None:
        self.asked: list[str] = []
        self._found = found

    async def ask(self, address: str) -> Mapping[str, Any]:
        self.asked.append(address)
        if self._found is None:
            raise Unavailable("BOT-PROXY-FIND", address=address, problem="dial tcp 1.2.3.4:443: connect: refused")
        return self._found

    async def upgraded(self, address: str) -> bool:
        return address == "out.example.com:443"


async def address() -> str:
    return "in.example.com"


def test_the_advertised_address_counts_unless_the_configured_one_shall():
    """S1-52, S1-53."""
    found = facts("in.example.com:443", FOUND, own_address=False)
    assert (found.address, found.ssh_address, found.tls_routing) == ("out.example.com:443",) * 2 + (True,)
    found = facts("in.example.com:443", FOUND, own_address=True)
    assert (found.address, found.ssh_address) == ("in.example.com:443",) * 2


def test_without_routing_the_address_for_ssh_is_the_one_that_the_proxy_says():
    """S1-54."""
    for own in (False, True):
        found = facts("in.example.com:443", SEPARATE, own_address=own)
        assert (found.ssh_address, found.tls_routing) == ("out.example.com:3023", False)
    named = {"proxy": {"ssh": {"ssh_public_addr": "ssh.example.com:3023", "public_addr": "out.example.com:443"}}}
    assert facts("in.example.com:443", named, own_address=True).ssh_address == "ssh.example.com:3023"
    assert facts("in.example.com:443", {"proxy": "x"}, own_address=False).address == "in.example.com:443"


def test_only_yes_means_it():
    """S1-53."""
    assert own_address({"TBOT_USE_PROXY_ADDR": "yes"}, "in.example.com")
    for value in ("", "YES", "true", "1", "yes "):
        assert not own_address({"TBOT_USE_PROXY_ADDR": value}, "")
    with pytest.raises(BadParameter) as caught:
        own_address({"TBOT_USE_PROXY_ADDR": "yes"}, "")
    assert caught.value.what == (
        "TBOT_USE_PROXY_ADDR requires that a proxy address is set using --proxy-server or proxy_server"
    )


def test_an_answer_is_good_for_a_while_and_for_all_who_ask():
    find = Find(FOUND)

    async def main() -> None:
        ping = ProxyPing(find, address)
        first, second = await asyncio.gather(ping(), ping())
        assert first is second
        assert first.upgrade  # where the proxy says that it is, something ends TLS
        await asyncio.sleep(FRESH + 1)
        await ping()

    run(main())
    assert find.asked == ["in.example.com", "in.example.com"]


def test_a_failure_is_reported_on_lines_of_its_own(said: io.StringIO):
    """S1-56."""

    async def main() -> None:
        with pytest.raises(Unavailable) as caught:
            await ProxyPing(Find(None), address)()
        assert caught.value.code == "BOT-PROXY-PING"

    run(main())
    problem = 'Get "https://in.example.com/webapi/find": dial tcp 1.2.3.4:443: connect: refused'
    first, *rest = said.getvalue().splitlines()
    assert first.endswith("ERRO [TBOT:PROX] Failed to ping proxy error:[")
    assert rest[:3] == ["ERROR REPORT:", f"Original Error: *url.Error {problem}", "Stack Trace:"]
    assert all(line.startswith("\t") for line in rest[3:-1])
    assert rest[-1].startswith(f"User Message: {problem}] bot/proxy_facts.py:")
