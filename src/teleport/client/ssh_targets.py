"""Which nodes a command is for: `login@host`, `login@env=prod,role=db`, filters; and what to say when it is not clear.

A name alone is left to the proxy, which knows best and needs no listing. Labels and filters are asked of the cluster.
Pure; the listing is done by the commands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from teleport.base.errors import BadParameter, NotFound
from teleport.base.text import label_text, parse_labels, table
from teleport.model import node_lookup
from teleport.model.kinds.node import Node, public_address

SHOWN = 20
"""Candidates that an error lists."""
_PROXY_SAYS = "PROXY-AMBIGUOUS"
_LABELS_WIDTH = 60


class Filters(NamedTuple):
    """What narrows the nodes down beside the target itself."""

    search: tuple[str, ...] = ()
    """Words that must occur in name or labels."""
    query: str = ""
    """A predicate."""


class Target(NamedTuple):
    """A target in its parts. Without `host` the nodes are those with the labels and filters."""

    login: str
    """Empty if none was given."""
    host: str = ""
    """With its port, if one was given."""
    labels: Mapping[str, str] = {}
    filters: Filters = Filters()

    @property
    def listed(self) -> bool:
        """Whether the cluster must be asked which nodes are meant."""
        return not self.host or self.filters != Filters()

    @property
    def text(self) -> str:
        """What was asked for, in words for people."""
        parts = [self.host, label_text(self.labels), *self.filters.search, self.filters.query]
        return " ".join(part for part in parts if part)


def parse(text: str, filters: Filters = Filters()) -> Target:  # noqa: B008 - it has no state
    """Read a target; with filters `login@` alone is one. Raises BadParameter (CLIENT-TARGET, CFG-LABELS)."""
    equals = text.find("=")
    if equals < 0:
        login, at, host = text.rpartition("@")
        if (not host and filters == Filters()) or (at and not login) or not text.isprintable() or " " in text:
            raise BadParameter("CLIENT-TARGET", target=text[:100])
        return Target(login, host, {}, filters)
    at_sign = text.rfind("@", 0, equals)  # a value may have one of its own
    login = text[: max(at_sign, 0)]
    if at_sign == 0 or not login.isprintable() or " " in login:
        raise BadParameter("CLIENT-TARGET", target=text[:100])
    return Target(login, "", parse_labels(text[at_sign + 1 :]), filters)


def choose(found: Iterable[object], target: Target, cluster: str) -> list[Node]:
    """Return the nodes that are meant, by host name, out of those with the labels and filters.

    Raises NotFound (CLIENT-NO-MATCH) if there are none, BadParameter (KIND-ADDRESS) for a host that is none.
    """
    nodes = [node for node in found if isinstance(node, Node)]
    if target.host:
        nodes = node_lookup.find(nodes, node_lookup.parse(target.host), cluster)
    if not nodes:
        raise NotFound("CLIENT-NO-MATCH", host=target.text[:100])
    return sorted(nodes, key=lambda node: (node.spec.hostname, node.name))


def only(nodes: Sequence[Node], asked: str) -> Node:
    """Return the one node there is. Raises BadParameter (CLIENT-AMBIGUOUS) that lists several."""
    if len(nodes) != 1:
        raise ambiguous(nodes, asked)
    return nodes[0]


def ambiguous(nodes: Sequence[Node], asked: str) -> BadParameter:
    """Return the error that lists candidates: name, id, address and labels, and says how to name one."""
    rows = [
        [node.spec.hostname, node.name, public_address(node), label_text(node.labels_now())] for node in nodes[:SHOWN]
    ]
    lines = table(["Node Name", "Node ID", "Address", "Labels"], rows, width=_width(rows))
    if len(nodes) > SHOWN:
        lines.append(f"and {len(nodes) - SHOWN} more")
    return BadParameter(
        "CLIENT-AMBIGUOUS", host=asked[:100], count=len(nodes), nodes="\n" + "\n".join(lines), first=nodes[0].name,
    )  # fmt: skip


def is_ambiguity(error: BadParameter) -> bool:
    """Whether a proxy says that a name means several nodes."""
    return error.code == _PROXY_SAYS


def names(nodes: Sequence[Node]) -> dict[str, str]:
    """Return a short name for each node by id: its host name, with the beginning of its id where others share that."""
    groups: dict[str, list[str]] = {}
    for node in nodes:
        groups.setdefault(node.spec.hostname, []).append(node.name)
    return {node.name: _short(node.spec.hostname, node.name, groups[node.spec.hostname]) for node in nodes}


def _short(hostname: str, id: str, group: Sequence[str]) -> str:
    if len(group) == 1:
        return hostname
    parts = id.split("-")
    starts = ("-".join(parts[:count]) for count in range(1, len(parts)))
    start = next((start for start in starts if sum(other.startswith(start) for other in group) == 1), id)
    return f"{hostname}/{start}"


def _width(rows: Sequence[Sequence[str]]) -> int:
    """Columns of a table whose labels take a part of a line."""
    return sum(max((len(row[column]) for row in rows), default=0) + 1 for column in range(3)) + _LABELS_WIDTH
