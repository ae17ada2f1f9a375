"""cluster_name: the name of this cluster and its random id. Set once, by the first start of the Auth Service."""

from __future__ import annotations

from teleport.base.struct import Struct
from teleport.model.naming import check_cluster_name, check_name
from teleport.model.resource import Column, Resource, kind


class ClusterNameSpec(Struct, frozen=True, kw_only=True):
    """The name, which every certificate carries, and an id that no other cluster has."""

    cluster_name: str
    cluster_id: str = ""


@kind(
    key="cluster_name",
    versions=("v2",),
    singleton="cluster-name",
    writable=(),
    columns=(Column("Cluster Name", lambda it: str(it.spec.cluster_name)),),
)
class ClusterName(Resource[ClusterNameSpec], frozen=True, kw_only=True, tag="cluster_name"):
    """The cluster's own name; changing it would make every certificate invalid, so nothing does."""

    def check(self) -> None:
        """Raise BadParameter (KIND-NAME) for a name that cannot be part of host names."""
        check_cluster_name(self.spec.cluster_name)
        if self.spec.cluster_id:
            check_name("cluster id", self.spec.cluster_id)
