"""Where a bot's files go: folders, memory and Secrets of Kubernetes.

`make` is the way in; `hold` keeps a second tbot away from a storage, and `shared_storage` says when the folder is on a
file system that other machines see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from teleport.base.disk import Disk, SystemDisk
from teleport.base.entropy import Entropy, SystemEntropy
from teleport.bot.destinations import mounts
from teleport.bot.destinations.directory import Directory
from teleport.bot.destinations.memory import Memory
from teleport.bot.destinations.writer import hold as hold
from teleport.bot.destinations.writer import shared_storage as shared_storage
from teleport.bot.parts import Destination
from teleport.model.config.tbot_destinations import (
    DestinationSection,
    DirectoryDestination,
    MemoryDestination,
)


def make(
    section: DestinationSection,
    *,
    entropy: Entropy | None = None,
    environment: Mapping[str, str] | None = None,
    disk: Disk | None = None,
    mountinfo: Callable[[], str] = mounts.table,
) -> Destination:
    """Return the destination that a section describes; nothing is touched before `prepare`.

    `environment`: POD_NAMESPACE, KUBECONFIG and where the API server of the pod is, for Secrets; `disk` has the
    files with credentials for it. `mountinfo` returns
    the kernel's table of mounts. Raises NotSupported and BadParameter (DEST-*, KUBE-*).
    """
    if isinstance(section, MemoryDestination):
        return Memory()
    if isinstance(section, DirectoryDestination):
        return Directory(section, entropy=entropy or SystemEntropy(), mountinfo=mountinfo)
    from teleport.bot.destinations.kubernetes_secret import KubernetesSecret  # few need it

    return KubernetesSecret(section, environment or {}, disk=disk or SystemDisk())
