"""Where a bot's files go: `storage` of tbot.yaml, and `destination` of each of its services."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Literal
from urllib.parse import unquote

from teleport.base.errors import BadParameter
from teleport.base.struct import Struct
from teleport.model.config.section import Fault, Section


class Reader(Struct, frozen=True, kw_only=True):
    """Who beside the bot may read a folder: one user or one group, by name or number."""

    user: str | int | None = None
    """Name or number."""
    group: str | int | None = None
    """Name or number."""


class DirectoryDestination(Section, frozen=True, kw_only=True, tag_field="type", tag="directory"):
    """A folder of this machine."""

    path: str = ""
    """Absolute, or from the folder in which tbot is started."""
    symlinks: Literal["try-secure", "secure", "insecure"] = "try-secure"
    """Whether links on the way to files are refused: if the system can, always, or never."""
    acls: Literal["", "try", "required", "off"] = ""
    """Empty: `try` on Linux."""
    readers: tuple[Reader, ...] = ()
    """Who beside the bot may read the files; they become access control lists."""

    def __str__(self) -> str:
        return f"directory: {self.path}"

    @property
    def place(self) -> str:
        """What two destinations have in common that are the same one; empty where nothing says which."""
        return f"file://{posixpath.normpath(self.path)}" if self.path else ""

    def faults(self) -> Iterator[Fault]:
        """Return an unusable path, and readers that are nobody."""
        if not self.path:
            yield Fault(("path",), BadParameter("TBOT-NO-PATH"))
        elif "\0" in self.path:
            yield Fault(("path",), BadParameter("TBOT-EMPTY", key="path", problem="has a NUL byte in it"))
        for index, reader in enumerate(self.readers):
            said = [value for value in (reader.user, reader.group) if value is not None]
            if len(said) != 1 or said[0] == "":
                yield Fault(("readers", index), BadParameter("TBOT-READER"))


class MemoryDestination(Section, frozen=True, kw_only=True, tag_field="type", tag="memory"):
    """This process. Nothing survives it."""

    def __str__(self) -> str:
        return "memory"

    @property
    def place(self) -> str:
        """Empty: each is another one."""
        return ""


class KubernetesSecretDestination(Section, frozen=True, kw_only=True, tag_field="type", tag="kubernetes_secret"):
    """A Secret of a Kubernetes cluster."""

    name: str = ""
    """Required."""
    namespace: str = ""
    """Empty: POD_NAMESPACE."""
    labels: dict[str, str] = {}
    """Labels of the Secret."""
    kubeconfig_path: str = ""
    """How the cluster is reached; empty: KUBECONFIG, or as the pod that runs tbot."""
    kubeconfig_context: str = ""
    """Empty: the current one."""

    def __str__(self) -> str:
        return f"kubernetes_secret: {self.name}"

    @property
    def place(self) -> str:
        """What two destinations have in common that are the same one, as far as the file says it."""
        cluster = f"{self.kubeconfig_path}#{self.kubeconfig_context}" if self.kubeconfig_path else ""
        return f"kubernetes-secret://{self.namespace and self.namespace + '/'}{self.name}{cluster}"

    def faults(self) -> Iterator[Fault]:
        """Return a missing name."""
        if not self.name:
            yield Fault(("name",), BadParameter("TBOT-EMPTY", key="name", problem="is empty"))


DestinationSection = DirectoryDestination | MemoryDestination | KubernetesSecretDestination


def from_uri(text: str) -> DestinationSection:
    """Read a destination as command lines say it: a path, `file:///path`, `memory://`, or
    `kubernetes-secret://[namespace/]name`.

    Raises BadParameter (TBOT-URI-HOST, TBOT-URI-SCHEME, TBOT-NO-PATH, TBOT-EMPTY).
    """
    scheme, separator, rest = text.partition("://")
    if not separator:
        found: DestinationSection = DirectoryDestination(path=text)
    elif scheme == "file":
        host, slash, path = rest.partition("/")
        if host:
            raise BadParameter("TBOT-URI-HOST", host=ascii(host[:80])[1:-1])
        found = DirectoryDestination(path=unquote(slash + path))
    elif scheme == "memory" and not rest.strip("/"):
        found = MemoryDestination()
    elif scheme == "kubernetes-secret":
        namespace, _, name = rest.rpartition("/")
        found = KubernetesSecretDestination(name=unquote(name), namespace=unquote(namespace))
    else:
        raise BadParameter("TBOT-URI-SCHEME", text=ascii(text[:80])[1:-1])
    for fault in found.faults():
        raise fault.error
    return found
