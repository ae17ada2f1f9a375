"""Running sessions as both `tsh` and `tctl` list and end them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import aclosing
from typing import get_args

import click

from teleport.api.client import AuthClient
from teleport.base.errors import BadParameter
from teleport.base.text import table, terminal_width
from teleport.cli.common import show
from teleport.model import resource
from teleport.model.kinds.session_termination import SessionTermination, SessionTerminationSpec
from teleport.model.kinds.session_tracker import SessionKind, SessionTracker
from teleport.model.resource import Metadata, Resource

KINDS: tuple[str, ...] = get_args(SessionKind)

kind_option = click.option(
    "--kind", "kinds", default="", metavar="KINDS", help=f"Only these kinds, separated by commas: {', '.join(KINDS)}."
)

message_option = click.option("--message", default="", metavar="TEXT", help="Shown to whoever is in the session.")
ENDING = 10.0
"""Seconds to wait for the end of a session that was asked to end."""


def chosen_kinds(text: str) -> frozenset[str]:
    """Read the value of `--kind`; empty means all. Raises BadParameter (CLI-SESSION-KIND)."""
    wanted = [word.strip() for word in text.split(",") if word.strip()]
    for word in wanted:
        if word not in KINDS:
            raise BadParameter("CLI-SESSION-KIND", kind=word[:40], known=", ".join(KINDS))
    return frozenset(wanted or KINDS)


def print_sessions(found: Iterable[Resource[object]], kinds: frozenset[str], output_format: str) -> None:
    """Print trackers of these kinds, the oldest session first."""
    trackers = [each for each in found if isinstance(each, SessionTracker) and each.spec.kind in kinds]
    trackers.sort(key=lambda each: (each.spec.created.isoformat() if each.spec.created else "", each.name))
    if output_format != "text":
        show([resource.dump(each) for each in trackers], output_format)
        return
    columns = SessionTracker.info.columns
    rows = [[column.cell(each) for column in columns] for each in trackers]
    headings = [column.heading for column in columns]
    joined = [guests(each) for each in trackers]
    if any(joined):
        headings = [*headings, "Participants"]
        rows = [[*row, others] for row, others in zip(rows, joined, strict=True)]
    for line in table(headings, rows, width=terminal_width()):
        click.echo(line)


def guests(tracker: SessionTracker) -> str:
    """Return who has joined a session, with modes; its owner has the session's own id."""
    joined = (each for each in tracker.spec.participants if each.id != tracker.name)
    return ", ".join(f"{each.user} ({each.mode})" for each in joined)


async def terminate(client: AuthClient, session_id: str, message: str) -> bool:
    """Ask that a session end; say whether it has ended within ENDING seconds. Raises what `AuthClient.upsert` does."""
    wish = SessionTermination(
        version="v1", metadata=Metadata(name=session_id), spec=SessionTerminationSpec(message=message)
    )  # fmt: skip
    asked = False
    try:
        async with asyncio.timeout(ENDING), aclosing(client.watch("session_tracker")) as changes:
            async for change in changes:
                if change.type == "init":
                    await client.upsert(wish)
                    asked = True
                elif change.gone is not None and change.gone.name == session_id:
                    return True
    except TimeoutError:
        if not asked:
            raise
    return False


def print_ended(session_id: str, ended: bool) -> None:
    """Say what has become of a session that was asked to end."""
    if ended:
        click.echo(f"Session {session_id} has ended.")
    else:
        click.echo(f"Session {session_id} was asked to end; its node has not confirmed it yet.")
