"""tctl sessions ls: sessions that run now."""

from __future__ import annotations

import click

from teleport.cli.common import format_option
from teleport.cli.sessions import chosen_kinds, kind_option, print_sessions
from teleport.cli.tctl.session import Where, call, collect, where_options


@click.command("sessions ls")
@kind_option
@format_option
@where_options
def ls(kinds: str, output_format: str, where: Where) -> None:
    """List running sessions."""
    chosen = chosen_kinds(kinds)
    print_sessions(call(where, lambda client: collect(client.list("session_tracker"))), chosen, output_format)
