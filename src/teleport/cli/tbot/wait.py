"""tbot wait: until a bot that runs has its certificates, for whatever is to be started after it."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import quote

import click

from teleport.base.errors import NotFound, TeleportError, Unavailable
from teleport.base.struct import Duration
from teleport.model.address import parse_addr
from teleport.net.fetch import Fetch, SystemFetch

PERIOD = 0.5
"""Seconds between questions."""
ANSWER_WITHIN = 5.0
NOTHING = "it has only just started"


@click.command("wait")
@click.option("--diag-addr", required=True, metavar="HOST:PORT", help="The bot's diag_addr.")
@click.option("--service", default="", metavar="NAME", help="Wait for this service alone [all of them].")
@click.option("--timeout", default="1m", show_default=True, metavar="1m", help="How long to wait.")
def wait(diag_addr: str, service: str, timeout: str) -> None:
    """Wait until a running bot is ready: its own identity and its outputs are there.

    \b
    tbot wait --diag-addr=127.0.0.1:3001 --timeout=30s
    tbot wait --diag-addr=127.0.0.1:3001 --service=identity-output-1
    """
    address = str(parse_addr(diag_addr, 80))
    limit = Duration.parse(timeout)
    asyncio.run(until_ready(SystemFetch(plain=True, timeout=ANSWER_WITHIN), address, service, limit))
    click.echo(f"{service or 'The bot'} is ready.", err=True)


async def until_ready(fetch: Fetch, address: str, service: str, limit: Duration) -> None:
    """Return as soon as the bot, or one of its services, is ready; ask at least once.

    Raises Unavailable (TBOT-WAIT) with what was the matter when the time was over, NotFound (TBOT-WAIT-SERVICE), and
    Unavailable (TBOT-WAIT-ANSWER) where no bot answers.
    """
    problem = "it did not answer"
    try:
        async with asyncio.timeout(max(float(limit), PERIOD)):
            while problem := await _problem(fetch, address, service):  # noqa: ASYNC110 - that is another process
                await asyncio.sleep(PERIOD)
    except TimeoutError:
        raise Unavailable("TBOT-WAIT", limit=limit, address=address, problem=problem) from None


async def _problem(fetch: Fetch, address: str, service: str) -> str:
    """Ask once; return what is the matter, nothing where it is ready."""
    url = f"http://{address}/readyz"
    try:
        answer = await fetch(f"{url}/{quote(service, safe='')}" if service else url)
    except TeleportError as error:
        return error.what
    if answer.status not in (200, 404, 503):
        raise Unavailable("TBOT-WAIT-ANSWER", address=address)
    if answer.status == 404:
        return await _missing(fetch, address, service)
    services = {service: _object(address, answer.body)} if service else _services(address, answer.body)
    if not services:
        return NOTHING
    waiting = [_said(name, each) for name, each in sorted(services.items()) if each.get("status") != "healthy"]
    return "" if answer.status == 200 else "; ".join(waiting) or "it says so"


async def _missing(fetch: Fetch, address: str, service: str) -> str:
    """Return what the matter is where the bot does not know the service: it may only just have begun."""
    answer = await fetch(f"http://{address}/readyz")
    if known := _services(address, answer.body):
        raise NotFound("TBOT-WAIT-SERVICE", service=ascii(service[:80])[1:-1], known=", ".join(sorted(known)))
    return NOTHING


def _services(address: str, body: bytes) -> dict[str, dict[str, Any]]:
    services = _object(address, body).get("services")
    if not isinstance(services, dict) or not all(isinstance(each, dict) for each in services.values()):
        raise Unavailable("TBOT-WAIT-ANSWER", address=address)
    return services


def _object(address: str, body: bytes) -> dict[str, Any]:
    """Read an answer, of which nobody says that a bot has written it."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or "status" not in found:
        raise Unavailable("TBOT-WAIT-ANSWER", address=address)
    return found


def _said(name: str, condition: dict[str, Any]) -> str:
    reason = condition.get("reason")
    return f"{name} is {condition.get('status')}" + (f" ({reason})" if reason else "")
