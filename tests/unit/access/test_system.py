"""access.system: services of the cluster, by a table that denies what it does not name."""

import pytest

from teleport.access.system import AT_PROXY, SYSTEM, host_id, keeper_id, permitting, rights_text, system_roles
from teleport.model.kinds.session_tracker import SessionTracker, SessionTrackerSpec
from teleport.model.resource import Metadata, load
from tests.support.policy import CLUSTER, caller, node
from tests.unit.model.samples import SAMPLES, UUID

NODE = caller("Instance", name=f"uuid-7.{CLUSTER}", kind="host", system_roles=("Node", "Instance"))


def tracker(server_id):
    return SessionTracker(metadata=Metadata(name="session-1"), spec=SessionTrackerSpec(server_id=server_id))


@pytest.mark.parametrize(
    ("verb", "target", "role"),
    [
        ("list", "cert_authority", "Node"),
        ("readnosecrets", "cert_authority", "Node"),
        ("read", "cert_authority", ""),
        ("read", "role", "Node"),
        ("update", "role", ""),
        ("read", "lock", "Node"),
        ("read", "user", ""),
        ("read", "token", ""),
        ("create", "event", "Node"),
        ("delete", "event", ""),
        ("update", "node", "Node"),
        ("update", node("uuid-7"), "Node"),
        ("update", node("uuid-8"), ""),
        ("delete", node("uuid-7"), ""),
        ("list", "node", ""),
        ("create", tracker("uuid-7"), "Node"),
        ("delete", tracker("uuid-7"), "Node"),
        ("update", tracker("uuid-8"), ""),
        ("list", "session_tracker", ""),
        ("*", "role", ""),
    ],
)
def test_node(verb, target, role):
    assert permitting(NODE, verb, target) == role


PROXY = caller("Proxy", name=f"uuid-7.{CLUSTER}", kind="host", system_roles=("Proxy",))


@pytest.mark.parametrize(
    ("verb", "target", "role"),
    [
        ("list", "node", "Proxy"),
        ("readnosecrets", node("uuid-8"), "Proxy"),
        ("list", "role", "Proxy"),
        ("read", "lock", "Proxy"),
        ("readnosecrets", "cert_authority", "Proxy"),
        ("read", "cert_authority", ""),
        ("create", "event", "Proxy"),
        ("read", "event", ""),
        ("create", node("uuid-7"), ""),
        ("update", "role", ""),
        ("list", "user", ""),
    ],
)
def test_proxy_looks_and_changes_nothing(verb, target, role):
    assert permitting(PROXY, verb, target) == role


@pytest.mark.parametrize(
    ("system_role", "kind", "server"),
    [("App", "app", "app_server"), ("Db", "db", "db_server"), ("Kube", "kube_cluster", "kube_server")],
)
def test_agents_look_at_what_there_is_and_keep_their_own_heartbeats(system_role, kind, server):
    heartbeat = load(SAMPLES[server])
    own = caller("Instance", name=f"{UUID}.{CLUSTER}", kind="host", system_roles=("Instance", system_role))
    other = caller("Instance", name=f"uuid-8.{CLUSTER}", kind="host", system_roles=("Instance", system_role))
    for verb in ("create", "update", "delete"):
        assert permitting(own, verb, heartbeat) == system_role
        assert permitting(other, verb, heartbeat) == permitting(own, verb, load(SAMPLES[kind])) == ""
    assert permitting(own, "read", load(SAMPLES[kind])) == permitting(own, "list", kind) == system_role
    assert permitting(own, "list", server) == permitting(own, "create", "node") == ""
    assert permitting(NODE, "read", kind) == permitting(NODE, "create", server) == ""


def test_other_system_roles_may_do_nothing():
    assert permitting(caller(kind="host", system_roles=("Auth", "Nop")), "read", "role") == ""
    assert set(SYSTEM) == {"App", "Auth", "Db", "Instance", "Kube", "Node", "Proxy"}


def test_names():
    assert host_id(NODE) == "uuid-7"
    assert system_roles(NODE) == ("Node", "Instance")
    assert rights_text(["Instance"]) == "list readnosecrets cert_authority"
    assert "own node" in rights_text(["Node"])
    assert rights_text(["Nop"]) == "none"


def test_a_proxy_keeps_its_own_beside_those_of_a_node_on_its_host():
    proxy = caller("Instance", name=f"uuid-7.{CLUSTER}", kind="host", system_roles=("Proxy", "Instance"))
    assert keeper_id(NODE) == "uuid-7"
    assert keeper_id(proxy) == f"{AT_PROXY}uuid-7"
