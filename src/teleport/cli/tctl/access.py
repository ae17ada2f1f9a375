"""tctl access: why something was refused, and what would be decided now."""

from __future__ import annotations

import click

from teleport.access import explain as words
from teleport.base.struct import convert
from teleport.cli.common import format_option, show
from teleport.cli.tctl.session import Where, call, where_options


@click.command("access explain")
@click.argument("decision", metavar="ID")
@format_option
@where_options
def explain(decision: str, output_format: str, where: Where) -> None:
    """Show the whole reasoning behind a refusal: every role, the nearest miss, and what would help.

    Needs the right to read roles and audit events. The id stands in the error that the user saw.
    """
    found = call(where, lambda client: client.explain(decision))
    if output_format != "text":
        show(
            {
                "id": found.id,
                "count": found.count,
                "first_seen": found.first_seen.isoformat(),
                "last_seen": found.last_seen.isoformat(),
                "reporter": found.reporter,
                "denial": found.denial,
            },
            output_format,
        )
        return
    click.echo(words.tree(convert(found.denial, words.Record)))
    often = "once" if found.count == 1 else f"{found.count} times since {found.first_seen:%Y-%m-%d %H:%M:%S}Z"
    click.echo(f"seen {often}, last {found.last_seen:%Y-%m-%d %H:%M:%S}Z, decided by {found.reporter}")


@click.command("access can")
@click.argument("user")
@click.argument("target", metavar="LOGIN@NODE")
@format_option
@where_options
def can(user: str, target: str, output_format: str, where: Where) -> None:
    """Say whether a user may log in to a node now, by the same decision that the node makes.

    \b
    tctl access can alice root@node-1
    """
    login, _, node = target.rpartition("@")
    verdict = call(where, lambda client: client.can(user, login, node))
    if output_format != "text":
        show({"granted": verdict.granted, "decision": verdict.decision}, output_format)
    elif verdict.granted:
        click.echo(f"yes: role {verdict.decision['role']} grants it")
    else:
        click.echo(words.tree(convert(verdict.decision, words.Record)))
