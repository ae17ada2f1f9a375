"""tctl access: a kept refusal with all its reasons, and what would be decided now."""

import json

import pytest
import yaml

from teleport.access import explain
from teleport.access.action import Conditions, Connect
from teleport.access.checker import decide
from teleport.access.roleset import RoleSet
from tests.support import auth_cluster

UUID = "00000000-0000-4000-8000-0000000000aa"


@pytest.fixture(scope="module")
def refused(host):
    """A node, a user who may not enter it, and the id of a refusal."""

    async def make(cluster):
        role = auth_cluster.role("acc-dev", logins=["root"], node_labels={"env": "staging"})
        node = auth_cluster.node(UUID, "acc-node", env="dev")
        await cluster.admin.create(role)
        await cluster.make_user("acc-alice", "acc-dev", logins=("root",))
        client = cluster.client(cluster.host("Node", uuid=UUID))
        await client.upsert(node)
        identity = cluster.identity("acc-alice", roles=("acc-dev",), principals=("root",))
        conditions = Conditions(now=cluster.clock.now(), cluster=auth_cluster.CLUSTER)
        denial = decide(identity, RoleSet.build([role], {}), Connect("root"), node, conditions)
        return await client.record_denial(explain.to_record(denial), client_address="192.0.2.1:1")

    yield host.do(make)
    host.tctl("rm", f"node/{UUID}")


def test_explanation_names_role_nearest_miss_and_help(host, refused):
    text = host.tctl("access", "explain", refused).out
    assert text.startswith("DENY ssh root@acc-node (user acc-alice")
    assert "role acc-dev  node_labels env=staging MISS (env=dev) <- nearest miss" in text
    assert 'would succeed if: add env=dev to node_labels of role "acc-dev"' in text
    assert "seen once, last " in text


@pytest.mark.parametrize(("output_format", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_explanation_for_programs(host, refused, output_format, read):
    found = read(host.tctl("access", "explain", refused, "--format", output_format).out)
    assert (found["id"], found["count"]) == (refused, 1)
    assert found["reporter"].startswith(UUID)
    assert found["denial"]


@pytest.mark.parametrize("id", ["0" * 26, "x", "../etc"])
def test_unknown_id(host, id):
    done = host.tctl("access", "explain", id, status=1)
    assert done.out == ""
    assert "fix:" in done.err


def allow(host, env):
    role = auth_cluster.role("acc-dev", logins=["root"], node_labels={"env": env})
    host.do(lambda cluster: cluster.admin.upsert(role))


def test_can_says_no_with_the_reason(host, refused):
    allow(host, "staging")
    text = host.tctl("access", "can", "acc-alice", "root@acc-node").out
    assert "DENY ssh root@acc-node" in text
    assert "nearest miss" in text


def test_can_says_yes_with_the_role(host, refused):
    allow(host, "dev")
    assert host.tctl("access", "can", "acc-alice", "root@acc-node").out == "yes: role acc-dev grants it\n"
    assert json.loads(host.tctl("access", "can", "acc-alice", "root@acc-node", "--format=json").out)["granted"] is True


@pytest.mark.parametrize("words", [("nobody", "root@acc-node"), ("acc-alice", "root@nowhere"), ("acc-alice", "root")])
def test_can_of_what_is_not_there(host, refused, words):
    done = host.tctl("access", "can", *words, status=None)
    assert done.status == 1 or "DENY" in done.out
