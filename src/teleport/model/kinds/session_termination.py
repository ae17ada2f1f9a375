"""session_termination: the wish of somebody entitled to it that a running session end, on its way to the node.

It is named like the session and lives for minutes. Whoever may change or remove the session's tracker may make one
(`auth.session_ending`); the node that holds the session hears of it over the watch that it has anyway.
"""

from __future__ import annotations

from teleport.base.struct import Struct
from teleport.model.naming import check_name, check_text
from teleport.model.resource import NAME, Column, Resource, Time, kind


class SessionTerminationSpec(Struct, frozen=True, kw_only=True):
    """Why, and by whom. All but the message is written by the auth service."""

    message: str = ""
    """Shown to whoever is in the session."""
    server_id: str = ""
    """The host that holds the session; only its service is told."""
    host_user: str = ""
    """Whose session it is."""
    created_by: str = ""
    created_at: Time | None = None


@kind(
    key="session_terminations",
    versions=("v1",),
    aliases=("session_terminations",),
    writable=("create", "edit"),
    columns=(
        Column("Session", NAME.cell),
        Column("User", lambda ending: str(ending.spec.host_user)),
        Column("Ended by", lambda ending: str(ending.spec.created_by)),
        Column("Message", lambda ending: str(ending.spec.message)),
    ),
    events={"create": ("session.terminate", "TST00I"), "update": ("session.terminate", "TST00I")},
)
class SessionTermination(Resource[SessionTerminationSpec], frozen=True, kw_only=True, tag="session_termination"):
    """The end of a session, asked for."""

    spec: SessionTerminationSpec = SessionTerminationSpec()

    def check(self) -> None:
        """Raise BadParameter (KIND-*) for texts out of grammar."""
        check_name("session", self.name)
        check_text("session_termination", "spec.message", self.spec.message)
