"""Events of accounts that a node makes for logins."""

from __future__ import annotations

from typing import Annotated

from teleport.model.events.base import Level, Public, Sensitive, event
from teleport.model.events.session import ServerEvent


@event("THU00I")
class HostUserCreate(ServerEvent, frozen=True, kw_only=True, tag="host_user.create"):
    """An account was made for a login."""

    mode: Public
    """`keep` or `insecure-drop`."""
    groups: Annotated[tuple[str, ...], Level.SENSITIVE] = ()
    sudoers: Annotated[tuple[str, ...], Level.SENSITIVE] = ()


@event("THU01I", "THU01E")
class HostUserDelete(ServerEvent, frozen=True, kw_only=True, tag="host_user.delete"):
    """An account that was made for a login was removed after its last session, or could not be."""

    error: Sensitive = ""

    def failed(self) -> bool:
        """Whether it is still there."""
        return bool(self.error)
