"""Bootstrap: what the first start of a cluster creates: its name, its authorities, the preset roles.

All of it is one commit, so that a crash leaves either a whole cluster or none; keys that the signer made
for a start that did not finish are never referred to. Later starts change nothing.
"""

from __future__ import annotations

from typing import Any

from teleport.auth import presets
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy, new_uuid
from teleport.base.errors import AlreadyExists, BadParameter, NotFound
from teleport.model.events.base import caller_fields
from teleport.model.events.resource import change_event
from teleport.model.identity import Identity
from teleport.model.kinds.cert_authority import SERVED_TYPES
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
    for _ in range(2):
        try:
            return _same(await resources.get(ClusterName, ""), cluster)
        except NotFound:
            pass
        try:
            await backend.commit(*await _everything(resources, audit, signer, clock, entropy, cluster))
        except AlreadyExists:
            continue  # another process was first
    return _same(await resources.get(ClusterName, ""), cluster)


async def _everything(
    resources: Resources, audit: AuditLog, signer: Signer, clock: Clock, entropy: Entropy, cluster: str
) -> list[Op]:
    now = clock.now()
    name = ClusterName(
        version="v2", metadata=Metadata(name=ClusterName.info.singleton),
        spec=ClusterNameSpec(cluster_name=cluster, cluster_id=new_uuid(entropy)),
    )  # fmt: skip
    name.check()
    authorities = [
        await authority.create(signer, ca_type, cluster, now=now, entropy=entropy) for ca_type in SERVED_TYPES
    ]  # fmt: skip
    by = Identity(name="system", cluster=cluster, kind="host", roles=("Auth",), expires=now.replace(year=_END_OF_TIME))
    made: list[Resource[Any]] = [name, *authorities, *presets.roles()]
    ops: list[Op] = [resources.put_op(resource, Absent()) for resource in made]
    return [*ops, *(audit.op(change_event("create", resource, **caller_fields(by))) for resource in made)]


def _same(found: ClusterName, cluster: str) -> ClusterName:
    stored = found.spec.cluster_name
    if stored != cluster:
        raise BadParameter("AUTH-OTHER-CLUSTER", stored=stored, configured=cluster)
    return found
