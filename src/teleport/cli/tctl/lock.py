"""tctl lock: cut off a user, role, login or server at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, TypeVar

import click

from teleport.base.clock import SystemClock
from teleport.base.errors import BadParameter
from teleport.base.struct import Duration
from teleport.cli.tctl.session import Where, call, where_options
from teleport.model import resource

F = TypeVar("F", bound=Callable[..., Any])

_TARGETS = {
    "--user": "Name of a user.",
    "--role": "Name of a role.",
    "--login": "A login of hosts.",
    "--server-id": "UUID of a server.",
    "--join-token": "Name of a join token: whoever joined with it.",
    "--mfa-device": "UUID of a second factor.",
    "--windows-desktop": "Name of a desktop.",
    "--access-request": "UUID of an access request.",
    "--device": "UUID of a trusted device.",
    "--bot-instance-id": "UUID of a bot instance.",
}
"""Options, each the field of a lock's target. Which of them this build enforces, the lock itself says."""


def _target_options(function: F) -> F:
    for name, text in reversed(_TARGETS.items()):
        function = click.option(name, help=text)(function)
    return function


@click.command("lock")
@_target_options
@click.option("--message", default="", help="Shown to those whom the lock refuses.")
@click.option("--expires", default="", help="End of the lock, RFC 3339.")
@click.option("--ttl", default="", help="Length of the lock, for example 2h.")
@where_options
def lock(message: str, expires: str, ttl: str, where: Where, **targets: str | None) -> None:
    """Create a lock. All targets that are named must match.

    \b
    tctl lock --user=alice --message="Suspicious activity" --ttl=2h
    """
    created({name: value for name, value in targets.items() if value}, message, expires, ttl, where)


def created(target: dict[str, str], message: str, expires: str, ttl: str, where: Where) -> None:
    """Create a lock and say its name. Raises BadParameter (CLI-LOCK-TIMES, KIND-*)."""
    if expires and ttl:
        raise BadParameter("CLI-LOCK-TIMES")
    spec: dict[str, object] = {"target": target}
    if message:
        spec["message"] = message
    if ttl:
        end = SystemClock().now() + Duration.parse(ttl).delta
        expires = end.astimezone(dt.UTC).isoformat(timespec="seconds")
    if expires:
        spec["expires"] = expires
    wanted = resource.load({"kind": "lock", "version": "v2", "spec": spec})
    made = call(where, lambda client: client.create(wanted))
    click.echo(f'Created a lock with name "{made.name}".')
