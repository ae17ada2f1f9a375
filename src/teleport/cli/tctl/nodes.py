"""tctl nodes: registered SSH servers, and an invitation for another."""

from __future__ import annotations

import click

from teleport.base.struct import Duration
from teleport.base.text import parse_labels, table, terminal_width
from teleport.cli.common import format_option, show
from teleport.cli.tctl.session import Where, call, collect, where_options
from teleport.cli.tctl.tokens import instruct, make
from teleport.model import resource
from teleport.model.kinds.node import Node


@click.command("nodes add")
@click.option("--roles", default="node", show_default=True, help="What the host may become, separated by commas.")
@click.option("--ttl", default="30m", show_default=True, help="How long the invitation is valid.")
@click.option("--token", "value", default="", help="The token itself [32 random hexadecimal digits].")
@click.option("-n", "--namespace", type=click.Choice(["default"]), hidden=True, expose_value=False)
@format_option
@where_options
def add(roles: str, ttl: str, value: str, output_format: str, where: Where) -> None:
    """Make a token for an SSH server, and say how it joins.

    \b
    tctl nodes add --ttl=1h
    tctl nodes add --roles=node,proxy
    """
    token = make(roles, value, "", ttl, where)
    if output_format == "text":
        instruct(token, Duration.parse(ttl), where)
    else:
        end = token.metadata.expires
        document = {"token": token.name, "roles": list(token.spec.roles), "expires": end.isoformat() if end else ""}
        show(document, output_format)


@click.command("nodes ls")
@click.argument("selector", metavar="[LABELS]", default="")
@click.option("--search", default="", help="Words, separated by commas, that must occur in name or labels.")
@click.option("--query", default="", help='A predicate, for example \'labels["env"] == "prod"\'.')
@click.option("-v", "--verbose", is_flag=True, help="Show whole labels.")
@click.option("-n", "--namespace", type=click.Choice(["default"]), hidden=True, expose_value=False)
@format_option
@where_options
def ls(selector: str, search: str, query: str, verbose: bool, output_format: str, where: Where) -> None:
    """List SSH servers."""
    wanted = parse_labels(selector)
    words = tuple(word for word in search.split(",") if word)
    nodes = call(where, lambda client: collect(client.list("node", labels=wanted, search=words, query=query)))
    if output_format != "text":
        show([resource.dump(node) for node in nodes], output_format)
        return
    columns = Node.info.columns
    rows = [[column.cell(node) for column in columns] for node in nodes]
    for line in table([column.heading for column in columns], rows, width=0 if verbose else terminal_width()):
        click.echo(line)
