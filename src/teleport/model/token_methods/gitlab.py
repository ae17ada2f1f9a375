"""spec.gitlab: jobs of GitLab CI, by the id token that GitLab signs for each job."""

from __future__ import annotations

from teleport.base.struct import Struct
from teleport.model.token_methods.rules import check_rules, demand

GLOBS = ("sub", "project_path", "namespace_path", "ref")
"""Fields that may have `*` and `?`."""


class GitlabRule(Struct, frozen=True, kw_only=True):
    """Claims of a job, as GitLab names them."""

    sub: str = ""
    project_path: str = ""
    namespace_path: str = ""
    ref: str = ""
    ref_type: str = ""
    ref_protected: bool | None = None
    pipeline_source: str = ""
    environment: str = ""
    environment_protected: bool | None = None
    user_login: str = ""
    user_id: str = ""
    user_email: str = ""
    ci_config_sha: str = ""
    ci_config_ref_uri: str = ""
    deployment_tier: str = ""
    project_visibility: str = ""


class Gitlab(Struct, frozen=True, kw_only=True):
    """Which GitLab, and which jobs."""

    domain: str = "gitlab.com"
    static_jwks: str = ""
    """Keys of the issuer; empty: they are fetched from it."""
    allow: tuple[GitlabRule, ...] = ()

    def check(self) -> None:
        """Raise BadParameter (KIND-TOKEN-BLOCK)."""
        check_rules("gitlab", self.allow, ("sub", "project_path", "namespace_path", "ci_config_ref_uri"))
        demand(self.domain and "/" not in self.domain, "gitlab", "domain is a host name, without scheme or path")

    @property
    def issuer(self) -> str:
        """Who signs the tokens of the jobs."""
        return f"https://{self.domain}"
