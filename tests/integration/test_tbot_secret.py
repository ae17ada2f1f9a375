"""A bot whose certificates go into a Secret of a real API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from teleport.pki import codec, x509
from tests.support.cluster import Cluster
from tests.support.kubernetes import ApiServer, api_server
from tests.support.tbot import Machine, make_bot


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(tmp_path_factory) as running:
        yield running


def test_certificates_go_into_a_secret_and_are_renewed_there(cluster: Cluster, api: ApiServer, tmp_path: Path) -> None:
    """S1-08, S1-49: the Secret has certificates of the output, none that can be renewed; what is missing is told."""
    space = api.namespace()
    space.allow("tbot", "get,create,update", "secrets")
    machine = Machine(cluster, "in-pod", make_bot(cluster, "in-pod", "walker"))
    path = str(space.kubeconfig(tmp_path, "tbot"))
    secret = {"type": "kubernetes_secret", "name": "identity-output", "labels": {"app": "robot"}}
    machine.settings["services"] = [{"type": "identity", "destination": secret}]
    machine.environment = {"KUBECONFIG": path, "POD_NAMESPACE": space.name}
    machine.once()
    first = space.secret("identity-output") or {}
    assert {"key", "key.pub", "key-cert.pub", "tlscert", "identity", "teleport-host-ca.crt", "known_hosts"} < set(first)
    assert "ssh_config" not in first
    certificate = codec.from_x509(x509.parse(first["tlscert"]))
    assert (certificate.name, certificate.roles, certificate.renewable) == ("bot-in-pod", ("walker",), False)
    machine.once()
    again = space.secret("identity-output") or {}
    assert again["tlscert"] != first["tlscert"]
    made = json.loads(api.kubectl("get", "secret", "identity-output", "-n", space.name, "-o", "json"))
    assert made["metadata"]["labels"] == {"app": "robot"}

    machine.environment["POD_NAMESPACE"] = api.namespace().name
    said = machine.once(status=1).err
    assert "no access to the destination kubernetes_secret: identity-output" in said
    assert 'cannot get resource "secrets"' in said
