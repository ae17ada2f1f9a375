"""Certificates of databases: with what a database proves to its clients who it is."""

from __future__ import annotations

import datetime as dt

from teleport.api.caller import Caller
from teleport.api.messages import DatabaseRequest, MadeCertificates
from teleport.auth.authorities import Authorities, of_databases
from teleport.auth.authorize import Authorizer
from teleport.auth.user_certs import read_tls_key
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter
from teleport.model.events.base import caller_fields
from teleport.model.events.cert import CertCreate, CertIdentity
from teleport.pki import database, x509
from teleport.pki.signer import Signer
from teleport.store.audit.log import AuditLog

DEFAULT = dt.timedelta(hours=12)
LONGEST = dt.timedelta(days=365)
SHORTEST = dt.timedelta(minutes=1)
_MOST_NAMES = 100
_SUBJECT = "database_certificate"
"""Name in rules: `resources: [database_certificate], verbs: [create]`."""


class DatabaseCertificates:
    """Implements `api.services.certificates.DatabaseIssuer`."""

    def __init__(
        self, audit: AuditLog, authorizer: Authorizer, authorities: Authorities, signer: Signer, clock: Clock,
        entropy: Entropy,
    ) -> None:  # fmt: skip
        self._audit = audit
        self._authorizer = authorizer
        self._authorities = authorities
        self._signer = signer
        self._clock = clock
        self._entropy = entropy

    async def issue_database(self, caller: Caller, request: DatabaseRequest) -> MadeCertificates:
        rights = await self._authorizer.rights(caller)
        await self._authorizer.demand(rights, "create", _SUBJECT)
        if not 0 < len(request.hosts) <= _MOST_NAMES:
            raise BadParameter("AUTH-HOST-REQUEST", problem=f"a database has 1 to {_MOST_NAMES} names")
        if any(name.rstrip(".").lower().endswith(x509.CLUSTER_NAME) for name in request.hosts):
            raise BadParameter(
                "AUTH-HOST-REQUEST", problem=f"{x509.CLUSTER_NAME} is a name of the Auth and Proxy Services"
            )
        asked = dt.timedelta(seconds=min(request.ttl, LONGEST.total_seconds())) if request.ttl > 0 else DEFAULT
        now = self._clock.now()
        expires = (now + max(asked, SHORTEST)).replace(microsecond=0)
        certificate = await database.server_certificate(
            self._signer, await self._authorities.own("db"), request.hosts, spki=read_tls_key(request.tls_public_key),
            now=now, expires=expires, entropy=self._entropy,
        )  # fmt: skip
        named = CertIdentity(user=request.hosts[0], logins=request.hosts, expires=expires)
        await self._audit.record(CertCreate(cert_type="database", identity=named, **caller_fields(rights.identity)))
        return MadeCertificates(
            ssh_certificate="", tls_certificate=x509.pem(certificate), expires=expires,
            authorities=of_databases(await self._authorities.every()),
        )  # fmt: skip
