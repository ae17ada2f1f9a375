"""node: a server that people reach with SSH, as its agent last described it.

Only agents of this cluster register nodes; servers without an agent (`openssh`) and nodes behind a
reverse tunnel are refused until they can be reached.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from teleport.base.errors import BadParameter, NotSupported
from teleport.base.struct import Duration, Struct
from teleport.base.text import label_text
from teleport.model.address import parse_addr
from teleport.model.later import Unacted, UnactedSwitch, check_later
from teleport.model.naming import check_labels, check_name, check_text
from teleport.model.resource import Column, Resource, kind

SSH_PORT = 3022
"""Port of the SSH service when an address names none."""


class CommandLabel(Struct, frozen=True, kw_only=True):
    """A label whose value is the output of a command on the node."""

    command: tuple[str, ...] = ()
    period: Duration = Duration(60)
    result: str = ""
    """The last output; decisions use this."""


class NodeSpec(Struct, frozen=True, kw_only=True):
    """Where a node is and what it says of itself."""

    hostname: str = ""
    addr: str = ""
    cmd_labels: dict[str, CommandLabel] = {}
    public_addrs: tuple[str, ...] = ()
    version: str = ""
    use_tunnel: UnactedSwitch = False
    rotation: Unacted = None
    proxy_ids: Unacted = None
    cloud_metadata: Unacted = None


def public_address(node: Node) -> str:
    """Return the address to dial: the first public one, else the one the agent listens on."""
    return node.spec.public_addrs[0] if node.spec.public_addrs else node.spec.addr


@kind(
    key="nodes",
    versions=("v2",),
    aliases=("nodes",),
    selector="node_labels",
    writable=("rm",),
    columns=(
        Column("Host UUID", lambda node: str(node.name)),
        Column("Public Address", public_address),
        Column("Labels", lambda node: label_text(node.labels_now())),
        Column("Version", lambda node: str(node.spec.version)),
    ),
)
class Node(Resource[NodeSpec], frozen=True, kw_only=True, tag="node"):
    """A server; its name is the host's UUID."""

    spec: NodeSpec = NodeSpec()

    @classmethod
    def upgrade(cls, document: dict[str, Any]) -> dict[str, Any]:
        """Write `teleport`, the ordinary sub-kind, as no sub-kind."""
        return {**document, "sub_kind": ""} if document.get("sub_kind") == "teleport" else document

    def check(self) -> None:
        """Raise BadParameter (KIND-*) for values out of grammar, NotSupported for unacted fields."""
        if self.sub_kind:
            raise NotSupported("KIND-VALUE-NOT-SUPPORTED", kind="node", field="sub_kind",
                               value=ascii(self.sub_kind[:60]), supported="teleport")  # fmt: skip
        check_later("node", self.spec)
        if self.spec.hostname:
            check_name("host", self.spec.hostname)
        check_text("node", "spec.version", self.spec.version)
        for addr in filter(None, (self.spec.addr, *self.spec.public_addrs)):
            parse_addr(addr, SSH_PORT)
        check_labels("node", {name: label.result for name, label in self.spec.cmd_labels.items()})
        for name in self.spec.cmd_labels:
            if name in self.metadata.labels:
                problem = "it is both a fixed label and the label of a command"
                raise BadParameter("KIND-LABEL", kind="node", label=ascii(name), problem=problem)

    def labels_now(self) -> Mapping[str, str]:
        """Fixed labels and the last results of commands; no name is in both."""
        results = {name: label.result for name, label in self.spec.cmd_labels.items()}
        return {**results, **self.metadata.labels}
