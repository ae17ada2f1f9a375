"""Join methods whose proof is a token that somebody else signed: github, gitlab, kubernetes, gcp.

They differ in where the token comes from, and in nothing else: each is a function from the name of the cluster, for
which the token must be meant, to the token. Environment and addresses are handed in by who reads them at the border.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import quote

import msgspec

from teleport.api.join_messages import Accepted
from teleport.api.join_proofs import IdToken, write
from teleport.base.disk import Disk
from teleport.base.errors import NotSupported, TeleportError, Unavailable
from teleport.model.naming import CLUSTER_NAME
from teleport.net.fetch import Fetch

Source = Callable[[str], Awaitable[str]]
"""Returns a token for a cluster of that name. Raises Unavailable (CLIENT-JOIN-PROOF)."""

KUBERNETES_TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"  # noqa: S105 - a path
METADATA = "http://metadata.google.internal"
_LIMIT = 64 * 1024
_PERMISSION = "give the job the permission `id-token: write`"


class IdTokenMethod:
    """Implements `client.joining.join.Method`."""

    def __init__(self, name: str, source: Source) -> None:
        self.name = name
        self._source = source

    async def first(self, accepted: Accepted) -> bytes:
        """Return the token, made for the cluster that is joined."""
        return write(IdToken(id_token=await self._source(accepted.cluster)))

    async def solve(self, challenge: bytes) -> bytes:
        """Nothing is ever asked. Raises NotSupported (CLIENT-JOIN-CHALLENGE)."""
        raise NotSupported("CLIENT-JOIN-CHALLENGE", method=self.name)

    async def keep(self, keepsake: bytes) -> None:
        """There is nothing to keep."""


def github(environment: Mapping[str, str], fetch: Fetch) -> IdTokenMethod:
    """A run of GitHub Actions with the permission `id-token: write`."""

    async def source(cluster: str) -> str:
        url = _demand(environment, "github", "ACTIONS_ID_TOKEN_REQUEST_URL", _PERMISSION)
        bearer = _demand(environment, "github", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", _PERMISSION)
        asked = f"{url}{'&' if '?' in url else '?'}audience={quote(cluster, safe='')}"
        headers = {"Authorization": f"Bearer {bearer}", "Accept": "application/json; api-version=2.0"}
        found = await _get(fetch, "github", asked, headers)
        try:
            return msgspec.json.decode(found, type=_GithubAnswer).value
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise _no_proof("github", "GitHub did not answer with a token") from None

    return IdTokenMethod("github", source)


def gitlab(environment: Mapping[str, str]) -> IdTokenMethod:
    """A job of GitLab CI with an id token whose audience is the cluster."""

    async def source(cluster: str) -> str:
        return _demand(
            environment, "gitlab", "TBOT_GITLAB_JWT", f"declare it in the job: id_tokens, with aud {cluster}"
        )

    return IdTokenMethod("gitlab", source)


def kubernetes(environment: Mapping[str, str], disk: Disk) -> IdTokenMethod:
    """A pod, with the token that the kubelet renews in a file."""

    async def source(cluster: str) -> str:
        path = environment.get("KUBERNETES_TOKEN_PATH") or KUBERNETES_TOKEN
        try:
            return disk.read(path, limit=_LIMIT).decode(errors="replace").strip()
        except TeleportError as error:
            raise _no_proof("kubernetes", error.what) from None

    return IdTokenMethod("kubernetes", source)


def gcp(fetch: Fetch, address: str = METADATA) -> IdTokenMethod:
    """A machine of Google Cloud; `fetch` must let plain HTTP pass."""

    async def source(cluster: str) -> str:
        path = f"/computeMetadata/v1/instance/service-accounts/default/identity?audience={CLUSTER_NAME}&format=full"
        found = await _get(fetch, "gcp", address + path, {"Metadata-Flavor": "Google"})
        return found.decode(errors="replace").strip()

    return IdTokenMethod("gcp", source)


class _GithubAnswer(msgspec.Struct):
    value: str


def _demand(environment: Mapping[str, str], method: str, name: str, how: str) -> str:
    if value := environment.get(name, ""):
        return value
    raise _no_proof(method, f"the variable {name} is not set: {how}")


async def _get(fetch: Fetch, method: str, url: str, headers: Mapping[str, str]) -> bytes:
    try:
        answer = await fetch(url, headers=headers)
    except TeleportError as error:
        raise _no_proof(method, error.what) from None
    if answer.status != 200:
        raise _no_proof(method, f"status {answer.status} of {url.partition('?')[0][:200]}")
    return answer.body


def _no_proof(method: str, problem: str) -> Unavailable:
    return Unavailable("CLIENT-JOIN-PROOF", method=method, problem=problem)
