"""tsh db ls, apps ls, kube ls: tables, formats and selections. The client's connection is replaced by one to a real
Auth Service in memory; everything behind it is real. Over TLS it is walked in tests/integration."""

import asyncio
import datetime as dt
import json

import pytest
import yaml

from teleport.base.clock import SystemClock
from teleport.cli.tsh import served
from teleport.client.profile import Profile
from teleport.model.resource import load
from tests.support import auth_cluster
from tests.support.admin_host import run
from tests.unit.model.samples import SAMPLES

EVERY = {"db_labels": {"env": "dev"}, "app_labels": {"env": "dev"}, "kubernetes_labels": {"env": "dev"}}


@pytest.fixture(autouse=True)
def cluster(monkeypatch):
    """A cluster with a database, an application and a Kubernetes cluster for alice, and others that are not."""

    def call_as(_who, work):
        async def story():
            async with auth_cluster.running(clock=SystemClock()) as made:
                await made.admin.create(auth_cluster.role("dev", logins=["root"], db_users=["alice"], **EVERY))
                plain = {"protocol": "postgres", "uri": "db.example.com:5432"}
                await made.admin.create(auth_cluster.document_of("db", "example", plain, labels={"env": "dev"}))
                for kind in ("app", "kube_cluster"):
                    await made.admin.create(load(SAMPLES[kind]))
                for kind, spec in (("db", plain), ("app", {"uri": "tcp://a:1"}), ("kube_cluster", {})):
                    await made.admin.create(auth_cluster.document_of(kind, "hidden", spec, labels={"env": "prod"}))
                profile = Profile("p:443", "alice", "c", dt.datetime(2040, 1, 1, tzinfo=dt.UTC), roles=("dev",))
                return await work(made.client(made.user("alice", "dev")), profile)

        return asyncio.run(story())

    monkeypatch.setattr(served, "call_as", call_as)
    monkeypatch.setattr(served, "call", lambda who, work: call_as(who, lambda client, _: work(client)))


def test_databases_in_the_shape_of_the_page():
    """S1-39."""
    assert run("tsh", "db", "ls").out.splitlines() == [
        "Name    Description Allowed Users Labels  Connect",
        "------- ----------- ------------- ------- -------",
        "example             [alice]       env=dev",
    ]


def test_verbose_has_where_they_are():
    heading, _, row = run("tsh", "db", "ls", "-v").out.splitlines()
    assert heading.split() == [
        "Name",
        "Description",
        "Protocol",
        "Type",
        "URI",
        "Allowed",
        "Users",
        "Labels",
        "Connect",
    ]
    assert row.split() == ["example", "postgres", "self-hosted", "db.example.com:5432", "[alice]", "env=dev"]


def test_applications_and_clusters():
    heading, _, row = run("tsh", "apps", "ls").out.splitlines()
    assert heading.split() == ["Application", "Description", "Type", "Public", "Address", "Labels"]
    assert row.split() == ["grafana", "Graphs", "HTTP", "grafana.example.com", "env=dev"]
    assert "http://localhost:3000" in run("tsh", "apps", "ls", "-v").out
    heading, _, row = run("tsh", "kube", "ls").out.splitlines()
    assert (heading.split(), row.split()) == (
        ["Kube", "Cluster", "Name", "Labels", "Selected"],
        ["example-k8s-cluster", "env=dev"],
    )
    assert run("tsh", "kube", "ls", "-q").out.split() == ["example-k8s-cluster", "env=dev"]


@pytest.mark.parametrize("output_format", ["json", "yaml"])
@pytest.mark.parametrize(
    ("words", "there"),
    [((), True), (("env=dev",), True), (("env=prod",), False), (("--search=a,e",), True), (("--search=zzz",), False),
     (("--query", 'labels["env"] == "dev"'), True), (("--query", 'labels["env"] == "x"'), False)],
)  # fmt: skip
@pytest.mark.parametrize("what", ["db", "apps", "kube"])
def test_for_programs(what, words, there, output_format):
    text = run("tsh", what, "ls", *words, "--format", output_format).out
    read = json.loads(text) if output_format == "json" else [d for d in yaml.safe_load_all(text) if d]
    names = {"db": "example", "apps": "grafana", "kube": "example-k8s-cluster"}
    assert [entry["metadata"]["name"] for entry in read] == ([names[what]] if there else [])
    if what == "db" and there:
        assert read[0]["users"] == {"allowed": ["alice"], "denied": []}
