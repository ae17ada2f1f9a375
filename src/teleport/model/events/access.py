"""Events of refusals: of who they are (`auth`) and of what they may do (`access.denied`)."""

from __future__ import annotations

from typing import Annotated

from teleport.model.events.base import Level, Public, Sensitive, event
from teleport.model.events.session import ServerEvent


@event("T3007W")
class AuthAttempt(ServerEvent, frozen=True, kw_only=True, tag="auth"):
    """A connection was refused in authentication, after its caller had proven a key."""

    success: Annotated[bool, Level.PUBLIC] = False
    error: Sensitive = ""
    message: Sensitive = ""
    decision_id: Public = ""
    """Id for `tctl access explain`."""


@event("TAD00W")
class AccessDenied(ServerEvent, frozen=True, kw_only=True, tag="access.denied"):
    """A decision was no. Repeated identical denials are one record with a count."""

    decision_id: Public
    """Id for `tctl access explain`; of the first denial where `count` is more than 1."""
    action: Public
    """What was asked for, for example `ssh` or `role:create`."""
    target_kind: Public = ""
    target: Sensitive = ""
    """Name of the resource."""
    count: Annotated[int, Level.PUBLIC] = 1
    reason: Sensitive = ""
    """Code of the denial."""
