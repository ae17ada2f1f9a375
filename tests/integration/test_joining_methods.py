"""Processes that join by other methods than a secret token: a bound key, a pod's token, a chip, clouds."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from teleport.base.clock import SystemClock
from tests.support.apart import NODE, Apart, Member
from tests.support.azure import ISSUING, OTHER_ROOT, SUBSCRIPTION, Cloud
from tests.support.cluster import NAME
from tests.support.cms import Authority
from tests.support.ec2 import ACCOUNT, AWS, INSTANCE, Imds, document, signed
from tests.support.issuer import Issuer
from tests.support.metadata_server import serving
from tests.support.ports import free_ports
from tests.support.processes import wait_for
from tests.support.server_process import BIN
from tests.support.swtpm import Swtpm

SERVER = Issuer("https://kubernetes.default.svc")


class InTheClouds(Apart):
    """A cluster whose Auth Service knows who signs for AWS, and for an Azure that nobody here is in."""

    def environment(self, home: str = "nobody", **more: str) -> dict[str, str]:
        where = {"TELEPORT_AWS_CERTIFICATES": AWS.pem, "TELEPORT_AZURE_ROOTS": OTHER_ROOT.pem}
        for name, text in where.items():
            path = self.folder / f"{name.lower()}.pem"
            path.write_text(text)
            more[name] = str(path)
        return super().environment(home, **more)


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    made = InTheClouds(tmp_path_factory.mktemp("methods"))
    made.data.mkdir(mode=0o700)
    with made.running():
        made.create(token("bound", "bound_keypair", {"recovery": {"limit": 2}}))
        keys = {"type": "static_jwks", "static_jwks": {"jwks": SERVER.jwks}}
        made.create(token("pods", "kubernetes", {**keys, "allow": [{"service_account": "prod:agent"}]}))
        yield made


def token(name: str, method: str, block: dict[str, Any]) -> dict[str, Any]:
    """Return a token for nodes."""
    spec = {"roles": ["Node"], "join_method": method, method: block}
    return {"kind": "token", "version": "v2", "metadata": {"name": name}, "spec": spec}


class Elsewhere(Member):
    """A node whose environment holds a proof."""

    def __init__(self, cluster: Apart, name: str, token: str, method: str, **environment: str) -> None:
        teleport = cluster.joining("node", token=token).replace("method: token", f"method: {method}")
        super().__init__(cluster, name, teleport, NODE.format(ssh=free_ports(1)[0], more=""))
        self.more = environment

    def environment(self) -> dict[str, str]:
        return {**super().environment(), **self.more}


def test_a_machine_that_keeps_its_key_stays_itself(apart: Apart) -> None:
    shown = apart.tctl("get", "token/bound", "--with-secrets", "--format=json").out
    secret = json.loads(shown)[0]["status"]["bound_keypair"]["registration_secret"]
    assert secret not in apart.tctl("get", "token/bound", "--format=json").out
    machine = Elsewhere(apart, "bound-1", "bound", "bound_keypair", TBOT_REGISTRATION_SECRET=secret)
    with machine.running():
        apart.wait_for_node("bound-1")
        first = machine.host_uuid
        kept = machine.data / "proc" / "bound_keypair.json"
        assert kept.stat().st_mode & 0o777 == 0o600
        machine.stop()
        for path in (machine.data / "proc").glob("*.json"):
            if path != kept:
                path.unlink()
        (machine.data / "host_uuid").unlink(missing_ok=True)
        machine.start()
        assert machine.host_uuid == first
    event = apart.some("instance.join", 2, host_id=first)[-1]
    assert (event["method"], event["attributes"]["recovery_count"]) == ("bound_keypair", "2")
    assert secret not in apart.log + machine.log


def test_a_pod_joins_as_a_process(apart: Apart, tmp_path: Path) -> None:
    path, now = tmp_path / "token", int(SystemClock().now().timestamp())
    claims: dict[str, Any] = {
        "aud": [NAME], "iat": now, "exp": now + 600, "sub": "system:serviceaccount:prod:agent",
        "kubernetes.io": {"namespace": "prod", "pod": {"name": "agent-0"}},
    }  # fmt: skip
    path.write_text(SERVER.token(**claims))
    with Elsewhere(apart, "pod-1", "pods", "kubernetes", KUBERNETES_TOKEN_PATH=str(path)).running():
        apart.wait_for_node("pod-1")
    event = apart.event("instance.join", node_name="pod-1")
    assert (event["method"], event["attributes"]["service_account"]) == ("kubernetes", "prod:agent")


def test_a_machine_is_known_by_its_chip(apart: Apart, tmp_path: Path) -> None:
    chip = Swtpm(tmp_path)
    with chip.running() as path:
        machine = Elsewhere(apart, "racked", "racks", "tpm", TELEPORT_TPM=str(path))
        command = [str(BIN / "teleport"), "tpm", "identify", "--format=json"]
        shown = subprocess.run(
            command, env=machine.environment(), capture_output=True, text=True, check=True, timeout=120
        )
        known = json.loads(shown.stdout)
        block = {"ekcert_allowed_cas": [chip.authority], "allow": [{"description": "rack 7", **known}]}
        apart.create(token("racks", "tpm", block))
        with machine.launched():
            wait_for("it to join", lambda: "Joined the cluster" in machine.log, seconds=60)
    event = apart.event("instance.join", node_name="racked")
    assert (event["method"], event["attributes"]) == ("tpm", known)


def test_an_instance_has_the_id_of_its_own(apart: Apart) -> None:
    create(apart, "vms", {"join_method": "ec2", "allow": [{"aws_account": ACCOUNT}], "aws_iid_ttl": "30m"})
    with serving(Imds(signed(document(SystemClock().now())))) as address:
        machine = Elsewhere(apart, "vm-1", "vms", "ec2", AWS_EC2_METADATA_SERVICE_ENDPOINT=address)
        with machine.launched():
            wait_for("it to join", lambda: "Joined the cluster" in machine.log, seconds=60)
    event = apart.event("instance.join", node_name="vm-1")
    assert (event["method"], event["host_id"]) == ("ec2", machine.host_uuid)
    assert machine.host_uuid == f"{ACCOUNT}-{INSTANCE}"


@pytest.mark.config("teleport.join_params.azure.client_id")
def test_a_machine_shows_the_identity_that_its_configuration_names(apart: Apart) -> None:
    create(apart, "azure", {"join_method": "azure", "azure": {"allow": [{"subscription": SUBSCRIPTION}]}})
    cloud = Cloud(SystemClock().now())
    cloud.signer = Authority("metadata.azure.com", ISSUING, ca=False)  # names no place from which more is fetched
    cloud.carried = [cloud.signer]
    with serving(cloud) as address:
        machine = Elsewhere(apart, "vm-3", "azure", "azure", AZURE_POD_IDENTITY_AUTHORITY_HOST=address)
        text = machine.config.read_text()
        machine.config.write_text(text.replace("method: azure", "method: azure, azure: {client_id: of-the-node}"))
        with machine.launched():
            wait_for("the refusal in the log", lambda: "AUTH-JOIN" in machine.log, seconds=60)
    assert any("client_id=of-the-node" in url for url in cloud.asked)
    event = apart.some("instance.join", node_name="vm-3")[0]
    assert (event["success"], "not certified by a root of Azure" in event["error"]) == (False, True)


def create(apart: Apart, name: str, spec: dict[str, Any]) -> None:
    apart.create({"kind": "token", "version": "v2", "metadata": {"name": name}, "spec": {"roles": ["Node"], **spec}})


def test_a_machine_without_proof_says_what_it_lacks(apart: Apart) -> None:
    machine = Elsewhere(apart, "poor", "pods", "kubernetes", KUBERNETES_TOKEN_PATH="/nowhere/token")
    with machine.launched():
        wait_for("the reason in the log", lambda: "CLIENT-JOIN-PROOF" in machine.log, seconds=60)
    assert apart.events(event="instance.join", node_name="poor") == []
