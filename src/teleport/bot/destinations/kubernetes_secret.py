"""A Secret of Kubernetes as a destination: `kubernetes_secret` of tbot.yaml.

Each file is a key of the Secret; all that are written together change in one request, so a pod sees the old ones or the
new ones. Keys that others have put there stay. Keys know no folders: `cockroach/node.key` is `cockroach.node.key`.
Whom two writers would disturb is told by `resourceVersion`: who comes second reads again.
Reference: https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/secret-v1/
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from teleport.base.disk import Disk
from teleport.base.errors import (
    AccessDenied,
    BadParameter,
    CompareFailed,
    NotAuthenticated,
    NotFound,
    TeleportError,
    Unavailable,
)
from teleport.bot.destinations import kubeconfig
from teleport.bot.destinations.kubeconfig import Account
from teleport.bot.destinations.names import WRITE_TEST, keep_off, split, testing
from teleport.model.config.tbot_destinations import KubernetesSecretDestination
from teleport.net.fetch import Answer, Fetch, SystemFetch

ATTEMPTS = 10
"""How often a write is tried that another writer came before."""
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}\Z")


def _fetch(account: Account) -> Fetch:
    return SystemFetch(account.context, server_name=account.server_name)


class KubernetesSecret:
    """A Secret. What each method raises is in `bot.parts.Destination`, and CompareFailed (KUBE-CONFLICT)."""

    folder = ""

    def __init__(
        self,
        section: KubernetesSecretDestination,
        environment: Mapping[str, str],
        *,
        disk: Disk,
        pod: str = kubeconfig.POD,
        fetch: Callable[[Account], Fetch] = _fetch,
    ) -> None:
        """`environment`: POD_NAMESPACE, KUBECONFIG, KUBERNETES_SERVICE_HOST and _PORT."""
        self._section = section
        self._environment = environment
        self._disk = disk
        self._pod = pod
        self._fetch = fetch

    def __str__(self) -> str:
        return str(self._section)

    async def prepare(self, names: Sequence[str]) -> None:
        """See that the names can be keys, that the Secret can be asked for, and that it is no bot's storage."""
        _keys(names)
        found = await self._call() or {}
        keep_off(self, names, {**(found.get("data") or {})}.__contains__)

    async def check(self) -> None:
        """Write `.write-test`. Raises DEST-WRITE."""
        with testing(self):
            await self.write({WRITE_TEST: b""})

    async def read(self, name: str) -> bytes | None:
        """Return what a key holds."""
        key = _keys([name])[name]
        found = await self._call()
        value = (found.get("data") or {}).get(key) if found else None
        return None if value is None else base64.b64decode(value)

    async def write(self, files: Mapping[str, bytes]) -> None:
        """Replace keys, all in one request; make the Secret if there is none."""
        keys = _keys(files)
        data = {keys[name]: base64.b64encode(content).decode() for name, content in files.items()}
        for _ in range(ATTEMPTS):
            if await self._put(await self._call(), data):
                return
        raise CompareFailed("KUBE-CONFLICT", name=self._section.name, attempts=ATTEMPTS)

    async def _put(self, found: dict[str, Any] | None, data: Mapping[str, str]) -> bool:
        """Write what was read with new keys; say whether nobody came before us."""
        labels = self._section.labels
        if found is None:
            new = {"name": self._section.name, "labels": labels}
            return await self._call("POST", {"type": "Opaque", "metadata": new, "data": data}) is not None
        metadata = found.get("metadata") or {}
        changed = {
            **found,
            "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), **labels}},
            "data": {**(found.get("data") or {}), **data},
        }
        return await self._call("PUT", changed) is not None

    async def _call(self, method: str = "GET", body: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """Ask the API server; None: there is no such Secret, or (writing) it is not what we have read."""
        account = kubeconfig.find(
            self._disk, path=self._section.kubeconfig_path, context=self._section.kubeconfig_context,
            environment=self._environment, pod=self._pod,
        )  # fmt: skip
        namespace = self._section.namespace or self._environment.get("POD_NAMESPACE", "") or account.namespace
        if not namespace:
            raise BadParameter("KUBE-NO-NAMESPACE", destination=self)
        url = f"{account.server}/api/v1/namespaces/{namespace}/secrets"
        full = {"apiVersion": "v1", "kind": "Secret", **body} if body is not None else None
        answer = await self._ask(account, method, url if method == "POST" else f"{url}/{self._section.name}", full)
        if answer.status in (200, 201):
            return _object(answer, account.server)
        problem = _message(answer)
        # Where the Secret is to be made, what is missing is its namespace.
        if answer.status == 409 or (answer.status == 404 and method != "POST"):
            return None
        raise self._refused(answer.status, problem, namespace, account.server)

    async def _ask(self, account: Account, method: str, url: str, body: Mapping[str, Any] | None) -> Answer:
        headers = {"Accept": "application/json", "User-Agent": "tbot"}
        if account.token:
            headers["Authorization"] = f"Bearer {account.token}"
        data = b""
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        try:
            return await self._fetch(account)(url, method=method, headers=headers, body=data)
        except Unavailable as error:
            raise Unavailable("KUBE-UNREACHABLE", server=account.server, problem=error.fields["problem"]) from None

    def _refused(self, status: int, problem: str, namespace: str, server: str) -> TeleportError:
        name = self._section.name
        if status == 401:
            return NotAuthenticated("KUBE-CREDENTIALS", server=server)
        if status == 403:
            return AccessDenied("KUBE-DENIED", destination=self, problem=problem, name=name, space=namespace)
        if status == 404:
            return NotFound("KUBE-NAMESPACE", destination=self, space=namespace)
        if status == 429 or status >= 500:
            return Unavailable("KUBE-UNREACHABLE", server=server, problem=f"{status}: {problem}")
        return BadParameter("KUBE-REFUSED", destination=self, status=status, problem=problem)


def _keys(names: Sequence[str] | Mapping[str, bytes]) -> dict[str, str]:
    """Return the key of each name. Raises BadParameter (DEST-NAME, KUBE-KEY)."""
    keys: dict[str, str] = {}
    for name in names:
        split(name)
        key = name.replace("/", ".")
        if not _KEY.match(key) or key in keys.values():
            raise BadParameter("KUBE-KEY", name=name)
        keys[name] = key
    return keys


def _object(answer: Answer, server: str) -> dict[str, Any]:
    """Return an answer that is an object."""
    try:
        found = json.loads(answer.body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Unavailable("KUBE-UNREACHABLE", server=server, problem="it answers something else than JSON")
    return found


def _message(answer: Answer) -> str:
    """Return what a refusal says (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/)."""
    try:
        said = json.loads(answer.body)
    except ValueError:
        said = None
    text = said.get("message") if isinstance(said, dict) else None
    return text[:400] if isinstance(text, str) else "it says no reason"
