"""spec.bound_keypair and status.bound_keypair: one client that holds a key, and what is known of it.

The token is bound to the first key that proves itself; from then on it is good for whoever holds that key, as often as
`recovery` says.
"""

from __future__ import annotations

from typing import Literal

from teleport.base.struct import Secret, Struct
from teleport.model.resource import Time
from teleport.model.token_methods.rules import demand

_NONE = Secret("")


class Onboarding(Struct, frozen=True, kw_only=True):
    """How the first key is recognised: it is known before, or its holder knows a secret."""

    initial_public_key: str = ""
    """A line of authorized_keys; with it there is no secret."""
    registration_secret: Secret = _NONE
    """Empty: the Auth Service makes one (`status.bound_keypair.registration_secret`)."""
    must_register_before: Time | None = None
    """Until when the secret is good."""


class Recovery(Struct, frozen=True, kw_only=True):
    """How often a client that has lost its certificates may join."""

    mode: Literal["standard", "relaxed", "insecure", ""] = ""
    """`standard`: `limit` counts; `relaxed`: it does not; `insecure`: nor is looked at what the client has kept."""
    limit: int = 1
    """The first join counts."""


class BoundKeypair(Struct, frozen=True, kw_only=True):
    """What the administrator says."""

    onboarding: Onboarding = Onboarding()
    recovery: Recovery = Recovery()
    rotate_after: Time | None = None
    """A key that was made before this moment is replaced at the next join after it."""

    @property
    def mode(self) -> str:
        """The mode of recovery, also where it is not written."""
        return self.recovery.mode or "standard"

    def check(self) -> None:
        """Raise BadParameter (KIND-TOKEN-BLOCK)."""
        demand(self.recovery.limit >= 1, "bound_keypair", "recovery.limit must be at least 1: the first join counts")
        both = self.onboarding.initial_public_key and self.onboarding.registration_secret
        demand(not both, "bound_keypair", "onboarding has either an initial_public_key or a registration_secret")


class BoundKeypairStatus(Struct, frozen=True, kw_only=True):
    """What the Auth Service has noted. Nobody else writes it."""

    registration_secret: Secret = _NONE
    """Empty once a key is bound."""
    bound_public_key: str = ""
    """A line of authorized_keys."""
    bound_host_id: str = ""
    """Of a host."""
    bound_bot_instance_id: str = ""
    """Of a bot: its last instance."""
    recovery_count: int = 0
    last_recovered_at: Time | None = None
    last_rotated_at: Time | None = None


class TokenStatus(Struct, frozen=True, kw_only=True):
    """What is known of a token's use."""

    bound_keypair: BoundKeypairStatus | None = None
