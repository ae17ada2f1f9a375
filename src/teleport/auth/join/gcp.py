"""Join method gcp: a machine of Google Cloud shows the identity token that its metadata service gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from teleport.auth.join.method import Proven, Request
from teleport.auth.join.oidc import Issuers
from teleport.model.naming import CLUSTER_NAME
from teleport.model.token_methods.gcp import GcpRule

ISSUER = "https://accounts.google.com"
AUDIENCE = CLUSTER_NAME


class GcpJoin:
    """Implements `auth.join.method.Prove`."""

    def __init__(self, issuers: Issuers) -> None:
        self._issuers = issuers

    async def __call__(self, request: Request) -> Proven:
        """Verify the token of the machine and find a rule for it."""
        wanted = request.token.spec.gcp
        assert wanted is not None  # noqa: S101 - `Token.check` demands it
        claims = await self._issuers.claims(request, issuer=ISSUER, audience=AUDIENCE)
        machine = _machine(claims)
        if machine is None:
            raise request.refuse("the token says nothing of a machine: it must be asked for with format=full")
        if not any(_matches(rule, machine) for rule in wanted.allow):
            raise request.no_rule(f"the machine {machine['instance_name']} of {machine['project_id']}")
        return Proven(attributes=machine)


def _machine(claims: Mapping[str, Any]) -> dict[str, str] | None:
    google = claims.get("google")
    told = google.get("compute_engine") if isinstance(google, dict) else None
    if not isinstance(told, dict):
        return None
    email = claims.get("email") if claims.get("email_verified") is True else ""
    values = {"email": email, **{name: told.get(name) for name in ("project_id", "zone", "instance_name")}}
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    return texts if texts.keys() == values.keys() else None


def _matches(rule: GcpRule, machine: Mapping[str, str]) -> bool:
    zone = machine["zone"]
    places = (zone, zone.rpartition("-")[0])  # a zone is a region and a letter
    return (
        machine["project_id"] in rule.project_ids
        and (not rule.locations or any(place and place in rule.locations for place in places))
        and (not rule.service_accounts or (bool(machine["email"]) and machine["email"] in rule.service_accounts))
    )
