from __future__ import annotations

import uuid
from typing import Any

import pytest

from teleport.base.errors import BadParameter, NotSupported
from teleport.model import resource as kinds
from teleport.model.kinds.node import Node, public_address
from tests.unit.model.samples import SAMPLES, sample


def test_labels_now_are_fixed_ones_and_results() -> None:
    node = kinds.load(SAMPLES["node"])
    assert node.labels_now() == {"env": "dev", "kernel": "6.1"}


def test_a_command_may_not_replace_a_fixed_label() -> None:
    with pytest.raises(BadParameter) as caught:
        kinds.load(sample("node", cmd_labels={"env": {"command": ["/bin/true"], "result": "prod"}}))
    assert caught.value.code == "KIND-LABEL"


def test_the_address_to_dial() -> None:
    assert public_address(kinds.load(SAMPLES["node"])) == "web-1.example.com:3022"  # type: ignore[arg-type]
    assert public_address(kinds.load(sample("node", public_addrs=None))) == "10.0.0.5:3022"  # type: ignore[arg-type]


def test_sub_kinds() -> None:
    assert kinds.load({**SAMPLES["node"], "sub_kind": "teleport"}) == kinds.load(SAMPLES["node"])
    for other in ("openssh-ec2-ice", "x\n"):
        with pytest.raises(NotSupported) as caught:
            kinds.load({**SAMPLES["node"], "sub_kind": other})
        assert caught.value.code == "KIND-VALUE-NOT-SUPPORTED"


@pytest.mark.parametrize(
    "spec",
    [{"hostname": "a,b"}, {"addr": "a:b"}, {"public_addrs": ["http://x"]}, {"version": "\x1b"},
     {"cmd_labels": {"k": {"result": "\n"}}}, {"cmd_labels": {"a b": {"result": ""}}},
     {"proxy_ids": ["a,b"]}, {"proxy_ids": [f"p{number}" for number in range(65)]}],
)  # fmt: skip
def test_values_out_of_grammar(spec: dict[str, Any]) -> None:
    with pytest.raises(BadParameter):
        kinds.load(sample("node", **spec))


def agentless(**spec: Any) -> dict[str, Any]:
    spec = {"hostname": "plain-1", "addr": "10.0.0.9:22", **spec}
    return {
        "kind": "node",
        "version": "v2",
        "sub_kind": "openssh",
        "metadata": {"labels": {"env": "dev"}},
        "spec": spec,
    }


def test_a_server_without_an_agent_says_where_it_is() -> None:
    node = kinds.load(agentless())
    assert isinstance(node, Node)
    assert (node.agentless, public_address(node)) == (True, "10.0.0.9:22")
    assert not kinds.load(SAMPLES["node"]).agentless  # type: ignore[attr-defined]
    wrong: list[dict[str, Any]] = [{"hostname": ""}, {"addr": ""}, {"addr": "10.0.0.9"},
                                   {"cmd_labels": {"k": {"command": ["/bin/true"], "result": "x"}}}]  # fmt: skip
    for spec in wrong:
        with pytest.raises(BadParameter) as caught:
            kinds.load(agentless(**spec))
        assert caught.value.code == "KIND-FIELD"


def test_a_server_without_an_agent_is_named_after_what_it_is() -> None:
    first, again, other = (kinds.load(agentless(addr=a)) for a in ("10.0.0.9:22", "10.0.0.9:22", "10.0.0.8:22"))
    assert first == again
    assert first.name != other.name
    assert str(uuid.UUID(first.name)) == first.name
    assert uuid.UUID(first.name).version == 8
    assert kinds.load({**agentless(), "metadata": {"name": "mine"}}).name == "mine"
    with pytest.raises(BadParameter):
        kinds.load({**agentless(), "metadata": 5})
