"""Node lookup: which nodes a person means by `node-1`, `node-1.example.com`, a UUID, or an address.

One rule for the proxy that dials and for the commands that only ask. Who may see or reach what was found is
decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from teleport.base.errors import BadParameter
from teleport.model.address import Address, parse_addr
from teleport.model.kinds.node import SSH_PORT, Node

ANY_PORT = frozenset({0, 22, SSH_PORT})
"""Ports that clients fill in by themselves: with a node's name they mean the node, whatever its port."""


class Wanted(NamedTuple):
    """What somebody asks for."""

    host: str
    port: int
    """0 where none was given."""


def parse(text: str) -> Wanted:
    """Read `host` or `host:port`; IPv6 stands in brackets. Raises BadParameter (KIND-ADDRESS)."""
    host, port = parse_addr(text, 0)
    if text.startswith(":"):
        raise BadParameter("KIND-ADDRESS", value=ascii(text[:80]), problem="it names no host")
    return Wanted(host, port)


def join(host: str, port: int) -> str:
    """Write what `parse` reads."""
    return str(Address(host, port)) if port else (f"[{host}]" if ":" in host else host)


def find(nodes: Iterable[Node], wanted: Wanted, cluster: str) -> list[Node]:
    """Return the nodes that are meant, best match only: the id, else the host name, else an address.

    Names may carry the cluster's name as suffix. A port that is not in ANY_PORT must be one of the node's; an
    address must match with its port, or without any.
    """
    names = {wanted.host, wanted.host.removesuffix(f".{cluster}")}
    by_name: list[Node] = []
    by_address: list[Node] = []
    for node in nodes:
        if node.name in names:
            return [node]
        if node.spec.hostname in names:
            if wanted.port in ANY_PORT or any(wanted.port == port for _, port in _addresses(node)):
                by_name.append(node)
        elif any(wanted.host == host and wanted.port in (0, port) for host, port in _addresses(node)):
            by_address.append(node)
    return by_name or by_address


def _addresses(node: Node) -> list[Address]:
    listed = filter(None, (node.spec.addr, *node.spec.public_addrs))
    return [parse_addr(address, SSH_PORT) for address in listed]
