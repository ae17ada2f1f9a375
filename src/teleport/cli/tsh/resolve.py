"""tsh resolve: which node a name means."""

from __future__ import annotations

from typing import Any

import click

from teleport.api.client import AuthClient
from teleport.base.errors import BadParameter, NotFound
from teleport.base.text import label_text, table
from teleport.cli.common import format_option, show
from teleport.cli.tsh.session import call, collect
from teleport.cli.tsh.who import who_options
from teleport.client.credentials import Wanted
from teleport.model import node_lookup, resource
from teleport.model.kinds.node import Node
from teleport.model.resource import Resource


@click.command("resolve")
@click.argument("host", metavar="HOST[:PORT]")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing on success; the exit status is the answer.")
@who_options
@format_option
def resolve(host: str, quiet: bool, who: Wanted, output_format: str) -> None:
    """Show the node that a name means, as the proxy would find it.

    \b
    tsh resolve node-1
    tsh resolve -q node-1.example.com && ssh -F <(tsh config) alice@node-1.example.com
    """
    wanted = node_lookup.parse(host)

    async def ask(client: AuthClient) -> tuple[list[Resource[Any]], str]:
        return await collect(client.list("node")), (await client.ping())[0]

    nodes, cluster = call(who, ask)
    found = node_lookup.find([node for node in nodes if isinstance(node, Node)], wanted, cluster)
    if not found:
        raise NotFound("CLIENT-NO-MATCH", host=host[:100])
    if len(found) > 1:
        names = ", ".join(node.name for node in found[:10])
        raise BadParameter("CLIENT-SEVERAL-MATCHES", host=host[:100], count=len(found), names=names)
    if quiet:
        return
    (node,) = found
    if output_format != "text":
        show(resource.dump(node), output_format)
        return
    row = [node.spec.hostname, node.name, node.spec.addr, label_text(node.labels_now())]
    for line in table(["Node Name", "Node ID", "Address", "Labels"], [row]):
        click.echo(line)
