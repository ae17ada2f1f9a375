"""Where an API server of Kubernetes is and as whom one may ask it: kubeconfig files, and the account of a pod.

What kubectl reads of such a file is read here, but for programs that print credentials (`exec`), which are not run, and
proxies. Files with tokens are read each time: what is in them is replaced while we run.
Reference: https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from teleport.base import yaml
from teleport.base.disk import Disk
from teleport.base.errors import BadParameter, NotFound
from teleport.pki.tls_client import load_key

POD = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where a pod has token, authority and namespace of its account."""
_FOREIGN = {
    "exec": "programs that print credentials are not run",
    "auth-provider": "providers of credentials are not run",
    "username": "passwords are not sent",
    "proxy-url": "proxies on the way to an API server are not used",
}


@dataclass(frozen=True, slots=True)
class Account:
    """An API server, and who asks it."""

    server: str
    """URL without a slash at its end."""
    context: ssl.SSLContext
    server_name: str
    """What the server's certificate names; empty: the host of the URL."""
    token: str
    namespace: str
    """That of the context or of the pod; may be empty."""


def find(disk: Disk, *, path: str, context: str, environment: Mapping[str, str], pod: str = POD) -> Account:
    """Return the account of a kubeconfig, or where neither `path` nor KUBECONFIG names one, of the pod.

    Raises BadParameter (KUBE-CONFIG, CFG-YAML-*, PKI-KEY), NotFound (KUBE-NOWHERE), DISK-*.
    """
    paths = [path] if path else [each for each in environment.get("KUBECONFIG", "").split(":") if each]
    if paths:
        return _Kubeconfig(disk, paths).account(context)
    host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise NotFound("KUBE-NOWHERE")
    authorities = disk.read(os.path.join(pod, "ca.crt")).decode(errors="replace")
    return Account(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        context=_context(authorities, f"{pod}/ca.crt"), server_name="",
        token=disk.read(os.path.join(pod, "token")).decode(errors="replace").strip(),
        namespace=_optional(disk, os.path.join(pod, "namespace")),
    )  # fmt: skip


class _Kubeconfig:
    """One file, or several of which the first that names something counts."""

    def __init__(self, disk: Disk, paths: list[str]) -> None:
        self._disk = disk
        self._source = ":".join(paths)
        self._current = ""
        self._named: dict[tuple[str, str], tuple[dict[str, Any], str]] = {}
        for path in paths:
            path = os.path.abspath(path)
            try:
                text = disk.read(path).decode(errors="replace")
            except NotFound:
                if len(paths) == 1:
                    raise
                continue  # kubectl passes over it, too
            for document in yaml.documents(text, path)[:1]:
                self._add(document.data, os.path.dirname(path))

    def account(self, name: str) -> Account:
        """Return the account of a context."""
        context, _ = self._find("context", name or self._current)
        cluster, base = self._find("cluster", _text(context, "cluster"))
        user, home = self._find("user", _text(context, "user"))
        for part in (cluster, user):
            for key, problem in _FOREIGN.items():
                if part.get(key):
                    raise self._wrong(f"it has `{key}`, and {problem}")
        server = _text(cluster, "server").rstrip("/")
        if not server.startswith("https://"):
            raise self._wrong(f"its server is {server or 'missing'}, not https://...")
        return Account(
            server=server, context=self._tls(cluster, base, user, home), server_name=_text(cluster, "tls-server-name"),
            token=_text(user, "token") or self._read(user, "tokenFile", home).strip(),
            namespace=_text(context, "namespace"),
        )  # fmt: skip

    def _tls(self, cluster: dict[str, Any], base: str, user: dict[str, Any], home: str) -> ssl.SSLContext:
        authorities = self._read(cluster, "certificate-authority", base)
        made = _context(authorities, self._source)
        if cluster.get("insecure-skip-tls-verify") is True:
            made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
        certificate, key = (self._read(user, part, home) for part in ("client-certificate", "client-key"))
        if certificate:
            load_key(made, certificate, key)
        return made

    def _add(self, data: Any, base: str) -> None:
        whole = data if isinstance(data, dict) else {}
        self._current = self._current or _text(whole, "current-context")
        for kind in ("context", "cluster", "user"):
            entries = whole.get(f"{kind}s")
            for entry in entries if isinstance(entries, list) else ():
                if isinstance(entry, dict) and isinstance(entry.get(kind), dict):
                    self._named.setdefault((kind, _text(entry, "name")), (entry[kind], base))

    def _find(self, kind: str, name: str) -> tuple[dict[str, Any], str]:
        if not name:
            raise self._wrong("no context is chosen" if kind == "context" else f"its context names no {kind}")
        if (kind, name) not in self._named:
            raise self._wrong(f"it has no {kind} {name}")
        return self._named[kind, name]

    def _read(self, part: dict[str, Any], key: str, base: str) -> str:
        """Return what stands in the file itself (`...-data`), or in the one that it names; empty if in neither."""
        inline = _text(part, f"{key}-data")
        if inline:
            try:
                return base64.b64decode(inline, validate=True).decode(errors="replace")
            except (binascii.Error, ValueError):
                raise self._wrong(f"{key}-data is not base64") from None
        path = _text(part, key)
        return self._disk.read(os.path.join(base, path)).decode(errors="replace") if path else ""

    def _wrong(self, problem: str) -> BadParameter:
        return BadParameter("KUBE-CONFIG", path=self._source, problem=problem)


def _context(authorities: str, source: str) -> ssl.SSLContext:
    """Return a context that trusts these authorities (PEM), or those of the system."""
    try:
        return ssl.create_default_context(cadata=authorities or None)
    except (ssl.SSLError, ValueError, TypeError):
        problem = "the certificate of its authority is none"
        raise BadParameter("KUBE-CONFIG", path=source, problem=problem) from None


def _optional(disk: Disk, path: str) -> str:
    try:
        return disk.read(path).decode(errors="replace").strip()
    except NotFound:
        return ""


def _text(part: Mapping[str, Any], key: str) -> str:
    value = part.get(key)
    return value if isinstance(value, str) else ""
