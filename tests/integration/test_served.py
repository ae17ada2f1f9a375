"""Databases, applications and Kubernetes clusters on the command line of somebody who is signed in."""

from __future__ import annotations

import json

import pytest

from tests.support.cluster import Cluster, User


@pytest.fixture(scope="module")
def reader(cluster: Cluster) -> User:
    """Somebody whose role allows what is labelled env=dev, in a cluster that has more."""
    labels = {"env": "dev"}
    cluster.role(
        "reader", db_labels=labels, db_users=["alice"], app_labels=labels, kubernetes_labels=labels,
        kubernetes_groups=["viewers"],
    )  # fmt: skip
    specs = {
        "db": {"protocol": "postgres", "uri": "db.example.com:5432"}, "app": {"uri": "http://localhost:3000"},
        "kube_cluster": {},
    }  # fmt: skip
    for kind, spec in specs.items():
        for name, env in (("example", "dev"), ("hidden", "prod")):
            document = {"kind": kind, "version": "v3", "metadata": {"name": name, "labels": {"env": env}}, "spec": spec}
            cluster.tctl("create", stdin=json.dumps(document))
    return cluster.sign_up("reader", ["reader"], ["reader"])


def test_databases_in_the_shape_of_the_page(reader: User) -> None:
    """S1-39: the columns of the page, accounts and labels as it writes them."""
    assert reader.tsh("db", "ls").out.splitlines() == [
        "Name    Description Allowed Users Labels  Connect",
        "------- ----------- ------------- ------- -------",
        "example             [alice]       env=dev",
    ]


def test_applications_and_kubernetes_clusters(reader: User) -> None:
    for what in ("apps", "kube"):
        (found,) = json.loads(reader.tsh(what, "ls", "--format=json").out)
        assert found["metadata"]["name"] == "example"


def test_a_role_shows_at_once(cluster: Cluster, reader: User) -> None:
    cluster.role("mover", db_labels={"env": "dev"}, db_users=["alice"])
    mover = cluster.sign_up("mover", ["mover"], ["mover"])
    assert mover.tsh("db", "ls").out.splitlines()[2].split() == ["example", "[alice]", "env=dev"]
    cluster.role("mover", db_labels={"env": "prod"}, db_users=["*"])
    assert mover.tsh("db", "ls").out.splitlines()[2].split() == ["hidden", "[*]", "env=prod"]
    assert json.loads(mover.tsh("kube", "ls", "--format=json").out) == []


def test_changes_are_recorded_and_agents_heartbeats_are_theirs(cluster: Cluster, reader: User) -> None:
    assert cluster.event(event="db.create", name="example")["db_uri"] == "db.example.com:5432"
    assert cluster.tctl("db", "ls", "--format=json").out.strip() == "[]"
    refused = reader.tctl("rm", "db/hidden", status=1)
    assert 'access denied to perform action "delete" on "db"' in refused.err
