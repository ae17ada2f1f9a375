"""Events of joining: a host or a bot became, or did not become, a part of the cluster."""

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
    method: Public = ""
    token_name: Public = ""
    """Masked."""
    attributes: Annotated[dict[str, str], Level.SENSITIVE] = {}
    """What the proof of the join method said: account, repository, namespace and so on."""
    error: Sensitive = ""
    addr_remote: Sensitive = msgspec.field(default="", name="addr.remote")


@event("TJ001I", "TJ001E")
class BotJoin(Event, frozen=True, kw_only=True, tag="bot.join"):
    """A bot joined, or was turned away."""

    success: Annotated[bool, Level.PUBLIC]
    bot_name: Sensitive = ""
    method: Public = ""
    token_name: Public = ""
    """Masked."""
    attributes: Annotated[dict[str, str], Level.SENSITIVE] = {}
    error: Sensitive = ""
    addr_remote: Sensitive = msgspec.field(default="", name="addr.remote")
