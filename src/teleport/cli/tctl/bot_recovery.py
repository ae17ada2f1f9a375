"""tctl bots recover: the safe way back for a bot that the cluster has locked.

What happened is shown first, and nothing is changed where it looks like a theft, unless somebody says that they have
looked. The order of the changes leaves no gap: before the lock on the bot goes, its instance gets one of its own, until
its last certificates have ended. So what is still out there is refused, and cannot lock the bot again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import click

from teleport.api.client import AuthClient
from teleport.api.messages import EventQuery
from teleport.base.errors import AccessDenied, NotFound
from teleport.base.text import pairs
from teleport.cli.common import format_option, show
from teleport.cli.tctl.bot_tokens import INVITED, described, fresh_token, show_token
from teleport.cli.tctl.session import Where, call, collect, where_options
from teleport.client.doctor.bot import evidence
from teleport.client.doctor.bot.evidence import Evidence
from teleport.model.kinds.bot import Bot, bot_user
from teleport.model.kinds.bot_instance import BotInstance
from teleport.model.kinds.lock import Lock, LockSpec, LockTarget
from teleport.model.kinds.token import Token
from teleport.model.resource import Metadata

_MOST = 200
"""Events that are looked at, the newest first."""
_REPLACED = "The bot instance {bot}/{instance} was replaced: its bot has been recovered."


class _Found(NamedTuple):
    open: tuple[Evidence, ...]
    instances: tuple[BotInstance, ...]
    locks: tuple[Lock, ...]


@click.command("bots recover")
@click.argument("name")
@click.option("--instance", default="", help="UUID of the instance that is meant [whatever is locked].")
@click.option("--ttl", default=INVITED, show_default=True, help="How long the new token is valid.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Also where it looks like a theft: you have looked, and know better.")
@format_option
@where_options
def recover(
    name: str, instance: str, ttl: str, yes: bool, force: bool, output_format: str, where: Where
) -> int:  # fmt: skip
    """Show why a bot is locked, and if that is settled, unlock it and make a token for a new instance.

    \b
    tctl bots recover example
    """
    made = fresh_token(name, ttl)
    found = call(where, lambda client: _look(client, name, instance))
    _show(found.open, err=output_format != "text")
    _check(name, found.open, force)
    if not yes and not click.confirm("Unlock the bot, and make a token for a new instance?", err=True):
        click.echo("Nothing was changed.", err=True)
        return 1
    token = call(where, lambda client: _unlock(client, found, made))
    if output_format != "text":
        show({**described(name, token), "verdicts": [each.verdict for each in found.open]}, output_format)
        return 0
    click.echo(f'Bot "{name}" is unlocked; what its former instance still has stays locked.')
    show_token(name, token, where, output_format)
    return 0


async def _look(client: AuthClient, name: str, instance: str) -> _Found:
    """Return what is open with the bot. Raises NotFound (BOT-NOT-LOCKED)."""
    bot = cast(Bot, await client.get("bot", name))
    instances = tuple(cast(BotInstance, each) for each in await collect(client.list("bot_instance")))
    locks = tuple(cast(Lock, each) for each in await collect(client.list("lock")))
    query = EventQuery(types=(evidence.EVENT,), user=bot_user(bot.name), limit=_MOST, descending=True)
    events = (await client.search_events(query)).events
    found = evidence.read(bot.name, events, instances, locks)
    if instance:
        found = tuple(each for each in found if each.instance == instance)
    if not found:
        raise NotFound("BOT-NOT-LOCKED", bot=name)
    return _Found(found, instances, locks)


def _show(found: Sequence[Evidence], *, err: bool) -> None:
    for each in found:
        click.echo("\n".join(pairs({f"{name}:": value for name, value in each.told()})) + "\n", err=err)


def _check(name: str, found: Sequence[Evidence], force: bool) -> None:
    """Refuse what must not go on by itself. Raises AccessDenied (BOT-LOCKED, BOT-STOLEN)."""
    for each in found:
        if each.lock is not None and not each.own:
            raise AccessDenied(
                "BOT-LOCKED", bot=name, lock=each.lock.name, who=each.lock.spec.created_by or "somebody"
            )  # fmt: skip
        if each.elsewhere and not force:
            raise AccessDenied("BOT-STOLEN", bot=name, evidence=dict(each.told())["Verdict"])


async def _unlock(client: AuthClient, found: _Found, token: Token) -> Token:
    for each in found.open:
        await _shut(client, each, found)
    made = cast(Token, await client.create(token))
    for each in found.open:
        if each.lock is not None:
            await client.delete("lock", each.lock.name)
    return made


async def _shut(client: AuthClient, each: Evidence, found: _Found) -> None:
    """Lock the instance itself, as long as certificates of it may be valid."""
    instance = next((one for one in found.instances if one.name == each.instance), None)
    if instance is None or any(evidence.shuts(lock, instance) for lock in found.locks if lock != each.lock):
        return
    message = _REPLACED.format(bot=each.bot, instance=each.instance)
    target = LockTarget(bot_instance_id=each.instance)
    spec = LockSpec(target=target, message=message, expires=instance.metadata.expires)
    await client.create(Lock(version="v2", metadata=Metadata(), spec=spec))
