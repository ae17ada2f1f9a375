"""tctl lock: cut off a user, role, login or server at once."""

from __future__ import annotations

import datetime as dt

import click

from teleport.base.clock import SystemClock
from teleport.base.errors import BadParameter
from teleport.base.struct import Duration
from teleport.cli.tctl.session import Where, call, where_options
from teleport.model import resource


@click.command("lock")
@click.option("--user", help="Name of a user.")
@click.option("--role", help="Name of a role.")
@click.option("--login", help="A login of hosts.")
@click.option("--server-id", help="UUID of a server.")
@click.option("--message", default="", help="Shown to those whom the lock refuses.")
@click.option("--expires", default="", help="End of the lock, RFC 3339.")
@click.option("--ttl", default="", help="Length of the lock, for example 2h.")
@where_options
def lock(
    user: str | None,
    role: str | None,
    login: str | None,
    server_id: str | None,
    message: str,
    expires: str,
    ttl: str,
    where: Where,
) -> None:
    """Create a lock. All targets that are named must match.

    \b
    tctl lock --user=alice --message="Suspicious activity" --ttl=2h
    """
    if expires and ttl:
        raise BadParameter("CLI-LOCK-TIMES")
    targets = {"user": user, "role": role, "login": login, "server_id": server_id}
    spec: dict[str, object] = {"target": {name: value for name, value in targets.items() if value}}
    if message:
        spec["message"] = message
    if ttl:
        end = SystemClock().now() + Duration.parse(ttl).delta
        expires = end.astimezone(dt.UTC).isoformat(timespec="seconds")
    if expires:
        spec["expires"] = expires
    wanted = resource.load({"kind": "lock", "version": "v2", "spec": spec})
    created = call(where, lambda client: client.create(wanted))
    click.echo(f'Created a lock with name "{created.name}".')
