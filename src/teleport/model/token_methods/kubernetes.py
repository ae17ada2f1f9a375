"""spec.kubernetes: pods, by the token of their service account."""

from __future__ import annotations

import re
from typing import Literal

from teleport.base.struct import Struct
from teleport.model.later import UnactedSwitch
from teleport.model.token_methods.rules import MOST_RULES, demand

_ACCOUNT = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?:[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


class KubernetesRule(Struct, frozen=True, kw_only=True):
    """A service account."""

    service_account: str = ""
    """`namespace:name`."""


class StaticJwks(Struct, frozen=True, kw_only=True):
    """Keys of a cluster's API server."""

    jwks: str = ""
    """As `kubectl get --raw /openid/v1/jwks` prints them."""


class OidcIssuer(Struct, frozen=True, kw_only=True):
    """A cluster whose API server publishes its keys."""

    issuer: str = ""
    insecure_allow_http_issuer: UnactedSwitch = None


class Kubernetes(Struct, frozen=True, kw_only=True):
    """Which cluster, and which service accounts."""

    type: Literal["in_cluster", "static_jwks", "oidc", ""] = ""
    """Empty: `in_cluster`."""
    static_jwks: StaticJwks | None = None
    oidc: OidcIssuer | None = None
    allow: tuple[KubernetesRule, ...] = ()

    @property
    def way(self) -> str:
        """The type, also where it is not written."""
        return self.type or "in_cluster"

    def check(self) -> None:
        """Raise BadParameter (KIND-TOKEN-BLOCK)."""
        name = "kubernetes"
        demand(self.allow, name, "allow: at least one rule must be set")
        demand(len(self.allow) <= MOST_RULES, name, f"there are more than {MOST_RULES} rules")
        for index, rule in enumerate(self.allow):
            problem = f'allow[{index}].service_account: format "namespace:service_account" is required'
            demand(_ACCOUNT.fullmatch(rule.service_account), name, f"{problem}, got {rule.service_account[:80]!a}")
        for way, block in (("static_jwks", self.static_jwks), ("oidc", self.oidc)):
            demand(block is None or self.way == way, name, f"{way} must not be set when type is {self.way!r}")
            demand(block is not None or self.way != way, name, f"{way} must be set when type is {way!r}")
        if self.static_jwks is not None:
            demand(self.static_jwks.jwks, name, "static_jwks.jwks must be set")
        if self.oidc is not None:
            demand(self.oidc.issuer.startswith("https://"), name, "oidc.issuer must begin with https://")
