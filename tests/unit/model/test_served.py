"""db, app, kube_cluster and what agents say of them: grammar, defaults, labels, and what is refused."""

import base64
from typing import Any

import pytest

from teleport.base.errors import TeleportError
from teleport.model import resource as kinds
from teleport.model.kinds.app import app_type
from tests.unit.model.samples import CERT, SAMPLES, UUID, sample


def code(document: dict[str, Any]) -> str:
    try:
        kinds.load(document)
    except TeleportError as error:
        return error.code
    return ""


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("db", {"protocol": "postgres", "uri": "db:5432"}, ""),
        ("db", {"protocol": "smoke"}, "KIND-FIELD"),
        ("db", {"protocol": None}, "KIND-FIELD"),
        ("db", {"uri": ""}, "KIND-FIELD"),
        ("db", {"uri": "db"}, "KIND-FIELD"),
        ("db", {"uri": "postgres://db:5432"}, "KIND-ADDRESS"),
        ("db", {"protocol": "mongodb", "uri": "mongodb://a:1,b:2/?replicaSet=x"}, ""),
        ("db", {"protocol": "snowflake", "uri": "https://x.example.com"}, "KIND-FIELD"),
        ("db", {"protocol": "snowflake", "uri": "https://x.snowflakecomputing.com"}, ""),
        ("db", {"ca_cert": "x"}, "KIND-FIELD"),
        ("db", {"ca_cert": CERT}, ""),
        ("db", {"tls": {"ca_cert": "x"}}, "KIND-FIELD"),
        ("db", {"tls": {"server_name": "a/b"}}, "KIND-NAME"),
        ("db", {"tls": {"mode": "none"}}, "KIND-FIELD"),
        ("db", {"mysql": {"server_version": "8.0.0"}}, ""),
        ("db", {"mysql": {"server_version": "\x1b"}}, "KIND-TEXT"),
        ("db", {"dynamic_labels": {"env": {"result": "x"}}}, "KIND-LABEL"),
        ("db", {"aws": {"region": "eu"}}, "KIND-FIELD-NOT-SUPPORTED"),
        ("app", {"uri": "localhost"}, "KIND-FIELD"),
        ("app", {"uri": None}, "KIND-FIELD"),
        ("app", {"public_addr": "a,b"}, "KIND-NAME"),
        ("app", {"rewrite": {"headers": [{"name": "A B"}]}}, "KIND-FIELD"),
        ("app", {"rewrite": {"headers": [{"name": "A", "value": "x\nB: y"}]}}, "KIND-FIELD"),
        ("app", {"tcp_ports": [{"port": 5, "end_port": 4}]}, "KIND-FIELD"),
        ("app", {"tcp_ports": [{"port": 1, "end_port": 4}, {"port": 9}]}, ""),
        ("app", {"mcp": {"command": "x"}}, "KIND-FIELD-NOT-SUPPORTED"),
        ("kube_cluster", {"aws": {"name": "x"}}, "KIND-FIELD"),
        ("kube_cluster", {"azure": None, "aws": {"name": "x"}}, ""),
        ("kube_cluster", {"azure": None, "kubeconfig": "?"}, "KIND-FIELD"),
        ("kube_cluster", {"azure": None, "kubeconfig": base64.b64encode(b"a: b").decode()}, ""),
        ("db_server", {"host_id": "other"}, "KIND-FIELD"),
        ("db_server", {"host_id": None}, "KIND-FIELD"),
        ("db_server", {"proxy_ids": [f"p{n}" for n in range(65)]}, "KIND-FIELD"),
        ("db_server", {"rotation": {"state": "x"}}, "KIND-FIELD-NOT-SUPPORTED"),
        ("db_server", {"database": SAMPLES["app"]}, "KIND-FIELD"),
        ("app_server", {"app": {**SAMPLES["app"], "metadata": {"name": "other"}}}, "KIND-FIELD"),
        ("kube_server", {"cluster": {**SAMPLES["kube_cluster"], "metadata": {"name": "a/b"}}}, "KIND-NAME"),
    ],
)
def test_grammar(kind: str, changes: dict[str, Any], expected: str) -> None:
    assert code(sample(kind, **changes)) == expected


@pytest.mark.parametrize("name", ["Grafana", "-x", "a.b", "a" * 64])
def test_the_name_of_an_application_is_part_of_host_names(name: str) -> None:
    assert code({**SAMPLES["app"], "metadata": {"name": name}}) == "KIND-NAME"


def test_labels_are_fixed_ones_and_results_of_commands() -> None:
    for kind in ("db", "db_server"):
        assert kinds.load(SAMPLES[kind]).labels_now() == {"env": "dev", "kernel": "6.1"}
    for kind in ("app_server", "kube_server"):
        assert kinds.load(SAMPLES[kind]).labels_now() == {"env": "dev"}


def test_the_credentials_of_a_cluster_are_secret() -> None:
    text = base64.b64encode(b"token: x").decode()
    cluster = kinds.load(sample("kube_cluster", azure=None, kubeconfig=text))
    assert text not in str(kinds.dump(cluster))
    assert kinds.dump(cluster, secrets=True)["spec"]["kubeconfig"] == text


@pytest.mark.parametrize(
    ("uri", "cloud", "expected"), [("http://a", "", "HTTP"), ("tcp://a:1", "", "TCP"), ("https://a", "AWS", "AWS")]
)
def test_types_of_applications(uri: str, cloud: str, expected: str) -> None:
    assert app_type(kinds.load(sample("app", uri=uri, cloud=cloud))) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("word", "kind"),
    [("databases", "db"), ("db_servers", "db_server"), ("apps", "app"), ("app_servers", "app_server"),
     ("kube_clusters", "kube_cluster"), ("kube_servers", "kube_server")],
)  # fmt: skip
def test_aliases(word: str, kind: str) -> None:
    assert kinds.resolve(word).name == kind


def test_agents_alone_write_heartbeats() -> None:
    for kind in ("app_server", "db_server", "kube_server"):
        assert kinds.find(kind).writable == {"rm"}
        assert kinds.load(SAMPLES[kind]).sub_kind == UUID
