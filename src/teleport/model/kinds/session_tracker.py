"""session_tracker: a session that is running now, as the service that holds it tells of it.

It is a view for people, not evidence: what happened is in the audit log and the recording. A tracker is there
before its session runs, is prolonged while it does, goes with its end, and ends by itself when its service is gone.
"""

from __future__ import annotations

from typing import Any, Literal

from teleport.base.struct import Struct
from teleport.model.later import Unacted, check_later
from teleport.model.naming import check_name, check_text
from teleport.model.resource import NAME, Column, Resource, Time, kind

SessionKind = Literal["ssh", "k8s", "db", "app", "desktop"]


class Participant(Struct, frozen=True, kw_only=True):
    """Somebody who takes part."""

    id: str = ""
    user: str = ""
    mode: Literal["", "peer", "observer", "moderator"] = ""
    last_active: Time | None = None


class HostPolicy(Struct, frozen=True, kw_only=True):
    """A role of the one whose session it is, as it was when the session began."""

    name: str = ""
    version: str = ""
    require_session_join: Unacted = None


class SessionTrackerSpec(Struct, frozen=True, kw_only=True):
    """Who does what where."""

    session_id: str = ""
    kind: SessionKind = "ssh"
    state: Literal["pending", "running", "terminated"] = "pending"
    created: Time | None = None
    server_id: str = ""
    """The host whose service holds the session; only it may change the tracker."""
    host_user: str = ""
    """Whose session it is."""
    login: str = ""
    hostname: str = ""
    address: str = ""
    cluster: str = ""
    command: str = ""
    """Empty for a shell."""
    interactive: bool = False
    """Whether it has a terminal."""
    participants: tuple[Participant, ...] = ()
    reason: str = ""
    invited: tuple[str, ...] = ()
    host_policies: tuple[HostPolicy, ...] = ()
    """The owner's roles: they say who may join."""
    kubernetes_cluster: Unacted = None
    target_sub_kind: Unacted = None


def _created(tracker: Any) -> str:
    created = tracker.spec.created
    return f"{created:%Y-%m-%d %H:%M:%S} UTC" if created else ""


@kind(
    key="session_trackers",
    versions=("v1",),
    aliases=("session_trackers",),
    writable=("rm",),
    columns=(
        Column("ID", NAME.cell),
        Column("Kind", lambda tracker: str(tracker.spec.kind)),
        Column("Created", _created),
        Column("User", lambda tracker: str(tracker.spec.host_user)),
        Column("Target", lambda tracker: str(tracker.spec.hostname)),
        Column("Address", lambda tracker: str(tracker.spec.address)),
    ),
)
class SessionTracker(Resource[SessionTrackerSpec], frozen=True, kw_only=True, tag="session_tracker"):
    """A running session; its name is the session's id."""

    def check(self) -> None:
        """Raise BadParameter (KIND-*) for texts out of grammar, NotSupported for unacted fields."""
        spec = self.spec
        check_later("session_tracker", spec)
        for what, name in (("user", spec.host_user), ("server_id", spec.server_id), ("host", spec.hostname)):
            if name:
                check_name(what, name)
        texts = {
            "session_id": spec.session_id, "login": spec.login, "address": spec.address, "cluster": spec.cluster,
            "command": spec.command, "reason": spec.reason,
        }  # fmt: skip
        for field, text in texts.items():
            check_text("session_tracker", f"spec.{field}", text)
