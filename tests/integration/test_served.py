"""Databases, applications and Kubernetes clusters on the command line of somebody who is signed in."""

from __future__ import annotations

import json

import pytest

from tests.support.cluster import Cluster, User

SPECS = {
    "db": {"protocol": "postgres", "uri": "db.example.com:5432"}, "app": {"uri": "http://localhost:3000"},
    "kube_cluster": {},
}  # fmt: skip


@pytest.fixture(scope="module")
def reader(cluster: Cluster) -> User:
    """Somebody who reaches what is labelled env=dev, in a cluster that has more; the role `mover` gives nothing yet."""
    labels = {"env": "dev"}
    cluster.role(
        "reader", db_labels=labels, db_users=["alice"], app_labels=labels, kubernetes_labels=labels,
        kubernetes_groups=["viewers"],
    )  # fmt: skip
    cluster.role("mover")
    for kind, spec in SPECS.items():
        for name, env in (("example", "dev"), ("hidden", "prd")):
            about = {"name": name, "labels": {"env": env}}
            cluster.create({"kind": kind, "version": "v3", "metadata": about, "spec": spec})
    return cluster.sign_up("reader", ["reader", "mover"], ["reader"])


def test_databases_in_the_shape_of_the_page(reader: User) -> None:
    """S1-39: the columns of the page, accounts and labels as it writes them."""
    heading, line, *rows = reader.tsh("db", "ls").out.splitlines()
    assert heading == "Name    Description Allowed Users Labels  Connect"
    assert line == "------- ----------- ------------- ------- -------"
    assert "example             [alice]       env=dev" in rows


def test_applications_and_kubernetes_clusters(reader: User) -> None:
    for what in ("apps", "kube"):
        (found,) = json.loads(reader.tsh(what, "ls", "--format=json").out)
        assert found["metadata"]["name"] == "example"


def test_a_role_counts_at_once(cluster: Cluster, reader: User) -> None:
    assert json.loads(reader.tsh("db", "ls", "env=prd", "--format=json").out) == []
    cluster.role("mover", db_labels={"env": "prd"}, db_users=["*"])
    (found,) = json.loads(reader.tsh("db", "ls", "env=prd", "--format=json").out)
    assert (found["metadata"]["name"], found["users"]) == ("hidden", {"allowed": ["*"], "denied": []})


def test_changes_are_recorded_and_are_the_administrators(cluster: Cluster, reader: User) -> None:
    assert cluster.event(event="db.create", name="example")["db_uri"] == "db.example.com:5432"
    refused = reader.tctl("rm", "db/hidden", status=1)
    assert 'access denied to perform action "delete" on "db"' in refused.err
