"""kube_server: an agent that serves a Kubernetes cluster, as it last said of itself. It ends if not said again."""

from __future__ import annotations

from collections.abc import Mapping

from teleport.base.text import label_text
from teleport.model.kinds.kube_cluster import KubeCluster
from teleport.model.resource import Column, Resource, kind
from teleport.model.served import ServerSpec, check_server


class KubeServerSpec(ServerSpec, frozen=True, kw_only=True):
    """Which agent serves which cluster."""

    cluster: KubeCluster


@kind(
    key="kube_servers",
    versions=("v3",),
    aliases=("kube_servers",),
    by_sub_kind=True,
    selector="kubernetes_labels",
    writable=("rm",),
    columns=(
        Column("Cluster", lambda server: str(server.name)),
        Column("Labels", lambda server: label_text(server.labels_now())),
        Column("Version", lambda server: str(server.spec.version)),
    ),
    messages={"delete": 'kubernetes server "{name}" has been deleted'},
)
class KubeServer(Resource[KubeServerSpec], frozen=True, kw_only=True, tag="kube_server"):
    """A served cluster; its name is the cluster's, its sub-kind the id of the agent's host."""

    def check(self) -> None:
        """Raise BadParameter (KIND-*) for values out of grammar, NotSupported for unacted fields."""
        check_server(self, self.spec.cluster)

    def labels_now(self) -> Mapping[str, str]:
        """Labels of the cluster."""
        return self.spec.cluster.labels_now()
