"""Running sessions as both `tsh` and `tctl` list them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

import click

from teleport.base.errors import BadParameter
from teleport.base.text import table, terminal_width
from teleport.cli.common import show
from teleport.model import resource
from teleport.model.kinds.session_tracker import SessionKind, SessionTracker
from teleport.model.resource import Resource

KINDS: tuple[str, ...] = get_args(SessionKind)

kind_option = click.option(
    "--kind", "kinds", default="", metavar="KINDS", help=f"Only these kinds, separated by commas: {', '.join(KINDS)}."
)


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
    for line in table([column.heading for column in columns], rows, width=terminal_width()):
        click.echo(line)
