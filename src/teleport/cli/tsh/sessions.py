"""tsh sessions: sessions that run now - your own, and those that your roles let you see."""

from __future__ import annotations

import click

from teleport.cli.common import format_option
from teleport.cli.sessions import chosen_kinds, kind_option, message_option, print_ended, print_sessions, terminate
from teleport.cli.tsh.session import call, collect
from teleport.cli.tsh.who import who_options
from teleport.client.credentials import Wanted


@click.command("sessions ls")
@kind_option
@format_option
@who_options
def ls(kinds: str, output_format: str, who: Wanted) -> None:
    """List running sessions: yours, and those that your roles let you see.

    \b
    tsh sessions ls
    tsh sessions ls --kind ssh --format json
    """
    chosen = chosen_kinds(kinds)
    print_sessions(call(who, lambda client: collect(client.list("session_tracker"))), chosen, output_format)


@click.command("sessions terminate")
@click.argument("session_id")
@message_option
@who_options
def end(session_id: str, message: str, who: Wanted) -> None:
    """End a running session: one of yours, or one whose tracker your roles let you update or delete.

    \b
    tsh sessions terminate 5cee949f-5203-4f3b-9805-dac35d798a16
    """
    print_ended(session_id, call(who, lambda client: terminate(client, session_id, message)))
