"""token: what a host presents to join the cluster for the first time.

For the join method `token` the resource's name is the secret itself: wherever it is shown, logged or audited stands
`safe_name`. What the other methods ask for stands in `model.token_methods`. Not here: joining (`auth.join`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from teleport.base.errors import BadParameter, NotSupported
from teleport.base.struct import Duration, Struct
from teleport.base.text import label_text
from teleport.model.later import Unacted, check_later
from teleport.model.resource import Column, Resource, kind
from teleport.model.token_methods.aws import IID_TTL, AwsRule, check_ec2, check_iam
from teleport.model.token_methods.azure import Azure
from teleport.model.token_methods.bound_keypair import BoundKeypair, TokenStatus
from teleport.model.token_methods.gcp import Gcp
from teleport.model.token_methods.github import Github
from teleport.model.token_methods.gitlab import Gitlab
from teleport.model.token_methods.kubernetes import Kubernetes
from teleport.model.token_methods.tpm import Tpm

METHODS = (
    "token", "azure", "azure_devops", "bitbucket", "bound_keypair", "circleci", "ec2", "env0", "gcp", "github",
    "gitlab", "iam", "kubernetes", "oracle", "spacelift", "terraform_cloud", "tpm",
)  # fmt: skip
"""Every join method that exists."""
SERVED_METHODS = ("token", "azure", "bound_keypair", "ec2", "gcp", "github", "gitlab", "iam", "kubernetes", "tpm")
"""Those that this build has."""
BOT_METHODS = tuple(method for method in METHODS if method != "ec2")
"""Those by which a bot can join."""

LOCAL_SERVICES = ("Node", "Proxy", "Auth", "Kube", "App", "Db", "WindowsDesktop", "Discovery")
"""What the process of an agent may run: these go from a token into its certificate."""
SERVED_ROLES = (*LOCAL_SERVICES, "Instance", "Bot")
"""What a token may carry."""
ROLES = (
    *SERVED_ROLES, "Okta", "MDM", "Relay",
    "Admin", "Nop", "RemoteProxy", "Signup", "Trusted_cluster",
)  # fmt: skip
"""Every system role that exists."""

ORIGIN = "teleport.dev/origin"
"""Label that says where a token comes from."""
CONFIG_FILE = "config-file"
"""Its value for tokens of `auth_service.tokens`."""

_CANONICAL = {role.lower(): role for role in ROLES}
_LONG_ENOUGH_TO_SHOW = 16
_BLOCKS = ("azure", "bound_keypair", "gcp", "github", "gitlab", "kubernetes", "tpm")
"""Fields of the spec that one join method has for itself, under its name."""


class TokenSpec(Struct, frozen=True, kw_only=True):
    """What a token lets a host become, and how it must prove itself."""

    roles: tuple[str, ...] = ()
    join_method: str = "token"
    bot_name: str = ""
    allow: tuple[AwsRule, ...] = ()
    """For iam and ec2."""
    aws_iid_ttl: Duration = Duration(IID_TTL)
    """For ec2: how long after its start an instance may join."""
    suggested_labels: Unacted = None
    suggested_agent_matcher_labels: Unacted = None
    azure: Azure | None = None
    azure_devops: Unacted = None
    bitbucket: Unacted = None
    bound_keypair: BoundKeypair | None = None
    circleci: Unacted = None
    env0: Unacted = None
    gcp: Gcp | None = None
    github: Github | None = None
    gitlab: Gitlab | None = None
    kubernetes: Kubernetes | None = None
    oracle: Unacted = None
    spacelift: Unacted = None
    terraform_cloud: Unacted = None
    tpm: Tpm | None = None


def mask(secret: str) -> str:
    """Return a secret with only its last quarter readable, and nothing of it when it is short."""
    hidden = len(secret) * 3 // 4 if len(secret) >= _LONG_ENOUGH_TO_SHOW else len(secret)
    return "*" * hidden + secret[hidden:]


def _expiry(token: Token) -> str:
    end = token.metadata.expires
    return end.astimezone(dt.UTC).strftime("%d %b %y %H:%M UTC") if end else "never"


@kind(
    key="tokens",
    versions=("v2",),
    aliases=("tokens",),
    columns=(
        Column("Token", lambda token: str(token.safe_name())),
        Column("Type", lambda token: ",".join(token.spec.roles)),
        Column("Labels", lambda token: label_text(token.metadata.labels)),
        Column("Expiry Time (UTC)", _expiry),
    ),
    events={"create": ("join_token.create", "TJT00I"), "update": ("join_token.create", "TJT00I")},
)
class Token(Resource[TokenSpec], frozen=True, kw_only=True, tag="token"):
    """An invitation for hosts, good until it expires."""

    spec: TokenSpec = TokenSpec()
    status: TokenStatus | None = None
    """Written by the Auth Service alone."""

    @classmethod
    def upgrade(cls, document: dict[str, Any]) -> dict[str, Any]:
        """Write roles in their canonical spelling and an absent join method as what it means."""
        spec = document.get("spec")
        if not isinstance(spec, Mapping):
            return document
        changed = dict(spec)
        if isinstance(spec.get("roles"), (list, tuple)):
            changed["roles"] = [_CANONICAL.get(str(role).lower(), role) for role in spec["roles"]]
        if spec.get("join_method", "") == "":
            changed["join_method"] = "ec2" if spec.get("allow") else "token"
        return {**document, "spec": changed}

    def check(self) -> None:
        """Raise BadParameter (KIND-TOKEN-*) for impossible tokens, NotSupported for those of other methods."""
        spec = self.spec
        if spec.join_method not in METHODS:
            raise BadParameter("KIND-TOKEN-METHOD", method=ascii(spec.join_method[:40])[1:-1], known=", ".join(METHODS))
        if not spec.roles:
            raise BadParameter("KIND-TOKEN-ROLES", known=", ".join(SERVED_ROLES))
        self._check_roles()
        if spec.join_method not in SERVED_METHODS:
            raise _not_supported("spec.join_method", spec.join_method, ", ".join(SERVED_METHODS))
        check_later("token", spec)
        self._check_rules()
        self._check_blocks()

    def _check_rules(self) -> None:
        spec = self.spec
        if spec.join_method == "iam":
            check_iam(spec.allow)
        elif spec.join_method == "ec2":
            check_ec2(spec.allow)
        elif spec.allow:
            raise BadParameter("KIND-TOKEN-ALLOW", method=spec.join_method)

    def _check_blocks(self) -> None:
        spec, method = self.spec, self.spec.join_method
        for name in _BLOCKS:
            block = getattr(spec, name)
            if block is None and name == method:
                raise BadParameter("KIND-TOKEN-MISSING", method=method)
            if block is not None and name != method:
                raise BadParameter("KIND-TOKEN-OTHER", block=name, method=method)
            if block is not None:
                block.check()

    def _check_roles(self) -> None:
        for role in self.spec.roles:
            if role not in ROLES:
                raise BadParameter("KIND-TOKEN-ROLE", role=ascii(role[:40])[1:-1], known=", ".join(SERVED_ROLES))
        if bool(self.spec.bot_name) != ("Bot" in self.spec.roles):
            rule = 'token with role "Bot" must set bot_name'
            raise BadParameter(
                "KIND-TOKEN-BOT",
                problem='can only set bot_name on token with role "Bot"' if self.spec.bot_name else rule,
            )
        if "Bot" in self.spec.roles and self.spec.join_method not in BOT_METHODS:
            raise BadParameter("KIND-TOKEN-BOT-METHOD", method=self.spec.join_method)
        for role in self.spec.roles:
            if role not in SERVED_ROLES:
                raise _not_supported("spec.roles", role, ", ".join(SERVED_ROLES))

    @staticmethod
    def mask_name(name: str) -> str:
        """Return a name as it may be shown where it is not known whether it is a secret."""
        return mask(name)

    @property
    def is_secret(self) -> bool:
        """Whether knowing the name is all that it takes."""
        return self.spec.join_method == "token"

    @property
    def is_static(self) -> bool:
        """Whether it stands in a configuration file."""
        return self.metadata.labels.get(ORIGIN) == CONFIG_FILE

    def safe_name(self) -> str:
        """Return the name as it may be shown: masked where it is a secret."""
        return mask(self.name) if self.is_secret else self.name


def _not_supported(field: str, value: str, supported: str) -> NotSupported:
    return NotSupported("KIND-VALUE-NOT-SUPPORTED", kind="token", field=field, value=value, supported=supported)
