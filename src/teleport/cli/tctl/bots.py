"""tctl bots: programs with names of their own, and what they may become."""

from __future__ import annotations

import shlex
from typing import Any, cast

import click

from teleport.api.client import AuthClient
from teleport.base.errors import BadParameter
from teleport.base.struct import Duration
from teleport.base.text import table
from teleport.cli.common import format_option, show
from teleport.cli.tctl.bot_tokens import INVITED, show_token, token_for
from teleport.cli.tctl.lock import created
from teleport.cli.tctl.session import Where, call, collect, where_options
from teleport.model import resource
from teleport.model.kinds.bot import LOCK_SCOPES, Bot, BotSpec, Trait, bot_user
from teleport.model.resource import Metadata


def words(_context: click.Context, _option: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    """Read a list separated by commas."""
    return None if value is None else tuple(word.strip() for word in value.split(",") if word.strip())


@click.command("bots ls")
@format_option
@where_options
def ls(output_format: str, where: Where) -> None:
    """List bots."""
    bots = call(where, lambda client: collect(client.list("bot")))
    if output_format != "text":
        show([resource.dump(bot) for bot in bots], output_format)
    elif not bots:
        click.echo("No bots found")
    else:
        columns = Bot.info.columns
        rows = [[column.cell(bot) for column in columns] for bot in bots]
        for line in table([column.heading for column in columns], rows):
            click.echo(line)
        click.echo("\nTo view active instances of a bot, run:\n> tctl bots instances list [name]")


@click.command("bots add")
@click.argument("name")
@click.option("--roles", callback=words, help="What the bot may become: roles, separated by commas.")
@click.option("--logins", callback=words, help="Logins for roles with {{internal.logins}}, separated by commas.")
@click.option("--token", default="", help="A token for bots that is there already [a new one, good for one join].")
@click.option("--ttl", default=INVITED, show_default=True, help="How long the new token is valid.")
@click.option("--max-session-ttl", default="", help="The longest life of its own certificates [12h, at most 168h].")
@format_option
@where_options
def add(
    name: str, roles: tuple[str, ...] | None, logins: tuple[str, ...] | None, token: str, ttl: str,
    max_session_ttl: str, output_format: str, where: Where,
) -> None:  # fmt: skip
    """Make a bot, and a token with which it joins once.

    \b
    tctl bots add example --roles=access,machine-id-db
    """
    longest = Duration.parse(max_session_ttl) if max_session_ttl else None
    spec = BotSpec(roles=roles or (), traits=_with_logins((), logins or ()), max_session_ttl=longest)
    bot = Bot(version="v1", metadata=Metadata(name=name), spec=spec)
    bot.check()
    if not roles:
        click.echo(f'warning: bot "{name}" has no roles: it can join, and do nothing. '
                   f"Give it some: tctl bots update {shlex.quote(name)} --add-roles=ROLE", err=True)  # fmt: skip
    given = token_for(name, token, ttl, where, lambda client: client.create(bot))
    show_token(bot.name, given, where, output_format)


@click.command("bots rm")
@click.argument("name")
@where_options
def rm(name: str, where: Where) -> None:
    """Delete a bot with its user, its role, its instances and its tokens."""
    call(where, lambda client: client.delete("bot", name))
    click.echo(f'Bot "{name}" deleted successfully.')


@click.command("bots lock")
@click.argument("name")
@click.option("--message", default="", help="Shown to those whom the lock refuses.")
@click.option("--expires", default="", help="End of the lock, RFC 3339.")
@click.option("--ttl", default="", help="Length of the lock, for example 2h.")
@where_options
def lock(name: str, message: str, expires: str, ttl: str, where: Where) -> None:
    """Lock a bot with all its instances."""
    bot = cast(Bot, call(where, lambda client: client.get("bot", name)))
    created({"user": bot_user(bot.name)}, message, expires, ttl, where)


@click.command("bots update")
@click.argument("name")
@click.option("--set-roles", callback=words, help="Its roles, separated by commas.")
@click.option("--add-roles", callback=words, help="More roles, separated by commas.")
@click.option("--set-logins", callback=words, help="Its logins, separated by commas.")
@click.option("--add-logins", callback=words, help="More logins, separated by commas.")
@click.option("--set-max-session-ttl", default="", help="The longest life of its own certificates [at most 168h].")
@click.option("--lock-scope", type=click.Choice(LOCK_SCOPES), default=None,
              help="Whom a stolen certificate locks: the bot's user, or one instance alone.")  # fmt: skip
@where_options
def update(
    name: str, set_roles: tuple[str, ...] | None, add_roles: tuple[str, ...] | None,
    set_logins: tuple[str, ...] | None, add_logins: tuple[str, ...] | None, set_max_session_ttl: str,
    lock_scope: str | None, where: Where,
) -> None:  # fmt: skip
    """Change what a bot may become. What runs takes it up with its next renewal.

    \b
    tctl bots update example --add-roles=machine-id-db
    """
    for words_set, words_added, what in ((set_roles, add_roles, "roles"), (set_logins, add_logins, "logins")):
        if words_set is not None and words_added is not None:
            raise BadParameter("CLI-BOT-OPTIONS", what=what)

    async def work(client: AuthClient) -> tuple[Bot, Bot]:
        old = cast(Bot, await client.get("bot", name))
        logins = _changed(old.traits.get("logins", ()), set_logins, add_logins)
        changes: dict[str, Any] = {
            "roles": _changed(old.spec.roles, set_roles, add_roles), "traits": _with_logins(old.spec.traits, logins),
        }  # fmt: skip
        if set_max_session_ttl:
            changes["max_session_ttl"] = Duration.parse(set_max_session_ttl)
        if lock_scope is not None:
            changes["lock_scope"] = lock_scope
        return old, cast(Bot, await client.update(_replaced(old, changes)))

    old, new = call(where, work)
    lines = [f"{field}: {after}" for field, before, after in _told(old, new) if before != after]
    click.echo("\n".join([f'Bot "{name}" has been updated', *lines]) if lines else "Nothing to change.")


def _replaced(bot: Bot, changes: dict[str, Any]) -> Bot:
    plain = {**{field: getattr(bot.spec, field) for field in bot.spec.__struct_fields__}, **changes}
    return Bot(version=bot.version, metadata=bot.metadata, spec=BotSpec(**plain), status=bot.status)


def _told(old: Bot, new: Bot) -> list[tuple[str, str, str]]:
    def said(bot: Bot) -> list[tuple[str, str]]:
        logins = ",".join(bot.traits.get("logins", ()))
        longest = str(bot.spec.max_session_ttl or "")
        roles = ",".join(bot.spec.roles)
        return [("roles", roles), ("logins", logins), ("max_session_ttl", longest), ("lock_scope", bot.spec.lock_scope)]

    return [(field, before, after) for (field, before), (_, after) in zip(said(old), said(new), strict=True)]


def _changed(
    old: tuple[str, ...], wanted: tuple[str, ...] | None, more: tuple[str, ...] | None
) -> tuple[str, ...]:  # fmt: skip
    return tuple(dict.fromkeys(wanted if wanted is not None else (*old, *(more or ()))))


def _with_logins(traits: tuple[Trait, ...], logins: tuple[str, ...]) -> tuple[Trait, ...]:
    others = tuple(trait for trait in traits if trait.name != "logins")
    return (*others, Trait(name="logins", values=logins)) if logins else others
