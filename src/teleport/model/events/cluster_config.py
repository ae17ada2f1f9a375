"""Events of settings that hold for the whole cluster."""

from __future__ import annotations

from teleport.model.events.base import event
from teleport.model.events.resource import ResourceEvent


@event("TCNET002I")
class NetworkingConfigUpdate(ResourceEvent, frozen=True, kw_only=True, tag="cluster_networking_config.update"):
    """Somebody changed how long connections may be silent."""
