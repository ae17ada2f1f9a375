"""spec.github: workflows of GitHub Actions, by the token that GitHub signs for each run."""

from __future__ import annotations

from teleport.base.struct import Struct
from teleport.model.token_methods.rules import check_rules, demand

PUBLIC_ISSUER = "https://token.actions.githubusercontent.com"


class GithubRule(Struct, frozen=True, kw_only=True):
    """Claims of a run, as GitHub names them."""

    sub: str = ""
    repository: str = ""
    repository_owner: str = ""
    workflow: str = ""
    environment: str = ""
    actor: str = ""
    ref: str = ""
    ref_type: str = ""


class Github(Struct, frozen=True, kw_only=True):
    """Which GitHub, and which runs."""

    enterprise_server_host: str = ""
    """Host name of a GitHub Enterprise Server; empty: github.com."""
    enterprise_slug: str = ""
    """Name of an enterprise of github.com whose tokens have an issuer of their own."""
    static_jwks: str = ""
    """Keys of the issuer; empty: they are fetched from it."""
    allow: tuple[GithubRule, ...] = ()

    def check(self) -> None:
        """Raise BadParameter (KIND-TOKEN-BLOCK)."""
        check_rules("github", self.allow, ("repository", "repository_owner", "sub"))
        host, slug = self.enterprise_server_host, self.enterprise_slug
        demand(not (host and slug), "github", "enterprise_server_host and enterprise_slug cannot both be set")
        demand("/" not in host, "github", "enterprise_server_host is a host name, without scheme or path")
        demand("/" not in slug, "github", "enterprise_slug is one word")

    @property
    def issuer(self) -> str:
        """Who signs the tokens of the runs."""
        if self.enterprise_server_host:
            return f"https://{self.enterprise_server_host}/_services/token"
        return f"{PUBLIC_ISSUER}/{self.enterprise_slug}" if self.enterprise_slug else PUBLIC_ISSUER
