"""teleport status: where a shell is - inside of a session of this cluster, or not.

Nothing is asked of anybody: the SSH Service tells the session's facts in its environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import click

from teleport.base.escape import escape
from teleport.cli.common import format_option, show


@click.command("status")
@format_option
def status(output_format: str) -> None:
    """Show the session that this shell belongs to."""
    if output_format == "text":
        click.echo("\n".join(lines(os.environ)))
    else:
        show(facts(os.environ), output_format)


def facts(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what is known of the session, empty where it does not say; nothing at all outside of one."""
    user, session = _fact(environment, "SSH_TELEPORT_USER"), _fact(environment, "SSH_SESSION_ID")
    if not (user and session):
        return {}
    cluster, proxy = _fact(environment, "SSH_TELEPORT_CLUSTER_NAME"), _fact(environment, "SSH_SESSION_WEBPROXY_ADDR")
    return {
        "user": user,
        "login": _fact(environment, "USER") or _fact(environment, "LOGNAME"),
        "client_address": _fact(environment, "SSH_CLIENT").partition(" ")[0],
        "cluster": cluster,
        "host_uuid": _fact(environment, "SSH_TELEPORT_HOST_UUID"),
        "session_id": session,
        "session_url": f"https://{proxy}/web/cluster/{cluster}/console/session/{session}" if proxy and cluster else "",
    }


def lines(environment: Mapping[str, str]) -> list[str]:
    """Return what is printed. A fact that the session does not have leaves its line out."""
    found = facts(environment)
    if not found:
        return ["You are not inside of a Teleport SSH session"]
    client = found["client_address"]
    rows = {
        "Cluster Name": found["cluster"], "Host UUID   ": found["host_uuid"], "Session ID  ": found["session_id"],
        "Session URL ": found["session_url"],
    }  # fmt: skip
    first = f"User ID     : {found['user']}, logged in as {found['login']}" + (f" from {client}" if client else "")
    return [first, *(f"{title}: {value}" for title, value in rows.items() if value)]


def _fact(environment: Mapping[str, str], name: str) -> str:
    return escape(environment.get(name, "").strip())
