"""Bootstrap: what the first start of a cluster creates: its name, its authorities, the preset roles.

All of it is one commit, so that a crash leaves either a whole cluster or none; keys that the signer made
for a start that did not finish are never referred to. Later starts change nothing, but for authorities that a
cluster of an earlier version does not have yet.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

from teleport.auth import presets
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy, new_uuid
from teleport.base.errors import AlreadyExists, BadParameter, NotFound
from teleport.model.events.base import caller_fields
from teleport.model.events.resource import change_event
from teleport.model.identity import Identity
from teleport.model.kinds.cert_authority import SERVED_TYPES, CaType, CertAuthority
from teleport.model.kinds.cluster_name import ClusterName, ClusterNameSpec
from teleport.model.resource import Metadata, Resource
from teleport.pki import authority
from teleport.pki.signer import Signer
from teleport.store.audit.log import AuditLog
from teleport.store.backend import Absent, Backend, Op
from teleport.store.resources import Resources

_END_OF_TIME = 9999


async def ensure(
    backend: Backend,
    resources: Resources,
    audit: AuditLog,
    signer: Signer,
    clock: Clock,
    entropy: Entropy,
    cluster: str,
) -> ClusterName:
    """Create the cluster if there is none, and return its name and id.

    Raises BadParameter (AUTH-OTHER-CLUSTER) when the store belongs to a cluster of another name.
    """
    work = _Work(resources, audit, signer, clock.now(), entropy, cluster)
    for _ in range(2):
        try:
            found = _same(await resources.get(ClusterName, ""), cluster)
            missing = set(SERVED_TYPES) - {ca.sub_kind for ca in await resources.list(CertAuthority)}
            if not missing:
                return found
            ops = work.create(*[await work.authority(ca_type) for ca_type in SERVED_TYPES if ca_type in missing])
        except NotFound:
            ops = await work.everything()
        try:
            await backend.commit(*ops)
        except AlreadyExists:
            continue  # another process was first
    return _same(await resources.get(ClusterName, ""), cluster)


class _Work(NamedTuple):
    """What is needed to make the parts of a cluster."""

    resources: Resources
    audit: AuditLog
    signer: Signer
    now: dt.datetime
    entropy: Entropy
    cluster: str

    async def everything(self) -> list[Op]:
        name = ClusterName(
            version="v2", metadata=Metadata(name=ClusterName.info.singleton),
            spec=ClusterNameSpec(cluster_name=self.cluster, cluster_id=new_uuid(self.entropy)),
        )  # fmt: skip
        name.check()
        authorities = [await self.authority(ca_type) for ca_type in SERVED_TYPES]
        return self.create(name, *authorities, *presets.roles())

    async def authority(self, ca_type: CaType) -> CertAuthority:
        return await authority.create(self.signer, ca_type, self.cluster, now=self.now, entropy=self.entropy)

    def create(self, *made: Resource[Any]) -> list[Op]:
        by = Identity(
            name="system", cluster=self.cluster, kind="host", roles=("Auth",),
            expires=self.now.replace(year=_END_OF_TIME),
        )  # fmt: skip
        events = [self.audit.op(change_event("create", resource, **caller_fields(by))) for resource in made]
        return [*(self.resources.put_op(resource, Absent()) for resource in made), *events]


def _same(found: ClusterName, cluster: str) -> ClusterName:
    stored = found.spec.cluster_name
    if stored != cluster:
        raise BadParameter("AUTH-OTHER-CLUSTER", stored=stored, configured=cluster)
    return found
