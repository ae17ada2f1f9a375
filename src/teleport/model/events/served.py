"""Events of databases, applications and Kubernetes clusters as resources: created, changed, deleted."""

from __future__ import annotations

from typing import Annotated, Any

from teleport.model.events.base import Level, Public, Sensitive, event
from teleport.model.events.resource import ResourceEvent
from teleport.model.resource import Resource

_Labels = Annotated[dict[str, str], Level.SENSITIVE]


class DbChange(ResourceEvent, frozen=True, kw_only=True):
    """A change of a database."""

    db_protocol: Public
    db_uri: Sensitive
    db_labels: _Labels = {}

    @classmethod
    def describe(cls, resource: Resource[Any]) -> dict[str, Any]:
        """Say where it is."""
        spec = resource.spec
        return {
            **super().describe(resource), "db_protocol": spec.protocol, "db_uri": spec.uri,
            "db_labels": resource.metadata.labels,
        }  # fmt: skip


@event("TDB03I")
class DbCreate(DbChange, frozen=True, kw_only=True, tag="db.create"):
    """A database was created."""


@event("TDB04I")
class DbUpdate(DbChange, frozen=True, kw_only=True, tag="db.update"):
    """A database was changed."""


@event("TDB05I")
class DbDelete(DbChange, frozen=True, kw_only=True, tag="db.delete"):
    """A database was deleted."""


class AppChange(ResourceEvent, frozen=True, kw_only=True):
    """A change of an application."""

    app_uri: Sensitive
    app_public_addr: Sensitive = ""
    app_labels: _Labels = {}

    @classmethod
    def describe(cls, resource: Resource[Any]) -> dict[str, Any]:
        """Say where it is."""
        spec = resource.spec
        return {
            **super().describe(resource), "app_uri": spec.uri, "app_public_addr": spec.public_addr,
            "app_labels": resource.metadata.labels,
        }  # fmt: skip


@event("TAP03I")
class AppCreate(AppChange, frozen=True, kw_only=True, tag="app.create"):
    """An application was created."""


@event("TAP04I")
class AppUpdate(AppChange, frozen=True, kw_only=True, tag="app.update"):
    """An application was changed."""


@event("TAP05I")
class AppDelete(AppChange, frozen=True, kw_only=True, tag="app.delete"):
    """An application was deleted."""


class KubeChange(ResourceEvent, frozen=True, kw_only=True):
    """A change of a Kubernetes cluster."""

    kube_labels: _Labels = {}

    @classmethod
    def describe(cls, resource: Resource[Any]) -> dict[str, Any]:
        """Say what it is labelled with."""
        return {**super().describe(resource), "kube_labels": resource.metadata.labels}


@event("T3010I")
class KubeCreate(KubeChange, frozen=True, kw_only=True, tag="kube.create"):
    """A Kubernetes cluster was created."""


@event("T3011I")
class KubeUpdate(KubeChange, frozen=True, kw_only=True, tag="kube.update"):
    """A Kubernetes cluster was changed."""


@event("T3012I")
class KubeDelete(KubeChange, frozen=True, kw_only=True, tag="kube.delete"):
    """A Kubernetes cluster was deleted."""
