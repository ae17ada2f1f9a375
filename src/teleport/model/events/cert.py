"""Events of certificates."""

from __future__ import annotations

from typing import Annotated, Literal

from teleport.base.struct import Struct
from teleport.model.events.base import CallerEvent, Level, Public, event
from teleport.model.identity import Identity, Traits
from teleport.model.resource import Time


class RouteToApp(Struct, frozen=True, kw_only=True):
    """The application that a certificate is for."""

    name: str
    public_addr: str = ""
    cluster_name: str = ""


class RouteToDatabase(Struct, frozen=True, kw_only=True):
    """The database that a certificate is for, and as which account."""

    service_name: str
    protocol: str = ""
    username: str = ""
    database: str = ""


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
    kubernetes_cluster: str = ""
    kubernetes_users: tuple[str, ...] = ()
    kubernetes_groups: tuple[str, ...] = ()
    route_to_app: RouteToApp | None = None
    route_to_database: RouteToDatabase | None = None

    @classmethod
    def of(cls, identity: Identity) -> CertIdentity:
        """Return the part of an identity that is recorded."""
        return cls(
            user=identity.name, roles=identity.roles, logins=identity.logins, traits=identity.traits,
            expires=identity.expires, route_to_cluster=identity.route_to_cluster,
            teleport_cluster=identity.cluster, client_ip=identity.login_ip, impersonator=identity.impersonator,
            kubernetes_cluster=identity.kubernetes_cluster, kubernetes_users=identity.kubernetes_users,
            kubernetes_groups=identity.kubernetes_groups, route_to_app=_to_app(identity),
            route_to_database=_to_database(identity),
        )  # fmt: skip


def _to_app(identity: Identity) -> RouteToApp | None:
    if not identity.app_name:
        return None
    return RouteToApp(name=identity.app_name, public_addr=identity.app_public_addr, cluster_name=identity.app_cluster)


def _to_database(identity: Identity) -> RouteToDatabase | None:
    if not identity.database_service:
        return None
    return RouteToDatabase(
        service_name=identity.database_service, protocol=identity.database_protocol,
        username=identity.database_user, database=identity.database_name,
    )  # fmt: skip


@event("TC000I")
class CertCreate(CallerEvent, frozen=True, kw_only=True, tag="cert.create"):
    """Certificates were issued for an identity."""

    cert_type: Annotated[Literal["user", "host", "database"], Level.PUBLIC]
    identity: Annotated[CertIdentity, Level.SENSITIVE]
    target: Public = ""
    """Id of the server that it is for, where it is for one."""
