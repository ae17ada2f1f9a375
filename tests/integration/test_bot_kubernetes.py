"""Bots and Kubernetes: what the real kubectl makes of the kubeconfigs that outputs write.

A proxy that serves Kubernetes is not part of this version. In its place stands a real API server that trusts the
cluster's user authority and has a certificate of its host authority, for the name that TLS asks a proxy for. That
kubectl goes to its port and not to the proxy's (`--server`) is all that is said otherwise: kubectl checks the server by
the authorities and the name in the kubeconfig, and the API server the client by its certificate. It sees the user in it
and the roles as groups, where a proxy would say for whom it acts and in which groups.
"""

from __future__ import annotations

import base64
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.cluster import Cluster, Done
from tests.support.kubernetes import ApiServer, Namespace, api_server
from tests.support.programs import need
from tests.support.tbot import TBOT, Machine, make_bot

pytestmark = pytest.mark.timeout(400)  # servers of others start slowly where much else runs

NAME = "kube-teleport-proxy-alpn.localhost"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")).running() as running:
        look = {"resources": ["kube_server", "kube_cluster"], "verbs": ["read", "list"]}
        running.role("kube", kubernetes_labels={"*": "*"}, kubernetes_groups=["viewers"], rules=[look])
        running.role("foo", logins=["root"])
        for name, env in (("prod", "prod"), ("dev-1", "dev"), ("dev-2", "dev")):
            labels = {"env": env}
            running.create({"kind": "kube_cluster", "version": "v3", "metadata": {"name": name, "labels": labels}})
        yield running


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(tmp_path_factory) as running:
        yield running


@pytest.fixture(scope="module")
def server(cluster: Cluster, api: ApiServer) -> Iterator[str]:
    """The API server that stands in the place of the proxy; its URL."""
    folder = cluster.folder
    cluster.tctl("auth", "sign", f"--host={NAME}", "--format=tls", f"--out={folder}/kube")
    clients = folder / "clients.pem"
    clients.write_text(cluster.tctl("auth", "export", "--type=tls-user").out)
    with api.beside(
        folder, certificate=folder / "kube.crt", key=folder / "kube.key", authorities=folder / "kube.cas",
        clients=clients,
    ) as url:  # fmt: skip
        yield url


@pytest.fixture
def space(api: ApiServer) -> Namespace:
    return api.namespace()


def machine(cluster: Cluster, name: str, *roles: str, **fields: Any) -> Machine:
    """Return a machine with a bot that has one output, for a Kubernetes cluster."""
    found = Machine(cluster, name, make_bot(cluster, name, *roles))
    where = {"type": "directory", "path": str(found.out)}
    found.settings["services"] = [
        {"type": "kubernetes", "kubernetes_cluster": "prod", "destination": where, **fields}
    ]  # fmt: skip
    return found


def kubectl(config: Path, server: str, *arguments: str, status: int | None = 0) -> Done:
    """Run kubectl with a kubeconfig, on the API server."""
    argv = [need("kubectl"), f"--kubeconfig={config}", f"--server={server}", f"--cache-dir={config.parent}/cache"]
    done = subprocess.run(
        [*argv, *arguments], capture_output=True, text=True, timeout=60, env={"HOME": str(config.parent), "PATH": ""}
    )
    assert status is None or done.returncode == status, done.stdout + done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def may_list(space: Namespace, bot: str) -> None:
    """Let a bot list the config maps of a namespace."""
    space.allow(bot, "list", "configmaps", user=f"bot-{bot}")


def test_kubectl_works_after_a_renewal_with_the_same_kubeconfig(
    cluster: Cluster, server: str, space: Namespace
) -> None:
    """S1-48, S1-63."""
    found = machine(cluster, "plugin", "kube")
    may_list(space, "plugin")
    config, asked = found.out / "kubeconfig.yaml", ("-n", space.name, "get", "configmaps", "-o", "name")
    with found.running() as bot:
        bot.await_line("Successfully renewed impersonated certificates")
        before, first = config.read_bytes(), credential(found)
        (user,) = yaml.safe_load(before)["users"]
        assert user["name"] == "teleport.example.com-prod"
        assert user["user"]["exec"]["command"] == TBOT
        assert user["user"]["exec"]["args"] == ["kube", "credentials", f"--destination-dir={found.out}"]
        assert kubectl(config, server, *asked).status == 0
        bot.signal(signal.SIGUSR1)
        bot.await_line("Successfully renewed impersonated certificates", 2)
        assert config.read_bytes() == before
        second = credential(found)
        assert second["clientCertificateData"] != first["clientCertificateData"]
        assert second["clientCertificateData"] == (found.out / "tlscert").read_text()
        assert kubectl(config, server, *asked).status == 0
    refused = kubectl(config, server, "-n", space.name, "get", "secrets", status=1)
    assert 'User "bot-plugin" cannot list resource "secrets"' in refused.err


def credential(machine: Machine) -> dict[str, str]:
    """Return what kubectl is given."""
    said = json.loads(machine.run("kube", "credentials", f"--destination-dir={machine.out}").out)
    found: dict[str, str] = said["status"]
    return found


def test_a_static_kubeconfig_in_a_secret_is_all_that_kubectl_needs(
    cluster: Cluster, server: str, space: Namespace, tmp_path: Path
) -> None:
    """S1-49: the section of the reference, with a Secret of a real API server."""
    space.allow("writer", "get,create,update,patch", "secrets")
    where = {
        "type": "kubernetes_secret", "name": "identity-output", "namespace": space.name,
        "kubeconfig_path": str(space.kubeconfig(tmp_path, "writer")),
    }  # fmt: skip
    found = machine(cluster, "static", "kube", disable_exec_plugin=True, destination=where)
    may_list(space, "static")
    found.once()
    secret = space.secret("identity-output")
    assert secret is not None
    config = tmp_path / "kubeconfig.yaml"
    config.write_bytes(secret["kubeconfig.yaml"])
    (user,) = yaml.safe_load(config.read_bytes())["users"]
    assert base64.b64decode(user["user"]["client-certificate-data"]) == secret["tlscert"]
    assert kubectl(config, server, "-n", space.name, "get", "configmaps").status == 0


def test_a_secret_cannot_hold_a_kubeconfig_with_the_plugin(cluster: Cluster, space: Namespace, tmp_path: Path) -> None:
    """S1-51: it is logged, nothing is written, and the bot goes on."""
    space.allow("writer", "get,create,update,patch", "secrets")
    where = {
        "type": "kubernetes_secret", "name": "identity-output", "namespace": space.name,
        "kubeconfig_path": str(space.kubeconfig(tmp_path, "writer")),
    }  # fmt: skip
    found = machine(cluster, "no-folder", "kube", destination=where)
    found.settings["services"].append(found.output(found.folder / "other", ssh_config="off"))
    with found.running() as bot:
        bot.await_line("Destination kubernetes_secret: identity-output must be a directory in exec plugin mode")
        bot.await_line("Successfully renewed impersonated certificates for directory")
        assert space.secret("identity-output") is None
        assert bot.process.poll() is None


def test_one_output_is_for_every_cluster_that_is_selected(cluster: Cluster, server: str, space: Namespace) -> None:
    """S1-48, for `kubernetes/v2`: one context for each cluster, and one certificate for all."""
    selectors = [{"labels": {"env": "dev"}}, {"name": "prod", "default_namespace": space.name}]
    found = machine(cluster, "several", "kube")
    may_list(space, "several")
    found.settings["services"] = [{
        "type": "kubernetes/v2", "selectors": selectors, "context_name_template": "{{.KubeName}}@{{.Labels.env}}",
        "destination": {"type": "directory", "path": str(found.out)},
    }]  # fmt: skip
    found.once()
    config = found.out / "kubeconfig.yaml"
    named = kubectl(config, server, "config", "get-contexts", "-o", "name").out.split()
    assert named == ["dev-1@dev", "dev-2@dev", "prod@prod"]
    assert kubectl(config, server, "--context=prod@prod", "get", "configmaps").status == 0


def test_what_the_roles_do_not_show_gets_no_kubeconfig(cluster: Cluster) -> None:
    """S1-44: the roles of an output decide here, too."""
    found = machine(cluster, "blind", "kube", "foo", roles=["foo"])
    said = found.once(status=1)
    line = (
        f'ERROR: Failed to generate impersonated certs for directory {found.out}: kubernetes cluster "prod" not found'
    )
    assert line in said.err
    assert not (found.out / "kubeconfig.yaml").exists()
