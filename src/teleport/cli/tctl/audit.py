"""tctl audit ls, search: what happened."""

from __future__ import annotations

import json
from typing import Any

import click

from teleport.api.messages import EventQuery
from teleport.base.clock import SystemClock
from teleport.base.struct import Duration
from teleport.base.text import table, terminal_width
from teleport.cli.common import format_option, show
from teleport.cli.tctl.session import Where, call, where_options

_HEADINGS = ["Time (UTC)", "Code", "Event", "User", "What"]
_WIDTH = 200
"""Columns of a table that goes to a file or a pipe; JSON has everything."""
_ASIDE = {"time", "code", "event", "user", "uid", "cluster_name", "user_kind", "ei", "success"}
"""Fields that have a column of their own or say nothing to a reader."""


@click.command("audit ls")
@click.option("--last", default="1h", help="How far back, for example 30m or 7d [1h].")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, help="Most events, the newest [100].")
@format_option
@where_options
def ls(last: str, limit: int, output_format: str, where: Where) -> None:
    """Show the newest audit events, oldest first."""
    since = SystemClock().now() - Duration.parse(last).delta
    page = call(where, lambda client: client.search_events(EventQuery(since=since, limit=limit, descending=True)))
    _print(list(reversed(page.events)), output_format)


@click.command("audit search")
@click.argument("words", nargs=-1)
@click.option("--type", "types", multiple=True, help="Name of an event, for example user.login; repeatable.")
@click.option("--user", default="", help="Only events of this user.")
@click.option("--last", default="30d", help="How far back [30d].")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, help="Most events [100].")
@format_option
@where_options
def search(
    words: tuple[str, ...],
    types: tuple[str, ...],
    user: str,
    last: str,
    limit: int,
    output_format: str,
    where: Where,
) -> None:
    """Find audit events that contain all of WORDS.

    \b
    tctl audit search --type=user.login alice
    """
    since = SystemClock().now() - Duration.parse(last).delta
    page = call(
        where,
        lambda client: client.search_events(
            EventQuery(since=since, types=types, user=user, text=" ".join(words), limit=limit, descending=True)
        ),
    )
    _print(list(reversed(page.events)), output_format)


def _print(events: list[dict[str, Any]], output_format: str) -> None:
    if output_format != "text":
        show(events, output_format)
        return
    rows = [
        (event.get("time", "")[:19].replace("T", " "), event.get("code", ""), event.get("event", ""),
         event.get("user", ""), _details(event))
        for event in events
    ]  # fmt: skip
    for line in table(_HEADINGS, rows, width=terminal_width(_WIDTH), wide="What"):
        click.echo(line)


def _details(event: dict[str, Any]) -> str:
    parts = []
    for name in sorted(event.keys() - _ASIDE):
        value = event[name]
        if value in ("", None, [], {}):
            continue
        text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), sort_keys=True)
        parts.append(f"{name}:{text if len(text) <= 60 else text[:57] + '...'}")
    return " ".join(parts)
