"""Join method gitlab: a job of GitLab CI shows the id token that GitLab signed for it and for this cluster."""

from __future__ import annotations

from teleport.auth.join.method import Proven, Request
from teleport.auth.join.oidc import Issuers, attributes
from teleport.model.token_methods.gitlab import GLOBS
from teleport.model.token_methods.rules import matches

_TOLD = ("sub", "project_path", "namespace_path", "ref", "ref_type", "environment", "user_login", "job_id")


class GitlabJoin:
    """Implements `auth.join.method.Prove`."""

    def __init__(self, issuers: Issuers, cluster: str) -> None:
        self._issuers = issuers
        self._cluster = cluster

    async def __call__(self, request: Request) -> Proven:
        """Verify the token of the job and find a rule for it."""
        wanted = request.token.spec.gitlab
        assert wanted is not None  # noqa: S101 - `Token.check` demands it
        claims = await self._issuers.claims(
            request, issuer=wanted.issuer, audience=self._cluster, static=wanted.static_jwks
        )  # fmt: skip
        if not any(matches(rule, claims, glob=GLOBS) for rule in wanted.allow):
            raise request.no_rule(f"the job of {claims.get('project_path', '?')!s:.200}")
        return Proven(attributes=attributes(claims, *_TOLD))
