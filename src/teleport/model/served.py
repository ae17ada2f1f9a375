"""Served: what heartbeats of agents for databases, applications and Kubernetes clusters have in common.

A heartbeat says which agent serves which thing, and holds the thing itself. Its name is the thing's, its sub-kind the
id of the agent's host: several agents may serve the same.
"""

from __future__ import annotations

from typing import Any

from teleport.base.errors import BadParameter
from teleport.base.struct import Struct
from teleport.model.later import Unacted, check_later
from teleport.model.naming import check_metadata, check_name, check_names, check_text
from teleport.model.resource import Resource

MOST_PROXIES = 64
"""Proxies to which an agent may keep tunnels."""


class ServerSpec(Struct, frozen=True, kw_only=True):
    """Which agent it is."""

    host_id: str
    hostname: str = ""
    version: str = ""
    proxy_ids: tuple[str, ...] = ()
    """Ids of the proxies to which it keeps tunnels, where those reach it over each other."""
    rotation: Unacted = None


def check_server(server: Resource[Any], served: Resource[Any]) -> None:
    """Raise BadParameter (KIND-*) for values out of grammar, NotSupported for unacted fields."""
    kind, spec, about = server.info.name, server.spec, served.metadata
    check_later(kind, spec)
    check_name("host", spec.host_id)
    if spec.hostname:
        check_name("host", spec.hostname)
    check_text(kind, "spec.version", spec.version)
    check_names("proxy", spec.proxy_ids)
    if len(spec.proxy_ids) > MOST_PROXIES:
        raise BadParameter("KIND-FIELD", kind=kind, problem=f"it names more than {MOST_PROXIES} proxies")
    check_metadata(served.info.name, about.name, about.description, about.labels, about.namespace)
    served.check()
    if (server.name, server.sub_kind) != (served.name, spec.host_id):
        problem = "its name is not that of what it serves, or its sub_kind not the id of its host"
        raise BadParameter("KIND-FIELD", kind=kind, problem=problem)
