"""node: a server that people reach with SSH, as its agent last described it.

Agents of this cluster register their own. A server without an agent (`sub_kind: openssh`) is registered by people,
or by `teleport join openssh`; it has no heartbeat and does not expire.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from teleport.base.errors import BadParameter, NotSupported
from teleport.base.struct import Struct, Switch
from teleport.base.text import label_text
from teleport.model.address import parse_addr
from teleport.model.command_labels import CommandLabel, check_command_labels, with_results
from teleport.model.later import Unacted, check_later
from teleport.model.naming import RESERVED_PREFIX, check_name, check_names, check_text
from teleport.model.resource import Column, Resource, kind

SSH_PORT = 3022
"""Port of the SSH service when an address names none."""
MOST_PROXIES = 64
"""Proxies to which a node may keep tunnels."""
OPENSSH = "openssh"
"""Sub-kind of a server that runs sshd and no agent: the proxy ends its users' connections."""
JOINED = f"{RESERVED_PREFIX}joined"
"""Label of a server that registered itself with a token: its certificate has to name its id."""


class NodeSpec(Struct, frozen=True, kw_only=True):
    """Where a node is and what it says of itself."""

    hostname: str = ""
    addr: str = ""
    cmd_labels: dict[str, CommandLabel] = {}
    public_addrs: tuple[str, ...] = ()
    version: str = ""
    use_tunnel: Switch = Switch(False)
    """Whether it is reached through a tunnel that it keeps to the proxy, and no other way."""
    rotation: Unacted = None
    proxy_ids: tuple[str, ...] = ()
    """Ids of the proxies to which it keeps tunnels, where those reach it over each other."""
    cloud_metadata: Unacted = None


def public_address(node: Node) -> str:
    """Return the address to dial: the first public one, else the one the agent listens on."""
    return node.spec.public_addrs[0] if node.spec.public_addrs else node.spec.addr


def shown_address(node: Node) -> str:
    """Return what tables say of how a node is reached."""
    return "⟵ Tunnel" if node.spec.use_tunnel else public_address(node)


def agentless_name(hostname: str, addr: str) -> str:
    """Return the name (form of a UUID, RFC 9562 version 8) of a server without an agent that was given none."""
    digest = bytearray(hashlib.sha256(f"{hostname.lower()}\n{addr.lower()}".encode()).digest()[:16])
    digest[6], digest[8] = 0x80 | digest[6] & 0x0F, 0x80 | digest[8] & 0x3F
    text = digest.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


@kind(
    key="nodes",
    versions=("v2",),
    aliases=("nodes",),
    selector="node_labels",
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
        """Write `teleport`, the ordinary sub-kind, as no sub-kind; name a server without an agent after its host name
        and address where it has no name, so that registering it again changes it."""
        if document.get("sub_kind") == "teleport":
            return {**document, "sub_kind": ""}
        metadata, spec = document.get("metadata") or {}, document.get("spec")
        if document.get("sub_kind") != OPENSSH or not isinstance(metadata, Mapping) or not isinstance(spec, Mapping):
            return document
        name = metadata.get("name") or agentless_name(str(spec.get("hostname", "")), str(spec.get("addr", "")))
        return {**document, "metadata": {**metadata, "name": name}}

    @property
    def agentless(self) -> bool:
        """Whether it runs sshd and no agent."""
        return self.sub_kind == OPENSSH

    def check(self) -> None:
        """Raise BadParameter (KIND-*) for values out of grammar, NotSupported for unacted fields."""
        if self.sub_kind not in ("", OPENSSH):
            raise NotSupported("KIND-VALUE-NOT-SUPPORTED", kind="node", field="sub_kind",
                               value=ascii(self.sub_kind[:60]), supported="teleport, openssh")  # fmt: skip
        if self.agentless:
            self._check_agentless()
        check_later("node", self.spec)
        if self.spec.hostname:
            check_name("host", self.spec.hostname)
        check_text("node", "spec.version", self.spec.version)
        for addr in filter(None, (self.spec.addr, *self.spec.public_addrs)):
            parse_addr(addr, SSH_PORT)
        check_names("proxy", self.spec.proxy_ids)
        if len(self.spec.proxy_ids) > MOST_PROXIES:
            raise BadParameter("KIND-FIELD", kind="node", problem=f"it names more than {MOST_PROXIES} proxies")
        check_command_labels("node", self.spec.cmd_labels, self.metadata.labels)

    def _check_agentless(self) -> None:
        """Where it is has to be said: nobody else will."""
        for field in ("hostname", "addr"):
            if not getattr(self.spec, field):
                raise BadParameter("KIND-FIELD", kind="node", problem=f"an openssh node needs `spec.{field}`")
        if not parse_addr(self.spec.addr, 0).port:
            raise BadParameter("KIND-FIELD", kind="node", problem="`spec.addr` of an openssh node is `host:port`")
        if self.spec.cmd_labels:
            raise BadParameter("KIND-FIELD", kind="node", problem="an openssh node has no `spec.cmd_labels`")

    def labels_now(self) -> Mapping[str, str]:
        """Fixed labels and the last results of commands; no name is in both."""
        return with_results(self.spec.cmd_labels, self.metadata.labels)
