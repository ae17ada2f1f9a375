"""Authorities: the cluster's own certificate authorities, as other features need them."""

from __future__ import annotations

from collections.abc import Iterable

from teleport.api.messages import Authority
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.store.resources import Resources

_OF_DATABASES = ("db", "db_client")


class Authorities:
    """Reads authorities; their keys are in the signer."""

    def __init__(self, resources: Resources, cluster: str) -> None:
        self._resources = resources
        self._cluster = cluster

    async def own(self, ca_type: str) -> CertAuthority:
        """Return the authority of this cluster. Raises NotFound (STORE-RESOURCE-NOT-FOUND)."""
        return await self._resources.get(CertAuthority, self._cluster, ca_type)

    async def every(self) -> tuple[CertAuthority, ...]:
        """Return all authorities that are trusted, in order of type."""
        return tuple(await self._resources.list(CertAuthority))


def vouching(authorities: Iterable[CertAuthority]) -> tuple[Authority, ...]:
    """Return those that certificates are recognised by; an authority for tokens alone is none of them, nor are those
    that only servers without an agent, or databases, know."""
    known = (entry for entry in authorities if entry.spec.type not in ("openssh", *_OF_DATABASES))
    return tuple(public(entry) for entry in known if entry.trusted_ssh() or entry.trusted_tls())


def of_databases(authorities: Iterable[CertAuthority]) -> tuple[Authority, ...]:
    """Return those of databases: the one that vouches for them, and the one that they trust."""
    return tuple(public(entry) for entry in authorities if entry.spec.type in _OF_DATABASES)


def public(authority: CertAuthority) -> Authority:
    """Return what others need to recognise certificates of the authority."""
    return Authority(
        cluster=authority.spec.cluster_name, type=authority.spec.type,
        ssh_keys=tuple(key.public_key for key in authority.trusted_ssh()),
        tls_certificates=tuple(key.cert for key in authority.trusted_tls()),
    )  # fmt: skip
