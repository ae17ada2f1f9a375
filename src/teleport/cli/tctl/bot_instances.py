"""tctl bots instances: the lives of a bot - which there are, what each was given, and a token for a new one."""

from __future__ import annotations

import base64
import datetime as dt
from typing import cast

import click

from teleport.base.errors import BadParameter
from teleport.base.text import label_text, table
from teleport.cli.common import format_option, show
from teleport.cli.tctl.bot_tokens import INVITED, show_token, token_for
from teleport.cli.tctl.session import Where, call, collect, where_options
from teleport.model import resource
from teleport.model.kinds.bot_instance import Authentication, BotInstance, Heartbeat

_NONE = "n/a"


@click.command("bots instances list")
@click.argument("bot", default="")
@format_option
@where_options
def ls(bot: str, output_format: str, where: Where) -> None:
    """List the instances of a bot, or of all, the one that was heard of last first."""
    found = [cast(BotInstance, each) for each in call(where, lambda client: collect(client.list("bot_instance")))]
    found = [each for each in found if bot in ("", each.spec.bot_name)]
    found.sort(key=lambda each: each.last_seen or dt.datetime.min.replace(tzinfo=dt.UTC), reverse=True)
    if output_format != "text":
        show([resource.dump(each) for each in found], output_format)
        return
    rows = [
        (each.title, each.latest.join_method or _NONE, each.hostname or _NONE, _moment(each.first.authenticated_at),
         _moment(each.last_seen), str(each.latest.generation))
        for each in found
    ]  # fmt: skip
    for line in table([column.heading for column in BotInstance.info.columns], rows):
        click.echo(line)
    click.echo(
        "\nTo view more information on a particular instance, run:\n> tctl bots instances show [id]\n"
        "\nTo onboard a new instance for an existing bot, run:\n> tctl bots instances add [name]"
    )


@click.command("bots instances show")
@click.argument("instance")
@format_option
@where_options
def show_one(instance: str, output_format: str, where: Where) -> None:
    """Show what is known of an instance, named as BOT/UUID."""
    bot, slash, id = instance.partition("/")
    if not (bot and slash and id) or "/" in id:
        raise BadParameter("CLI-BOT-INSTANCE", instance=instance[:80])
    found = cast(BotInstance, call(where, lambda client: client.get("bot_instance", id)))
    if found.spec.bot_name != bot:
        raise BadParameter("CLI-BOT-INSTANCE-OTHER", instance=id[:80], bot=found.spec.bot_name)
    if output_format != "text":
        show(resource.dump(found), output_format)
        return
    click.echo(f"Bot: {bot}\nID:  {found.name}")
    authentications, beats = found.status.latest_authentications, found.status.latest_heartbeats
    _section("Initial Authentication:", _authentication(found.status.initial_authentication))
    _section("Latest Authentication:", _authentication(authentications[-1] if authentications else None))
    _section("Latest Heartbeat:", _heartbeat(beats[-1] if beats else None))
    health = found.status.service_health
    if health:
        click.echo("\nService Health:")
        rows = [(each.name, each.status, each.reason or _NONE, _moment(each.updated_at)) for each in health]
        for line in table(["Name", "Status", "Reason", "Updated"], rows):
            click.echo(f"  {line}")


@click.command("bots instances add")
@click.argument("name")
@click.option("--token", default="", help="A token for bots that is there already [a new one, good for one join].")
@click.option("--ttl", default=INVITED, show_default=True, help="How long the new token is valid.")
@format_option
@where_options
def add(name: str, token: str, ttl: str, output_format: str, where: Where) -> None:
    """Make a token for a new instance of a bot that is there.

    \b
    tctl bots instances add example
    """
    given = token_for(name, token, ttl, where, lambda client: client.get("bot", name))
    show_token(name, given, where, output_format)


def _section(title: str, lines: list[tuple[str, str]] | str) -> None:
    click.echo(f"\n{title}")
    if isinstance(lines, str):
        click.echo(f"  {lines}")
        return
    width = max(len(name) for name, _ in lines) + 1
    for name, value in lines:
        click.echo(f"  {name + ':':<{width}} {value}")


def _authentication(said: Authentication | None) -> list[tuple[str, str]] | str:
    if said is None:
        return "No authentication records."
    return [
        ("Authenticated At", _moment(said.authenticated_at)), ("Join Method", said.join_method or _NONE),
        ("Join Token", said.join_token or _NONE), ("Join Metadata", label_text(said.attributes) or _NONE),
        ("Generation", str(said.generation)), ("Public Key", f"<{len(base64.b64decode(said.public_key))} bytes>"),
        ("Address", said.addr_remote or _NONE), ("Hostname", said.hostname or _NONE),
    ]  # fmt: skip


def _heartbeat(said: Heartbeat | None) -> list[tuple[str, str]] | str:
    if said is None:
        return "No heartbeat records."
    return [
        ("Recorded At", _moment(said.recorded_at)), ("Is Startup", _yes(said.is_startup)),
        ("Version", said.version or _NONE), ("Hostname", said.hostname or _NONE),
        ("Uptime", f"{said.uptime:.0f}s"), ("Join Method", said.join_method or _NONE),
        ("One Shot", _yes(said.one_shot)), ("Architecture", said.architecture or _NONE), ("OS", said.os or _NONE),
    ]  # fmt: skip


def _yes(value: bool) -> str:
    return "true" if value else "false"


def _moment(when: dt.datetime | None) -> str:
    """Return a moment as RFC 3339."""
    return when.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if when else _NONE
