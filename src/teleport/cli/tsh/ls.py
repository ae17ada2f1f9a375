"""tsh ls: the servers that you may reach."""

from __future__ import annotations

import click

from teleport.base.escape import escape
from teleport.base.text import label_text, parse_labels, table, terminal_width
from teleport.cli.common import FORMATS, show
from teleport.cli.tsh.session import call, collect
from teleport.cli.tsh.who import who_options
from teleport.client.credentials import Wanted
from teleport.model import resource
from teleport.model.kinds.node import Node, shown_address


@click.command("ls")
@click.argument("selector", metavar="[LABELS]", default="")
@click.option("--search", default="", help="Words, separated by commas, that must occur in name or labels.")
@click.option("--query", default="", help='A predicate, for example \'labels["env"] == "prod"\'.')
@click.option("-v", "--verbose", is_flag=True, help="Show the UUID and whole labels.")
@who_options
@click.option(
    "-f", "--format", "output_format", type=click.Choice([*FORMATS, "names"]), default="text", show_default=True,
    help="How to print the result; names: one name in each line.",
)  # fmt: skip
def ls(selector: str, search: str, query: str, verbose: bool, who: Wanted, output_format: str) -> None:
    """List the servers that you may reach.

    \b
    tsh ls
    tsh ls env=dev,team=web
    """
    wanted = parse_labels(selector)
    words = tuple(word for word in search.split(",") if word)
    found = call(who, lambda client: collect(client.list("node", labels=wanted, search=words, query=query)))
    nodes = [node for node in found if isinstance(node, Node)]
    nodes.sort(key=lambda node: (node.spec.hostname, node.name))
    if output_format == "names":
        for node in nodes:
            click.echo(escape(node.spec.hostname))
        return
    if output_format != "text":
        show([resource.dump(node) for node in nodes], output_format)
        return
    headings = ["Node Name", "Address", "Labels"]
    rows = [[node.spec.hostname, shown_address(node), label_text(node.labels_now())] for node in nodes]
    if verbose:
        headings.insert(1, "Node ID")
        for row, node in zip(rows, nodes, strict=True):
            row.insert(1, node.name)
    for line in table(headings, rows, width=0 if verbose else terminal_width()):
        click.echo(line)
