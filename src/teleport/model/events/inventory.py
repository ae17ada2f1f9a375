"""Events of the inventory."""

from __future__ import annotations

import msgspec

from teleport.model.events.base import Event, Public, Sensitive, event


@event("TIN00W")
class InstanceClone(Event, frozen=True, kw_only=True, tag="instance.clone"):
    """Two processes act under the same host id at the same time: a data directory or a whole machine was copied."""

    server_id: Public
    hostname: Sensitive = ""
    addr_remote: Sensitive = msgspec.field(default="", name="addr.remote")
    other_hostname: Sensitive = ""
    other_addr_remote: Sensitive = msgspec.field(default="", name="other_addr.remote")
