"""tsh sessions ls: sessions that run now - your own, and those that your roles let you see."""

from __future__ import annotations

import click

from teleport.cli.common import format_option
from teleport.cli.sessions import chosen_kinds, kind_option, print_sessions
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
