"""kube_cluster: a Kubernetes cluster that agents may serve."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from teleport.base.errors import BadParameter
from teleport.base.struct import Secret, Struct
from teleport.base.text import label_text
from teleport.model.command_labels import CommandLabel, check_command_labels, with_results
from teleport.model.naming import check_text
from teleport.model.resource import NAME, Column, Resource, kind

_LARGEST_KUBECONFIG = 1 << 20
_NONE = Secret("")


class KubeAzure(Struct, frozen=True, kw_only=True):
    """A cluster of Azure."""

    resource_name: str = ""
    resource_group: str = ""
    tenant_id: str = ""
    subscription_id: str = ""


class KubeAws(Struct, frozen=True, kw_only=True):
    """A cluster of Amazon Web Services."""

    region: str = ""
    account_id: str = ""
    name: str = ""


class KubeGcp(Struct, frozen=True, kw_only=True):
    """A cluster of Google Cloud."""

    location: str = ""
    project_id: str = ""
    name: str = ""


class KubeClusterSpec(Struct, frozen=True, kw_only=True):
    """How agents reach it: one of four ways, or none where an agent knows one itself."""

    kubeconfig: Secret = _NONE
    """A kubeconfig file in base64: it holds credentials."""
    azure: KubeAzure | None = None
    aws: KubeAws | None = None
    gcp: KubeGcp | None = None
    dynamic_labels: dict[str, CommandLabel] = {}


@kind(
    key="kube_clusters",
    versions=("v3",),
    aliases=("kube_clusters", "kubernetes_cluster"),
    selector="kubernetes_labels",
    columns=(NAME, Column("Labels", lambda cluster: label_text(cluster.labels_now()))),
    messages={
        "create": 'kubernetes cluster "{name}" has been created',
        "update": 'kubernetes cluster "{name}" has been updated',
        "delete": 'kubernetes cluster "{name}" has been deleted',
    },
    events={
        "create": ("kube.create", "T3010I"),
        "update": ("kube.update", "T3011I"),
        "delete": ("kube.delete", "T3012I"),
    },
)
class KubeCluster(Resource[KubeClusterSpec], frozen=True, kw_only=True, tag="kube_cluster"):
    """A Kubernetes cluster."""

    spec: KubeClusterSpec = KubeClusterSpec()

    def check(self) -> None:
        """Raise BadParameter (KIND-*) for values out of grammar."""
        spec = self.spec
        ways = [name for name in ("kubeconfig", "azure", "aws", "gcp") if getattr(spec, name)]
        if len(ways) > 1:
            problem = f"only one of `kubeconfig`, `azure`, `aws`, `gcp` says how to reach it, here {' and '.join(ways)}"
            raise BadParameter("KIND-FIELD", kind="kube_cluster", problem=problem)
        _check_kubeconfig(spec.kubeconfig.reveal())
        for name in ways:
            part = getattr(spec, name)
            for field in getattr(part, "__struct_fields__", ()):
                check_text("kube_cluster", f"spec.{name}.{field}", getattr(part, field))
        check_command_labels("kube_cluster", spec.dynamic_labels, self.metadata.labels)

    def labels_now(self) -> Mapping[str, str]:
        """Fixed labels and the last results of commands; no name is in both."""
        return with_results(self.spec.dynamic_labels, self.metadata.labels)


def _check_kubeconfig(text: str) -> None:
    try:
        valid = len(text) <= _LARGEST_KUBECONFIG and base64.b64decode(text, validate=True) is not None
    except (binascii.Error, ValueError):
        valid = False
    if not valid:
        problem = f"`spec.kubeconfig` is not base64 of at most {_LARGEST_KUBECONFIG >> 20} MiB"
        raise BadParameter("KIND-FIELD", kind="kube_cluster", problem=problem)
