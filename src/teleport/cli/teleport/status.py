"""teleport status: where a shell is - inside of a session of this cluster, or not.

Nothing is asked of anybody: the SSH Service tells the session's facts in its environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import click

from teleport.base.escape import escape


@click.command("status")
def status() -> None:
    """Show the session that this shell belongs to."""
    click.echo("\n".join(lines(os.environ)))


def lines(environment: Mapping[str, str]) -> list[str]:
    """Return what is printed. A fact that the session does not have leaves its line out."""
    user, session = _fact(environment, "SSH_TELEPORT_USER"), _fact(environment, "SSH_SESSION_ID")
    if not (user and session):
        return ["You are not inside of a Teleport SSH session"]
    login = _fact(environment, "USER") or _fact(environment, "LOGNAME")
    client = _fact(environment, "SSH_CLIENT").partition(" ")[0]
    cluster, proxy = _fact(environment, "SSH_TELEPORT_CLUSTER_NAME"), _fact(environment, "SSH_SESSION_WEBPROXY_ADDR")
    shown = [f"User ID     : {user}, logged in as {login}" + (f" from {client}" if client else "")]
    if cluster:
        shown.append(f"Cluster Name: {cluster}")
    if host := _fact(environment, "SSH_TELEPORT_HOST_UUID"):
        shown.append(f"Host UUID   : {host}")
    shown.append(f"Session ID  : {session}")
    if proxy and cluster:
        shown.append(f"Session URL : https://{proxy}/web/cluster/{cluster}/console/session/{session}")
    return shown


def _fact(environment: Mapping[str, str], name: str) -> str:
    return escape(environment.get(name, "").strip())
