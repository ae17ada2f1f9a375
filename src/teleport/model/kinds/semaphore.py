"""semaphore: who holds places of something of which only so many may be held at one time in the whole cluster.

One kind of places exists: `connection`, the SSH connections of the user whose name the semaphore has. A service
writes the leases of its own host, all of them each time; the auth service keeps those of others, gives every lease
its end and refuses one too many (`auth.semaphores`). A lease that is not renewed ends by itself.
"""

from __future__ import annotations

from teleport.base.errors import BadParameter
from teleport.base.struct import Struct
from teleport.model.naming import check_name, check_text
from teleport.model.resource import NAME, Column, Resource, Time, kind

CONNECTION = "connection"
"""Sub-kind of the places of SSH connections."""
MOST_LEASES = 10_000
"""Leases of one semaphore, so that it stays a document of reasonable size."""


class Lease(Struct, frozen=True, kw_only=True):
    """One place that is held."""

    lease_id: str
    holder: str = ""
    """Id of the host whose service holds it; the auth service writes it."""
    expires: Time | None = None
    """The auth service writes it, by its own clock."""


class SemaphoreSpec(Struct, frozen=True, kw_only=True):
    """The leases."""

    leases: tuple[Lease, ...] = ()
    max_leases: int = 0
    """How many its last writer accepts, its own included; 0: any number."""


@kind(
    key="semaphores",
    versions=("v3",),
    aliases=("semaphores", "sem", "sems"),
    writable=("rm",),
    by_sub_kind=True,
    columns=(
        Column("Kind", lambda semaphore: str(semaphore.sub_kind)),
        Column("Name", NAME.cell),
        Column("Leases", lambda semaphore: str(len(semaphore.spec.leases))),
        Column("Expires", lambda semaphore: str(semaphore.metadata.expires or "")),
    ),
)
class Semaphore(Resource[SemaphoreSpec], frozen=True, kw_only=True, tag="semaphore"):
    """Places that are held; named by whose they are."""

    spec: SemaphoreSpec = SemaphoreSpec()

    def check(self) -> None:
        """Raise BadParameter (KIND-*) for names out of grammar, an unknown sub-kind, too many leases."""
        check_name("user", self.name)
        if self.sub_kind != CONNECTION:
            raise BadParameter("KIND-SEMAPHORE", problem=f"its sub-kind is not {CONNECTION}")
        if len(self.spec.leases) > MOST_LEASES or self.spec.max_leases < 0:
            raise BadParameter("KIND-SEMAPHORE", problem=f"it has more than {MOST_LEASES} leases, or fewer than none")
        for lease in self.spec.leases:
            check_name("lease_id", lease.lease_id)
            check_text("semaphore", "spec.leases.holder", lease.holder)
