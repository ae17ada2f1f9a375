"""Events of certificates."""

from __future__ import annotations

from typing import Annotated, Literal

from teleport.base.struct import Struct
from teleport.model.events.base import CallerEvent, Level, Public, event
from teleport.model.identity import Identity, Traits
from teleport.model.resource import Time


class CertIdentity(Struct, frozen=True, kw_only=True):
    """Whom a certificate names, and what it lets them do."""

    user: str
    roles: tuple[str, ...] = ()
    logins: tuple[str, ...] = ()
    traits: Traits = {}
    expires: Time | None = None
    route_to_cluster: str = ""
    teleport_cluster: str = ""
    client_ip: str = ""
    impersonator: str = ""

    @classmethod
    def of(cls, identity: Identity) -> CertIdentity:
        """Return the part of an identity that is recorded."""
        return cls(
            user=identity.name, roles=identity.roles, logins=identity.logins, traits=identity.traits,
            expires=identity.expires, route_to_cluster=identity.route_to_cluster,
            teleport_cluster=identity.cluster, client_ip=identity.login_ip, impersonator=identity.impersonator,
        )  # fmt: skip


@event("TC000I")
class CertCreate(CallerEvent, frozen=True, kw_only=True, tag="cert.create"):
    """Certificates were issued for an identity."""

    cert_type: Annotated[Literal["user", "host"], Level.PUBLIC]
    identity: Annotated[CertIdentity, Level.SENSITIVE]
    target: Public = ""
    """Id of the server that it is for, where it is for one."""
