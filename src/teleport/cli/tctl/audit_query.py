"""tctl audit query: finding audit events with a language that looks like SQL."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import click

from teleport.api.client import AuthClient
from teleport.api.services.audit_query import QueryPage
from teleport.base.text import table, terminal_width
from teleport.cli.common import format_option, show
from teleport.cli.tctl.session import Where, call, where_options

_WIDTH = 200
_COLUMNS = ("time", "code", "event", "user", "message")
"""What a table shows of `*`."""


@click.command("audit query")
@click.argument("query")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, help="Most events of a page [100].")
@click.option("--after", default="", help="Go on behind an earlier page of the same query.")
@format_option
@where_options
def query(query: str, limit: int, after: str, output_format: str, where: Where) -> None:
    """Find audit events with a QUERY.

    \b
    tctl audit query "SELECT time, user, event FROM events WHERE user = 'alice' AND time > now() - 7d LIMIT 50"
    tctl audit query "SELECT * FROM events WHERE event IN ('exec', 'session.start') AND server_labels.env = 'prod'"
    tctl audit query "SELECT user, COUNT(*) FROM events WHERE code LIKE 'T1%W' GROUP BY user"
    """
    from teleport.model.event_fields import check
    from teleport.model.event_query_parser import parse

    wanted = parse(query)
    check(wanted)
    rows, following = call(where, _collect(query, limit, after))
    if wanted.counts:
        rows = rows[: wanted.limit or None]
    if output_format != "text":
        show({"rows": rows, "next": following}, output_format)
        return
    columns = list(wanted.columns or _COLUMNS)
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    for line in table(columns, cells, width=terminal_width(_WIDTH), wide=columns[-1]):
        click.echo(line)
    if following:
        click.echo(f"There is more: tctl audit query --after {following} ...", err=True)


def _collect(query: str, limit: int, after: str) -> Callable[[AuthClient], Any]:
    """Gather one full page, or all counts: a page of the server may end early, when its share of the work is done."""

    async def collect(client: AuthClient) -> tuple[list[dict[str, Any]], str]:
        from teleport.api.audit_query_calls import AuditQueryCalls

        calls = AuditQueryCalls(client)
        rows: list[dict[str, Any]] = []
        counts: Counter[str] = Counter()
        following, page = after, QueryPage(())
        while True:
            page = await calls.page(query, limit=limit - len(rows), after=following)
            following = page.next
            if page.counts:
                _add(counts, page)
            else:
                rows += page.rows
            if not following or (not page.counts and len(rows) >= limit):
                break
        return (_totals(counts), "") if page.counts else (rows, following)

    return collect


def _add(counts: Counter[str], page: QueryPage) -> None:
    for row in page.rows:
        key = json.dumps({name: value for name, value in row.items() if name != "count"}, sort_keys=True)
        counts[key] += int(row["count"])


def _totals(counts: Counter[str]) -> list[dict[str, Any]]:
    return [{**json.loads(key), "count": count} for key, count in counts.most_common()]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), sort_keys=True)
