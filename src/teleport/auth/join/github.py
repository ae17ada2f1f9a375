"""Join method github: a run of GitHub Actions shows the token that GitHub signed for it and for this cluster."""

from __future__ import annotations

from teleport.auth.join.method import Proven, Request
from teleport.auth.join.oidc import Issuers, attributes
from teleport.model.token_methods.rules import matches

_TOLD = ("sub", "repository", "repository_owner", "workflow", "environment", "actor", "ref", "ref_type", "run_id")


class GithubJoin:
    """Implements `auth.join.method.Prove`."""

    def __init__(self, issuers: Issuers, cluster: str) -> None:
        self._issuers = issuers
        self._cluster = cluster

    async def __call__(self, request: Request) -> Proven:
        """Verify the token of the run and find a rule for it."""
        wanted = request.token.spec.github
        assert wanted is not None  # noqa: S101 - `Token.check` demands it
        claims = await self._issuers.claims(
            request, issuer=wanted.issuer, audience=self._cluster, static=wanted.static_jwks
        )  # fmt: skip
        if not any(matches(rule, claims) for rule in wanted.allow):
            raise request.no_rule(f"the run of {claims.get('repository', '?')!s:.200}")
        return Proven(attributes=attributes(claims, *_TOLD))
