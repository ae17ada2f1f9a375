"""What `kubectl` needs of clusters behind the proxy: its kubeconfig, and the answer of the program that it asks for
certificates.

Formats: kubeconfig v1 and client-authentication of https://kubernetes.io/docs/reference/config-api/. Names of clusters,
contexts and users are one and the same, so that files of several bots and people can be used together (`KUBECONFIG`
takes a list, and what has the same name is taken from the first).
"""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from teleport.base.errors import BadParameter
from teleport.model.address import Address

PLUGIN_VERSION = "client.authentication.k8s.io/v1beta1"
_PLUGIN_VERSIONS = (PLUGIN_VERSION, "client.authentication.k8s.io/v1")
_PREFIX = "kube-teleport-proxy-alpn."
_NAMELESS = "teleport.cluster.local"
"""What stands for the proxy's name where that is an address, which TLS does not ask for by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """Where the clusters are reached, all at the same place."""

    address: Address
    server_name: str = ""
    """Which name TLS asks for; empty: the address."""
    authorities: str
    """Certificates that vouch for the server, PEM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A cluster as `kubectl` is to know it."""

    name: str
    namespace: str = ""
    """Where commands act that name none; empty: `default`."""
    path: str = ""
    """Which cluster is meant, where the certificate does not say it: what `cluster_path` returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A program that `kubectl` asks for certificates, at every start of its own."""

    command: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """Certificate and key in the file itself, PEM. They end, and the file with them."""

    certificate: str
    key: str = field(repr=False)


def tls_server_name(host: str) -> str:
    """Return the name by which a port that serves everything knows requests to Kubernetes."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return f"{_PREFIX}{host}"
    return f"{_PREFIX}{_NAMELESS}"


def cluster_path(cluster: str, kube_cluster: str) -> str:
    """Return the path below which one certificate reaches every cluster that its owner may use."""
    return "/v1/teleport/" + "/".join(
        base64.urlsafe_b64encode(name.encode()).decode().rstrip("=") for name in (cluster, kube_cluster)
    )


def render(door: Door, contexts: Sequence[Context], user: Plugin | Embedded) -> bytes:
    """Return a kubeconfig with the contexts; the first one is the current one."""
    import yaml  # kubectl starts the plugin for every command, and that only reads

    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": each.name, "cluster": _cluster(door, each)} for each in contexts],
        "contexts": [{"name": each.name, "context": _context(each)} for each in contexts],
        "users": [{"name": each.name, "user": _user(user)} for each in contexts],
        "current-context": contexts[0].name if contexts else "",
        "preferences": {},
    }
    text: str = yaml.safe_dump(document, allow_unicode=True)
    return text.encode()


def _cluster(door: Door, context: Context) -> dict[str, Any]:
    cluster = {
        "server": f"https://{door.address}{context.path}",
        "certificate-authority-data": _encoded(door.authorities),
    }
    return {**cluster, "tls-server-name": door.server_name} if door.server_name else cluster


def _context(context: Context) -> dict[str, Any]:
    names = {"cluster": context.name, "user": context.name}
    return {**names, "namespace": context.namespace} if context.namespace else names


def _user(user: Plugin | Embedded) -> dict[str, Any]:
    if isinstance(user, Embedded):
        return {
            "client-certificate-data": _encoded(user.certificate),
            "client-key-data": _encoded(user.key),
        }
    return {
        "exec": {
            "apiVersion": PLUGIN_VERSION,
            "command": user.command,
            "args": list(user.arguments),
            "interactiveMode": "Never",
            "provideClusterInfo": False,
        }
    }


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def wanted_version(asked: str) -> str:
    """Return the version of the answer that `kubectl` asks for in KUBERNETES_EXEC_INFO; where it says nothing, the one
    of our kubeconfigs. Raises BadParameter (CLIENT-KUBE-EXEC-INFO)."""
    if not asked:
        return PLUGIN_VERSION
    try:
        said = json.loads(asked)
    except ValueError:
        raise BadParameter("CLIENT-KUBE-EXEC-INFO", problem="it is not JSON") from None
    version = said.get("apiVersion") if isinstance(said, dict) else None
    if version not in _PLUGIN_VERSIONS:
        problem = f"it asks for {str(version)[:80]!r}, and we know {', '.join(_PLUGIN_VERSIONS)}"
        raise BadParameter("CLIENT-KUBE-EXEC-INFO", problem=problem)
    return str(version)


def exec_credential(version: str, user: Embedded, expires: dt.datetime) -> str:
    """Return the answer of a plugin, with the certificate and when `kubectl` must ask again."""
    status = {
        "expirationTimestamp": expires.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "clientCertificateData": user.certificate,
        "clientKeyData": user.key,
    }
    return json.dumps({"apiVersion": version, "kind": "ExecCredential", "spec": {}, "status": status})
