"""Reviewer: asks the API server of the own Kubernetes cluster whose token somebody shows (TokenReview v1)."""

from __future__ import annotations

import posixpath
import ssl
from collections.abc import Callable, Mapping

import msgspec

from teleport.base.disk import Disk
from teleport.base.errors import TeleportError, Unavailable
from teleport.net.fetch import Fetch, SystemFetch

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where a pod finds its own token and the authority of its API server."""
_PATH = "/apis/authentication.k8s.io/v1/tokenreviews"
_LIMIT = 64 * 1024


class _User(msgspec.Struct, frozen=True):
    username: str = ""


class _Status(msgspec.Struct):
    authenticated: bool = False
    user: _User = _User()


class _Review(msgspec.Struct):
    status: _Status


class Reviewer:
    """Asks the API server at `host:port`, as the service account of the own pod."""

    def __init__(self, server: str, disk: Disk, trust: Callable[[str], Fetch], *, account: str = ACCOUNT) -> None:
        """`trust` makes a way to a server that an authority (PEM) vouches for. Both files are read each time: the
        token of the pod is renewed while it runs."""
        self._url = f"https://{server}{_PATH}"
        self._disk = disk
        self._trust = trust
        self._account = account

    async def user_of(self, token: str) -> str:
        """Return the user whose token it is, empty for nobody's. Raises Unavailable (AUTH-JOIN-REVIEW)."""
        asked = {
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token},
        }  # fmt: skip
        try:
            own, authority = self._read("token").strip(), self._read("ca.crt")
            answer = await self._trust(authority)(
                self._url, method="POST", body=msgspec.json.encode(asked),
                headers={"Authorization": f"Bearer {own}", "Content-Type": "application/json"},
            )  # fmt: skip
        except TeleportError as error:
            raise Unavailable("AUTH-JOIN-REVIEW", problem=error.what) from None
        if answer.status not in (200, 201):
            raise Unavailable("AUTH-JOIN-REVIEW", problem=f"status {answer.status}")
        try:
            status = msgspec.json.decode(answer.body, type=_Review).status
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Unavailable("AUTH-JOIN-REVIEW", problem=str(error)[:120]) from None
        return status.user.username if status.authenticated else ""

    def _read(self, name: str) -> str:
        return self._disk.read(posixpath.join(self._account, name), limit=_LIMIT).decode(errors="replace")


def of_environment(environment: Mapping[str, str], disk: Disk) -> Reviewer | None:
    """Return who asks the API server of the cluster in which this process runs; None where it runs in none."""
    host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        return None
    server = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return Reviewer(server, disk, lambda authority: SystemFetch(ssl.create_default_context(cadata=authority)))
