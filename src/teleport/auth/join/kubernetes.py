"""Join method kubernetes: a pod shows the token of its service account.

static_jwks: the token was projected for this cluster, by an API server whose keys the token of the cluster has. oidc:
the same, and the API server publishes its keys. in_cluster: the API server of the cluster in which the Auth Service
runs is asked (TokenReview).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

from teleport.api import join_proofs
from teleport.auth.join.method import Proven, Request
from teleport.auth.join.oidc import Issuers
from teleport.auth.join.token_review import Reviewer
from teleport.base.errors import NotSupported
from teleport.model.token_methods.kubernetes import Kubernetes

LONGEST = dt.timedelta(minutes=30)
"""Life of a projected token; the reference advises ten minutes."""
_ACCOUNT = re.compile(r"system:serviceaccount:([a-z0-9-]{1,63}):([a-z0-9.-]{1,253})")


class KubernetesJoin:
    """Implements `auth.join.method.Prove`."""

    def __init__(self, issuers: Issuers, cluster: str, reviewer: Reviewer | None) -> None:
        self._issuers = issuers
        self._cluster = cluster
        self._reviewer = reviewer

    async def __call__(self, request: Request) -> Proven:
        """Verify the token of the pod and find a rule for its service account."""
        wanted = request.token.spec.kubernetes
        assert wanted is not None  # noqa: S101 - `Token.check` demands it
        if wanted.way == "in_cluster":
            subject = await self._reviewed(request)
        else:
            subject = await self._projected(request, wanted)
        found = _ACCOUNT.fullmatch(subject)
        if found is None:
            raise request.refuse(f"it is the token of {subject[:200]!r} and not of a service account")
        account = f"{found[1]}:{found[2]}"
        if all(rule.service_account != account for rule in wanted.allow):
            raise request.no_rule(f"the service account {account}")
        return Proven(attributes={"type": wanted.way, "service_account": account})

    async def _reviewed(self, request: Request) -> str:
        if self._reviewer is None:
            raise NotSupported("AUTH-JOIN-IN-CLUSTER", token=request.token.safe_name())
        said = join_proofs.read(request.start.proof, join_proofs.IdToken)
        subject = await self._reviewer.user_of(said.id_token)
        if not subject:
            raise request.refuse("the Kubernetes cluster of the Auth Service does not know the token")
        return subject

    async def _projected(self, request: Request, wanted: Kubernetes) -> str:
        claims = await self._issuers.claims(
            request, issuer=wanted.oidc.issuer if wanted.oidc else None, audience=self._cluster,
            static=wanted.static_jwks.jwks if wanted.static_jwks else "",
        )  # fmt: skip
        if not _bound_to_a_pod(claims):
            raise request.refuse("the token must be one that was projected into a pod")
        begin, end = claims.get("iat"), claims["exp"]
        if begin is None or end - begin > LONGEST.total_seconds():
            raise request.refuse(f"the token must not be valid for longer than {LONGEST.total_seconds():g} s")
        subject = claims.get("sub")
        return subject if isinstance(subject, str) else ""


def _bound_to_a_pod(claims: Mapping[str, Any]) -> bool:
    about = claims.get("kubernetes.io")
    pod = about.get("pod") if isinstance(about, dict) else None
    return isinstance(pod, dict) and bool(pod.get("name"))
