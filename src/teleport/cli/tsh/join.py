"""tsh join: take part in a running session - looking on, typing too, or with the right to end it."""

from __future__ import annotations

import os
import re

import click

from teleport.base.clock import SystemClock
from teleport.base.errors import BadParameter
from teleport.cli.tsh.quick import chosen_cluster, credentials, resumes
from teleport.cli.tsh.session import ask
from teleport.cli.tsh.who import who_options
from teleport.client.credentials import Wanted
from teleport.model.kinds.role import JOIN_MODES
from teleport.model.kinds.session_tracker import SessionTracker
from teleport.model.login import JOIN, JOIN_MODE, JOIN_SESSION

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@click.command("join")
@click.option(
    "-m", "--mode", type=click.Choice(JOIN_MODES), default="observer", show_default=True,
    help="Look on, type too, or look on with the right to end the session.",
)  # fmt: skip
@click.option("-c", "--cluster", default="", help="Cluster of the session.")
@who_options
@click.argument("session_id")
def join(mode: str, cluster: str, who: Wanted, session_id: str) -> int:
    """Take part in a running session: one of yours, or one that your roles let you join.

    \b
    tsh join 5cee949f-5203-4f3b-9805-dac35d798a16
    tsh join --mode=peer 5cee949f-5203-4f3b-9805-dac35d798a16
    Ctrl-C leaves as observer and moderator, `~.` at the beginning of a line in every mode; `t` of a moderator ends the
    session. The exit status is that of the session, or 0 for who left it before its end.
    """
    id = checked(session_id)
    chosen = credentials(who)
    chosen.check_valid(SystemClock())
    found = ask(chosen, lambda client: client.get(SessionTracker.info.name, id))
    if not isinstance(found, SessionTracker) or found.spec.kind != "ssh":
        raise BadParameter("CLIENT-JOIN-KIND", session=id, kind=getattr(found.spec, "kind", "unknown"))
    from teleport.client import ssh as client
    from teleport.client.ssh_client.session import Ends
    from teleport.client.ssh_client.session import Wanted as Session
    from teleport.client.terminal import Terminal
    from teleport.wire.reach import Request

    node = found.spec.server_id
    request = Request(node, cluster or chosen_cluster(os.environ), JOIN)
    with chosen.in_use():
        tell = resumes(os.environ, off=False, quiet=False)
        connection = client.connect(chosen.home, chosen.profile, request, host=node, tell=tell)
        try:
            wanted = Session(environment={JOIN_SESSION: id, JOIN_MODE: mode})
            return client.run_on(connection, wanted, Ends(), Terminal(0, os.environ))
        finally:
            connection.close()


def checked(text: str) -> str:
    """Return the id of a session. Raises BadParameter (CLIENT-SESSION-ID)."""
    id = text.strip().lower()
    if _ID.fullmatch(id) is None:
        raise BadParameter("CLIENT-SESSION-ID", session=ascii(text[:80]))
    return id
