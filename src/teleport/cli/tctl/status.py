"""tctl status: name, version, authorities and pin of the cluster."""

from __future__ import annotations

import click

from teleport.base.text import pairs
from teleport.cli.common import format_option, show
from teleport.cli.tctl.session import Where, call, where_options


@click.command("status")
@format_option
@where_options
def status(output_format: str, where: Where) -> None:
    """Show the cluster, the state of its authorities and the CA pin."""
    found = call(where, lambda client: client.status())
    if output_format != "text":
        show(
            {
                "cluster": found.cluster,
                "version": found.version,
                "authorities": [
                    {"type": a.type, "state": a.state, "phase": a.phase, "last_rotated": a.last_rotated}
                    for a in found.authorities
                ],
                "ca_pins": list(found.ca_pins),
            },
            output_format,
        )
        return
    rows = {"Cluster": found.cluster, "Version": found.version}
    for authority in found.authorities:
        rows[f"{authority.type.capitalize()} CA"] = (
            f"rotated {authority.last_rotated}" if authority.last_rotated else "never updated"
        )
    for number, pin in enumerate(found.ca_pins):
        rows["CA pin" + " " * number] = pin
    for line in pairs(rows):
        click.echo(line)
