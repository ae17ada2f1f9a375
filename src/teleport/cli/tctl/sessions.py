"""tctl sessions: sessions that run now."""

from __future__ import annotations

import click

from teleport.cli.common import format_option
from teleport.cli.sessions import chosen_kinds, kind_option, message_option, print_ended, print_sessions, terminate
from teleport.cli.tctl.session import Where, call, collect, where_options


@click.command("sessions ls")
@kind_option
@format_option
@where_options
def ls(kinds: str, output_format: str, where: Where) -> None:
    """List running sessions."""
    chosen = chosen_kinds(kinds)
    print_sessions(call(where, lambda client: collect(client.list("session_tracker"))), chosen, output_format)


@click.command("sessions terminate")
@click.argument("session_id")
@message_option
@where_options
def end(session_id: str, message: str, where: Where) -> None:
    """End a running session. Whoever is in it is told who ended it, and why.

    \b
    tctl sessions terminate 5cee949f-5203-4f3b-9805-dac35d798a16 --message "maintenance at noon"
    """
    print_ended(session_id, call(where, lambda client: terminate(client, session_id, message)))
