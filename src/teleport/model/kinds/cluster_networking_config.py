"""cluster_networking_config: how long connections may be silent, for every service of the cluster.

There is one in a cluster, made by its first start. Services follow it: what is changed holds for connections from then
on, wherever they are served.
"""

from __future__ import annotations

from typing import Annotated, Any

from teleport.base.errors import BadParameter
from teleport.base.struct import Duration, Struct
from teleport.model.later import Later, Unacted, UnactedSwitch, check_later
from teleport.model.resource import Column, Resource, kind


class ClusterNetworkingConfigSpec(Struct, frozen=True, kw_only=True):
    """What people decide."""

    client_idle_timeout: Duration = Duration(0)
    """After what time an SSH connection ends in which no session moves data; 0: not at all."""
    client_idle_timeout_message: str = ""
    """What the client is told then; empty: a text that names the time."""
    keep_alive_interval: Duration = Duration(300)
    """How often a node asks a silent client whether it is there; 0: never."""
    keep_alive_count_max: int = 3
    """Questions without an answer after which the client is taken for gone."""
    idle_timeout: Unacted = None
    web_idle_timeout: Unacted = None
    session_control_timeout: Unacted = None
    proxy_listener_mode: Unacted = None
    routing_strategy: Annotated[Any, Later(("unambiguous_match", 0))] = None
    tunnel_strategy: Annotated[Any, Later(({"type": "agent_mesh"},))] = None
    proxy_ping_interval: Unacted = None
    assist_command_execution_workers: Unacted = None
    case_insensitive_routing: UnactedSwitch = None
    ssh_dial_timeout: Unacted = None


@kind(
    key="cluster_networking_config",
    versions=("v2",),
    singleton="cluster-networking-config",
    aliases=("netconfig", "net_config", "networking", "networking_config"),
    writable=("create", "edit"),
    columns=(
        Column("Idle Timeout", lambda it: str(it.spec.client_idle_timeout)),
        Column("Keep Alive", lambda it: f"{it.spec.keep_alive_interval} x {it.spec.keep_alive_count_max}"),
    ),
    messages={
        "create": "cluster networking config has been created", "update": "cluster networking config has been updated",
    },
    events={
        "create": ("cluster_networking_config.update", "TCNET002I"),
        "update": ("cluster_networking_config.update", "TCNET002I"),
    },
)  # fmt: skip
class ClusterNetworkingConfig(
    Resource[ClusterNetworkingConfigSpec], frozen=True, kw_only=True, tag="cluster_networking_config"
):  # fmt: skip
    """How long connections may be silent."""

    def check(self) -> None:
        """Raise BadParameter (KIND-VALUE) for numbers that mean nothing, NotSupported for what is not acted on."""
        check_later("cluster_networking_config", self.spec)
        for field in ("client_idle_timeout", "keep_alive_interval"):
            if getattr(self.spec, field) < 0:
                raise _wrong(f"`{field}` is less than nothing")
        if self.spec.keep_alive_count_max < 1:
            raise _wrong("`keep_alive_count_max` is at least 1")


def _wrong(problem: str) -> BadParameter:
    return BadParameter("KIND-FIELD", kind="cluster_networking_config", problem=problem)
