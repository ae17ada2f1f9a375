"""Host certificates for OpenSSH servers that no agent looks after: for whoever may create a `host_cert`.

Such a certificate names what it was asked for and nothing else, so that a server cannot pass for `localhost` or for an
id. Bots get one for as long as their other certificates may last: they come again.
"""

from __future__ import annotations

import datetime as dt

from teleport.api.caller import Caller
from teleport.api.openssh_messages import ServerCertified, ServerRequest
from teleport.auth.authorities import Authorities
from teleport.auth.authorize import Authorizer
from teleport.auth.bots.certificates import LONGEST_TTL
from teleport.auth.host_certs import LONGEST, check_names
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy, new_uuid
from teleport.base.errors import BadParameter
from teleport.model.events.base import caller_fields
from teleport.model.events.cert import CertCreate, CertIdentity
from teleport.model.identity import Identity
from teleport.pki import issue, keys
from teleport.pki.signer import Signer
from teleport.store.audit.log import AuditLog

MOST_NAMES = 100
_SUBJECT = "host_cert"
_TRUSTED = ("user", "openssh")


class ServerCertificates:
    """Implements `api.services.openssh.ServerCertifier`."""

    def __init__(
        self, audit: AuditLog, authorizer: Authorizer, authorities: Authorities, signer: Signer, clock: Clock,
        entropy: Entropy, cluster: str,
    ) -> None:  # fmt: skip
        self._audit = audit
        self._authorizer = authorizer
        self._authorities = authorities
        self._signer = signer
        self._clock = clock
        self._entropy = entropy
        self._cluster = cluster

    async def issue_server(self, caller: Caller, request: ServerRequest) -> ServerCertified:
        rights = await self._authorizer.rights(caller)
        await self._authorizer.demand(rights, "create", _SUBJECT)
        identity = self._identity(request, longest=_longest(rights.identity))
        keys.load_ssh_blob(request.ssh_public_key)
        made = await issue.ssh_certificate(
            self._signer, await self._authorities.own("host"), identity, key=request.ssh_public_key,
            now=self._clock.now(), entropy=self._entropy,
        )  # fmt: skip
        event = CertCreate(cert_type="host", identity=CertIdentity.of(identity), **caller_fields(rights.identity))
        await self._audit.record(event)
        trusted = (await self._authorities.own(request.trusts)).trusted_ssh()
        return ServerCertified(
            certificate=made.blob, expires=identity.expires,
            user_authorities=tuple(key.public_key for key in trusted),
        )  # fmt: skip

    def _identity(self, request: ServerRequest, *, longest: dt.timedelta) -> Identity:
        """Return whom the certificate names. Raises BadParameter (AUTH-HOST-REQUEST)."""
        names, id, now = tuple(dict.fromkeys(request.principals)), new_uuid(self._entropy), self._clock.now()
        if not 0 < len(names) <= MOST_NAMES or not all(names):
            raise _bad(f"there must be 1 to {MOST_NAMES} names, and none may be empty")
        if request.trusts not in _TRUSTED:
            raise _bad(f"users are of the authority {' or '.join(_TRUSTED)}, not {request.trusts[:40]!r}")
        if request.expires <= now:
            raise _bad("it would have ended already")
        check_names(id, names, frozenset({"Node"}))
        return Identity(
            name=f"{id}.{self._cluster}", cluster=self._cluster, kind="host", roles=("Node",), system_roles=("Node",),
            principals=names, expires=min(request.expires, now + longest).replace(microsecond=0),
        )  # fmt: skip


def _longest(identity: Identity) -> dt.timedelta:
    return dt.timedelta(seconds=LONGEST_TTL) if identity.kind == "bot" else LONGEST


def _bad(problem: str) -> BadParameter:
    return BadParameter("AUTH-HOST-REQUEST", problem=problem)
