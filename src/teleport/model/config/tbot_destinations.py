"""Where a bot's files go: `storage` of tbot.yaml, and `destination` of each of its services."""

from __future__ import annotations

from typing import Literal

from teleport.base.struct import Struct
from teleport.model.config.section import Section


class Reader(Struct, frozen=True, kw_only=True):
    """Who beside the bot may read a folder: one user or one group, by name or number."""

    user: str | int | None = None
    group: str | int | None = None


class DirectoryDestination(Section, frozen=True, kw_only=True, tag_field="type", tag="directory"):
    """A folder of this machine."""

    path: str = ""
    symlinks: Literal["try-secure", "secure", "insecure"] = "try-secure"
    acls: Literal["", "try", "required", "off"] = ""
    """Empty: `try` on Linux."""
    readers: tuple[Reader, ...] = ()

    def __str__(self) -> str:
        return f"directory: {self.path}"


class MemoryDestination(Section, frozen=True, kw_only=True, tag_field="type", tag="memory"):
    """This process. Nothing survives it."""

    def __str__(self) -> str:
        return "memory"


class KubernetesSecretDestination(Section, frozen=True, kw_only=True, tag_field="type", tag="kubernetes_secret"):
    """A Secret of a Kubernetes cluster."""

    name: str = ""
    namespace: str = ""
    """Empty: POD_NAMESPACE."""
    labels: dict[str, str] = {}
    kubeconfig_path: str = ""
    kubeconfig_context: str = ""

    def __str__(self) -> str:
        return f"kubernetes_secret: {self.name}"


DestinationSection = DirectoryDestination | MemoryDestination | KubernetesSecretDestination
