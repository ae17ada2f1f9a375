"""Targets of tsh ssh: names, labels, filters, and what is said when several nodes are meant."""

import pytest

from teleport.base.errors import BadParameter, NotFound
from teleport.client import ssh_targets
from teleport.client.ssh_targets import Filters, Target, choose, names, only, parse
from teleport.model import resource

UUID = "5cee949f-5203-4f3b-9805-dac35d79{:04x}"
CLUSTER = "example.com"
QUERY = Filters((), 'labels["env"] == "prod"')


def node(number, hostname, **labels):
    return resource.load({
        "kind": "node", "version": "v2", "metadata": {"name": UUID.format(number), "labels": labels},
        "spec": {"hostname": hostname, "addr": f"10.0.0.{number}:3022"},
    })  # fmt: skip


NODES = [node(2, "web", env="prod"), node(1, "web", env="dev"), node(3, "db", env="prod")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("node-1", Target("", "node-1")),
        ("alice@node-1:3022", Target("alice", "node-1:3022")),
        ("alice@example.com@node-1", Target("alice@example.com", "node-1")),
        ("env=prod", Target("", "", {"env": "prod"})),
        ("alice@env=prod,role=db", Target("alice", "", {"env": "prod", "role": "db"})),
        ("a@b@env=prod", Target("a@b", "", {"env": "prod"})),
        ('alice@owner="a@b, c",x=1', Target("alice", "", {"owner": "a@b, c", "x": "1"})),
    ],
)
def test_targets(text, found):
    assert parse(text) == found


def test_filters_stand_in_for_a_name():
    assert parse("alice@", QUERY) == Target("alice", "", {}, QUERY)
    assert parse("alice@", QUERY).listed
    assert parse("alice@web", QUERY).listed
    assert parse("alice@env=prod").listed
    assert not parse("alice@web").listed
    assert parse("a@env=prod", QUERY).text == 'env=prod labels["env"] == "prod"'


@pytest.mark.parametrize("text", ["", "@", "alice@", "@node", "a b", "node\n", "@env=prod", "a b@env=prod"])
def test_what_is_none(text):
    with pytest.raises(BadParameter) as caught:
        parse(text)
    assert caught.value.code == "CLIENT-TARGET"


def test_labels_that_are_none():
    for text in ("alice@=prod", "alice@env=prod,", "alice@env=a,env=b"):
        with pytest.raises(BadParameter) as caught:
            parse(text)
        assert caught.value.code == "CFG-LABELS"


def test_all_nodes_that_were_found_are_meant_in_order():
    found = choose(NODES, parse("a@env=prod"), CLUSTER)
    assert [each.spec.hostname for each in found] == ["db", "web", "web"]
    assert found[1].name == UUID.format(1)


def test_a_name_beside_filters_narrows_down():
    assert [each.spec.hostname for each in choose(NODES, parse("a@db", QUERY), CLUSTER)] == ["db"]
    assert only(choose(NODES, parse(UUID.format(2), QUERY), CLUSTER), "x").name == UUID.format(2)


def test_no_node_is_said_with_what_was_asked_for():
    with pytest.raises(NotFound) as caught:
        choose([], parse("a@env=test"), CLUSTER)
    assert caught.value.what == "no matching hosts found"
    assert "env=test" in caught.value.why


def test_several_are_listed_with_id_address_and_labels():
    with pytest.raises(BadParameter) as caught:
        only(choose(NODES, parse("web", QUERY), CLUSTER), "web")
    error = caught.value
    assert error.what == "ambiguous host could match multiple nodes: web"
    for text in (UUID.format(1), UUID.format(2), "10.0.0.1:3022", "env=dev", "env=prod"):
        assert text in error.why
    assert f"tsh ssh {UUID.format(1)}" in error.fix
    assert ssh_targets.is_ambiguity(BadParameter("PROXY-AMBIGUOUS", host="h", nodes="n", first="f"))
    assert not ssh_targets.is_ambiguity(error)


def test_a_long_list_is_cut():
    nodes = [node(number, "web") for number in range(1, 31)]
    assert "and 10 more" in ssh_targets.ambiguous(nodes, "web").why


def test_short_names_are_unique():
    close = [node(1, "web"), node(2, "web"), node(3, "db")]
    other = resource.load({
        "kind": "node", "version": "v2", "metadata": {"name": "0" * 8 + UUID.format(4)[8:]},
        "spec": {"hostname": "web", "addr": "10.0.0.4:3022"},
    })  # fmt: skip
    assert names([*close, other]) == {
        UUID.format(1): f"web/{UUID.format(1)}", UUID.format(2): f"web/{UUID.format(2)}", UUID.format(3): "db",
        other.name: "web/00000000",
    }  # fmt: skip
