"""spec.gcp: machines of Google Cloud, by the identity token of their service account."""

from __future__ import annotations

from teleport.base.struct import Struct
from teleport.model.token_methods.rules import check_rules


class GcpRule(Struct, frozen=True, kw_only=True):
    """A project."""

    project_ids: tuple[str, ...] = ()
    locations: tuple[str, ...] = ()
    """Regions or zones; empty: any."""
    service_accounts: tuple[str, ...] = ()
    """E-mail addresses; empty: any."""


class Gcp(Struct, frozen=True, kw_only=True):
    """Which machines."""

    allow: tuple[GcpRule, ...] = ()

    def check(self) -> None:
        """Raise BadParameter (KIND-TOKEN-BLOCK)."""
        check_rules("gcp", self.allow, ("project_ids",))
