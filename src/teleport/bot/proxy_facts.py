"""What the proxy is, as it says itself: asked when a service needs it, and kept for a while.

The proxy says under which address it wants to be known (`ssh.public_addr`). With TBOT_USE_PROXY_ADDR=yes the address of
the configuration is used in its place: for networks in which a name means different hosts inside and outside.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Any

from teleport.base.errors import BadParameter, TeleportError, Unavailable
from teleport.base.log import Report, logger
from teleport.bot.parts import ProxyFacts
from teleport.bot.web_find import WebFind
from teleport.model.address import parse_addr
from teleport.net.way import WEB_PORT

log = logger("TBOT:PROXY")

OWN_ADDRESS = "TBOT_USE_PROXY_ADDR"
FRESH = 60.0
"""Seconds for which an answer is good."""
_FRAMES = 12


def own_address(environment: Mapping[str, str], proxy_server: str) -> bool:
    """Say whether the configured address is to be used, whatever the proxy advertises; only `yes` means it.

    Raises BadParameter (BOT-USE-PROXY-ADDR) if there is none."""
    if environment.get(OWN_ADDRESS) != "yes":
        return False
    if not proxy_server:
        raise BadParameter("BOT-USE-PROXY-ADDR")
    return True


class ProxyPing:
    """Asks the proxy; implements `bot.parts.Bot.proxy`."""

    def __init__(self, find: WebFind, address: Callable[[], Awaitable[str]], *, own_address: bool = False) -> None:
        """`address` says where the proxy is. `own_address`: that is where it is for everybody."""
        self._find = find
        self._address = address
        self._own_address = own_address
        self._known: tuple[float, ProxyFacts] | None = None
        self._asking = asyncio.Lock()

    async def __call__(self) -> ProxyFacts:
        """Return what the proxy is. Raises Unavailable (BOT-PROXY-PING)."""
        async with self._asking:  # services ask together, and one answer is for all of them
            now = asyncio.get_running_loop().time()
            if self._known is None or now - self._known[0] > FRESH:
                self._known = now, await self._ask()
            return self._known[1]

    async def _ask(self) -> ProxyFacts:
        address = await self._address()
        try:
            found = await self._find.ask(address)
        except TeleportError as error:
            log.error("Failed to ping proxy", error=_report(error))
            raise Unavailable("BOT-PROXY-PING", address=address, problem=error.what) from error
        known = facts(str(parse_addr(address, WEB_PORT)), found, own_address=self._own_address)
        return replace(known, upgrade=known.tls_routing and await self._find.upgraded(known.address))


def facts(asked: str, found: Mapping[str, Any], *, own_address: bool) -> ProxyFacts:
    """Return what an answer means. `asked` is the address (`host:port`) that gave it."""
    proxy = _part(found, "proxy")
    ssh, routing = _part(proxy, "ssh"), proxy.get("tls_routing_enabled") is True
    address = asked if own_address else _text(ssh, "public_addr") or asked
    # A port of its own has an address of its own too, which only the proxy knows.
    separate = _text(ssh, "ssh_public_addr") or _with_port(
        _text(ssh, "public_addr") or asked, _text(ssh, "listen_addr")
    )
    return ProxyFacts(
        address=address, ssh_address=address if routing else separate, tls_routing=routing, upgrade=False, found=found
    )  # fmt: skip


def _with_port(address: str, listening: str) -> str:
    """Return the host of one address with the port of another."""
    host = parse_addr(address, WEB_PORT).host
    try:
        return str(parse_addr(address, WEB_PORT)._replace(host=host, port=parse_addr(listening, WEB_PORT).port))
    except BadParameter:
        return address


def _part(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def _text(document: Mapping[str, Any], name: str) -> str:
    found = document.get(name)
    return found if isinstance(found, str) else ""


def _report(error: TeleportError) -> Report:
    """Return the report that the reference shows: what it was, where it came from, what people are told."""
    steps = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    frames = [f"\t{'/'.join(PurePath(step.filename).parts[-3:])}:{step.lineno} {step.name}" for step in reversed(steps)]
    head = ["ERROR REPORT:", f"Original Error: *url.Error {error.what}", "Stack Trace:"]
    return Report([*head, *frames, f"User Message: {error.what}"])
