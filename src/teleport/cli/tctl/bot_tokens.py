"""Tokens with which bots join: making one, and saying how a bot is started with it."""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Awaitable, Callable
from typing import Any, cast

import click

from teleport.api.client import AuthClient
from teleport.base.clock import SystemClock
from teleport.base.entropy import SystemEntropy
from teleport.base.errors import BadParameter
from teleport.base.struct import Duration
from teleport.cli.common import show
from teleport.cli.tctl.session import Where, call, is_auth_host, join_address
from teleport.cli.tctl.tokens import minutes, pins
from teleport.model import resource
from teleport.model.kinds.bot import bot_user
from teleport.model.kinds.token import Token

_BYTES = 16
"""Of a generated token: 32 hexadecimal digits."""
INVITED = "1h"
"""How long a token for one join is valid."""
_OUTPUT = "/opt/machine-id"
"""Where the recipe puts what programs use."""


def fresh_token(bot: str, ttl: str) -> Token:
    """Return a new token, not stored yet, with which a bot may join once. Raises BadParameter (CLI-TOKEN-TTL)."""
    length = Duration.parse(ttl)
    if length <= 0:
        raise BadParameter("CLI-TOKEN-TTL", ttl=ttl)
    expires = (SystemClock().now() + length.delta).astimezone(dt.UTC).replace(microsecond=0)
    document = {
        "kind": "token", "version": "v2",
        "metadata": {"name": SystemEntropy().token(_BYTES).hex(), "expires": expires.isoformat()},
        "spec": {"roles": ["Bot"], "bot_name": bot},
    }  # fmt: skip
    return cast(Token, resource.load(document))


def token_for(bot: str, given: str, ttl: str, where: Where, first: Callable[[AuthClient], Awaitable[Any]]) -> Token:
    """Do `first`, and return the token `given`, or a new one with which the bot may join once. Raises BadParameter
    (CLI-TOKEN-TTL, CLI-BOT-TOKEN, KIND-*)."""
    made = fresh_token(bot, ttl)

    async def work(client: AuthClient) -> Token:
        known = cast(Token, await client.get("token", given, with_secrets=True)) if given else None
        if known is not None and known.spec.bot_name != bot:
            raise BadParameter("CLI-BOT-TOKEN", token=known.safe_name(), bot=bot)
        await first(client)
        return known or cast(Token, await client.create(made))

    return call(where, work)


def described(bot: str, token: Token) -> dict[str, Any]:
    """Return what programs are told of a token; `token_ttl` in nanoseconds, 0: without an end."""
    left, user = _left(token), bot_user(bot)
    return {"user_name": user, "role_name": user, "token_id": token.name, "token_ttl": int((left or 0) * 10**9)}


def show_token(bot: str, token: Token, where: Where, output_format: str) -> None:
    """Say which token the bot joins with, how long it is good, and how `tbot` is started with it."""
    if output_format != "text":
        show(described(bot, token), output_format)
        return
    left = _left(token)
    click.echo(f"The bot token: {token.name}")
    if left is not None:
        click.echo(f"This token will expire in {minutes(left)}.")
    words, address = _recipe(token, where)
    lines = " \\\n".join(f"   {word}" for word in words)
    click.echo(f"\nRun this where the bot is to work:\n\n> tbot start identity \\\n{lines}\n\nPlease note:\n")
    click.echo(f"  - {_OUTPUT} gets the certificates that programs use; any folder will do")
    if token.is_secret:
        another = f"tctl bots instances add {shlex.quote(bot)}"
        click.echo(f"  - The token is good for one join. For another machine: {another}")
        click.echo("  - Nobody but this one tbot may use the folder of --storage: a copy of it locks the bot")
    click.echo(f"  - {address} must be reachable from there")


def _recipe(token: Token, where: Where) -> tuple[list[str], str]:
    """Return the options of `tbot start identity`, and which address is in them. An Auth Service is recognised by its
    pin; a proxy by its web certificate."""
    words = [f"--token={token.name}", f"--join-method={token.spec.join_method}"]
    if is_auth_host(where) or where.servers:
        address = where.servers[0] if where.servers else join_address(where)
        words += [*(f"--ca-pin={pin}" for pin in pins(where)), f"--auth-server={address}"]
    else:
        address = join_address(where)
        words.append(f"--proxy-server={address}")
    return [*words, "--storage=/var/lib/teleport/bot", f"--destination={_OUTPUT}"], address


def _left(token: Token) -> float | None:
    end = token.metadata.expires
    return max(round((end - SystemClock().now()).total_seconds()), 0) if end else None
