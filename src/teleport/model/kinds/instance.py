"""instance: a process of the cluster, as it last described itself over its control stream.

The Auth Service writes it when a process comes and every few minutes while it stays; one that went without a word
ends by itself. What is connected right now is asked of the Auth Service (`api.services.inventory`).
"""

from __future__ import annotations

import datetime as dt

from teleport.base.errors import BadParameter
from teleport.base.struct import Struct
from teleport.base.version_order import ordered
from teleport.model.naming import check_name
from teleport.model.resource import NAME, Column, Resource, Time, kind

LIFE = dt.timedelta(minutes=20)
"""How long one lasts that is not heard of."""
NO_UPGRADER = "none"
MOST_SERVICES = 32


class InstanceSpec(Struct, frozen=True, kw_only=True):
    """What a process says of itself, and when it last did."""

    hostname: str = ""
    version: str = ""
    services: tuple[str, ...] = ()
    """System roles, sorted: `Auth`, `Node`, `Proxy` and so on."""
    last_seen: Time | None = None
    external_upgrader: str = ""
    """What keeps it up to date: `unit`, `kube`, `binary`; empty: nothing."""
    external_upgrader_version: str = ""
    clones: tuple[str, ...] = ()
    """Addresses of other processes that act under the same id at the same time."""


def version_cell(version: str) -> str:
    """Return a version as lists show it."""
    return f"v{version}" if version else ""


@kind(
    key="instances",
    versions=("v1",),
    aliases=("instances",),
    writable=("rm",),
    columns=(
        Column("Server ID", NAME.cell),
        Column("Hostname", lambda instance: str(instance.spec.hostname)),
        Column("Services", lambda instance: ",".join(instance.spec.services)),
        Column("Version", lambda instance: version_cell(instance.spec.version)),
        Column("Upgrader", lambda instance: instance.spec.external_upgrader or NO_UPGRADER),
    ),
)
class Instance(Resource[InstanceSpec], frozen=True, kw_only=True, tag="instance"):
    """A process; its name is the host's UUID."""

    spec: InstanceSpec = InstanceSpec()

    def check(self) -> None:
        """Raise BadParameter (KIND-*) for values out of grammar."""
        if self.spec.hostname:
            check_name("host", self.spec.hostname)
        if len(self.spec.services) > MOST_SERVICES:
            raise BadParameter("KIND-FIELD", kind="instance", problem=f"it has more than {MOST_SERVICES} services")
        for service in self.spec.services:
            check_name("service", service)
        if self.spec.version:
            ordered(self.spec.version)
        for word in filter(None, (self.spec.external_upgrader, self.spec.external_upgrader_version)):
            check_name("upgrader", word)
