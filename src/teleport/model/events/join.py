"""Events of joining: a host became, or did not become, a part of the cluster."""

from __future__ import annotations

from typing import Annotated

import msgspec

from teleport.model.events.base import Event, Level, Public, Sensitive, event


@event("TJ002I", "TJ002E")
class InstanceJoin(Event, frozen=True, kw_only=True, tag="instance.join"):
    """A host joined, or was turned away."""

    success: Annotated[bool, Level.PUBLIC]
    host_id: Public = ""
    node_name: Sensitive = ""
    role: Public = ""
    method: Public = "token"
    token_name: Public = ""
    """Masked."""
    error: Sensitive = ""
    addr_remote: Sensitive = msgspec.field(default="", name="addr.remote")
