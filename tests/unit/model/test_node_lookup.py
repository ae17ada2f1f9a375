"""Which nodes a name means."""

from __future__ import annotations

import pytest

from teleport.base.errors import BadParameter
from teleport.model import node_lookup
from teleport.model.kinds.node import Node
from teleport.model.resource import load

CLUSTER = "example.com"
ONE, TWO, TWIN = (f"{n}0000000-0000-4000-8000-000000000000" for n in (1, 2, 3))


def node(name: str, hostname: str, addr: str, *public: str) -> Node:
    spec = {"hostname": hostname, "addr": addr, "public_addrs": list(public)}
    made = load({"kind": "node", "metadata": {"name": name}, "spec": spec})
    assert isinstance(made, Node)
    return made


NODES = [
    node(ONE, "node-1", "10.0.0.1:3022"),
    node(TWO, "node-2.example.com", "10.0.0.2:4022", "ssh.example.org:2222", "[2001:db8::1]:22"),
    node(TWIN, "node-1", "10.0.0.3:5022"),
]


def found(text: str) -> list[str]:
    return [entry.name for entry in node_lookup.find(NODES, node_lookup.parse(text), CLUSTER)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (ONE, [ONE]),
        (f"{ONE}:9999", [ONE]),  # an id means one node, whatever the port
        (f"{TWO}.example.com", [TWO]),
        ("node-1", [ONE, TWIN]),
        ("node-1.example.com", [ONE, TWIN]),
        ("node-1:5022", [TWIN]),
        ("node-1:22", [ONE, TWIN]),
        ("node-1:3022", [ONE, TWIN]),
        ("node-1:6000", []),
        ("node-2.example.com:2222", [TWO]),
        ("node-2", []),  # its host name has the suffix itself
        ("NODE-1", []),
        ("10.0.0.2", [TWO]),
        ("10.0.0.2:4022", [TWO]),
        ("10.0.0.2:22", []),  # an address is meant with its port
        ("ssh.example.org:2222", [TWO]),
        ("[2001:db8::1]:22", [TWO]),
        ("[2001:db8::1]", [TWO]),
        ("10.0.0.9", []),
        ("example.com", []),
    ],
)
def test_find(text: str, names: list[str]) -> None:
    assert found(text) == names


def test_a_host_name_wins_over_an_address() -> None:
    nodes = [node(ONE, "a", "b:3022"), node(TWO, "b", "c:3022")]
    assert [n.name for n in node_lookup.find(nodes, node_lookup.parse("b"), CLUSTER)] == [TWO]


@pytest.mark.parametrize("text", ["", ":22", "a:b", "a b", "a:99999", "[::1", "https://a"])
def test_what_names_no_host(text: str) -> None:
    with pytest.raises(BadParameter) as caught:
        node_lookup.parse(text)
    assert caught.value.code == "KIND-ADDRESS"


@pytest.mark.parametrize("text", ["a", "a:22", "[::1]", "[::1]:22"])
def test_join_writes_what_parse_reads(text: str) -> None:
    assert node_lookup.join(*node_lookup.parse(text)) == text
