"""spec.azure: machines of Azure, by subscription and resource group."""

from __future__ import annotations

from teleport.base.struct import Struct
from teleport.model.later import Unacted
from teleport.model.token_methods.rules import check_rules


class AzureRule(Struct, frozen=True, kw_only=True):
    """A subscription."""

    subscription: str = ""
    """Its id. Compared as it is written."""
    resource_groups: tuple[str, ...] = ()
    """Names, in whatever case; empty: any."""
    tenant: Unacted = None


class Azure(Struct, frozen=True, kw_only=True):
    """Which machines."""

    allow: tuple[AzureRule, ...] = ()

    def check(self) -> None:
        """Raise BadParameter (KIND-TOKEN-BLOCK)."""
        check_rules("azure", self.allow, ("subscription",))
