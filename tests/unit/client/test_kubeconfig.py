"""kubeconfig: what kubectl makes of it, and what it gets when it asks for a certificate."""

from __future__ import annotations

import base64
import datetime as dt
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from teleport.base.errors import BadParameter
from teleport.client import kubeconfig
from teleport.client.kubeconfig import Context, Door, Embedded, Plugin
from teleport.model.address import Address
from tests.support.programs import need

DOOR = Door(
    address=Address("proxy.example.com", 443), server_name="kube-teleport-proxy-alpn.proxy.example.com",
    authorities="-----BEGIN CERTIFICATE-----\n",
)  # fmt: skip
PLUGIN = Plugin(command="/usr/bin/tbot", arguments=("kube", "credentials", "--destination-dir=/opt/machine-id"))
NAME = "example.com-prod"


def test_the_plugin_is_what_kubectl_asks() -> None:
    config = yaml.safe_load(kubeconfig.render(DOOR, [Context(name=NAME)], PLUGIN))
    assert (config["apiVersion"], config["kind"], config["current-context"]) == ("v1", "Config", NAME)
    assert config["contexts"] == [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}]
    (user,) = config["users"]
    assert user["user"]["exec"] == {
        "apiVersion": "client.authentication.k8s.io/v1beta1", "command": "/usr/bin/tbot",
        "args": ["kube", "credentials", "--destination-dir=/opt/machine-id"],
        "interactiveMode": "Never", "provideClusterInfo": False,
    }  # fmt: skip


def test_certificates_may_stand_in_the_file() -> None:
    config = yaml.safe_load(
        kubeconfig.render(DOOR, [Context(name=NAME)], Embedded(certificate="CERTIFICATE\n", key="KEY\n"))
    )
    (user,) = config["users"]
    assert {name: base64.b64decode(value) for name, value in user["user"].items()} == {
        "client-certificate-data": b"CERTIFICATE\n", "client-key-data": b"KEY\n"
    }  # fmt: skip


def test_the_cluster_stands_behind_the_proxy() -> None:
    contexts = [
        Context(name=NAME),
        Context(name="b", namespace="web", path=kubeconfig.cluster_path("example.com", "é")),
    ]
    config = yaml.safe_load(kubeconfig.render(DOOR, contexts, PLUGIN))
    first, second = (entry["cluster"] for entry in config["clusters"])
    assert first == {
        "server": "https://proxy.example.com:443", "tls-server-name": "kube-teleport-proxy-alpn.proxy.example.com",
        "certificate-authority-data": base64.b64encode(DOOR.authorities.encode()).decode(),
    }  # fmt: skip
    assert second["server"] == "https://proxy.example.com:443/v1/teleport/ZXhhbXBsZS5jb20/w6k"
    assert config["contexts"][1]["context"] == {"cluster": "b", "user": "b", "namespace": "web"}
    assert config["current-context"] == NAME


def test_an_own_port_is_asked_for_by_its_own_name() -> None:
    door = Door(address=Address("::1", 3026), authorities="")
    (cluster,) = yaml.safe_load(kubeconfig.render(door, [Context(name=NAME)], PLUGIN))["clusters"]
    assert cluster["cluster"]["server"] == "https://[::1]:3026"
    assert "tls-server-name" not in cluster["cluster"]


def test_no_cluster_is_no_current_context() -> None:
    assert yaml.safe_load(kubeconfig.render(DOOR, [], PLUGIN))["current-context"] == ""


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("proxy.example.com", "kube-teleport-proxy-alpn.proxy.example.com"),
        ("192.0.2.1", "kube-teleport-proxy-alpn.teleport.cluster.local"),
        ("2001:db8::1", "kube-teleport-proxy-alpn.teleport.cluster.local"),
    ],
)
def test_the_name_that_tls_asks_for(host: str, name: str) -> None:
    assert kubeconfig.tls_server_name(host) == name


def test_kubectl_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig.yaml"
    contexts = [Context(name=NAME), Context(name='odd: "name"', namespace="web")]
    path.write_bytes(kubeconfig.render(DOOR, contexts, PLUGIN))
    argv = [need("kubectl"), "config", "view", "--raw", "-o", "json", f"--kubeconfig={path}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60, env={"HOME": str(tmp_path)})
    seen: dict[str, Any] = json.loads(done.stdout)
    assert [entry["name"] for entry in seen["contexts"]] == [NAME, 'odd: "name"']
    assert seen["clusters"][0]["cluster"]["tls-server-name"] == DOOR.server_name
    assert seen["users"][0]["user"]["exec"]["interactiveMode"] == "Never"


EXPIRES = dt.datetime(2026, 3, 1, 13, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize("version", ["client.authentication.k8s.io/v1beta1", "client.authentication.k8s.io/v1"])
def test_the_answer_is_in_the_version_that_is_asked_for(version: str) -> None:
    asked = json.dumps({"kind": "ExecCredential", "apiVersion": version, "spec": {"interactive": False}})
    user = Embedded(certificate="CERTIFICATE", key="KEY")
    assert json.loads(kubeconfig.exec_credential(kubeconfig.wanted_version(asked), user, EXPIRES)) == {
        "apiVersion": version, "kind": "ExecCredential", "spec": {},
        "status": {
            "expirationTimestamp": "2026-03-01T13:00:00Z", "clientCertificateData": "CERTIFICATE",
            "clientKeyData": "KEY",
        },
    }  # fmt: skip


def test_without_a_question_the_version_of_the_file_is_meant() -> None:
    assert kubeconfig.wanted_version("") == "client.authentication.k8s.io/v1beta1"


@pytest.mark.parametrize("asked", ["{", "[]", "{}", '{"apiVersion": "client.authentication.k8s.io/v2"}'])
def test_what_is_not_understood_is_refused(asked: str) -> None:
    with pytest.raises(BadParameter) as caught:
        kubeconfig.wanted_version(asked)
    assert caught.value.code == "CLIENT-KUBE-EXEC-INFO"


def test_the_key_is_in_no_trace() -> None:
    assert "SECRET" not in repr(Embedded(certificate="", key="SECRET"))
