"""Host certificates: what the services of the cluster prove themselves with.

The administrator may have them made for any host; a host may renew its own, in the system roles that it
already has. Names follow the specification: id, id with cluster, node name with and without cluster,
the loopback names, and every further name under which the host is reached.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Set
from typing import Any

from teleport.access import locks
from teleport.access.system import host_id, system_roles
from teleport.api.caller import AUTH, INSTANCE, PROXY, Caller
from teleport.api.messages import HostRequest, MadeCertificates
from teleport.auth.authorities import Authorities, vouching
from teleport.auth.authorize import Authorizer, Rights
from teleport.auth.user_certs import locked, read_keys
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.errors import AccessDenied, BadParameter
from teleport.model.events.base import caller_fields
from teleport.model.events.cert import CertCreate, CertIdentity
from teleport.model.identity import Identity
from teleport.model.kinds.token import LOCAL_SERVICES
from teleport.pki import issue, x509
from teleport.pki.signer import Signer
from teleport.store.audit.log import AuditLog
from teleport.store.backend import Op

LONGEST = dt.timedelta(days=365)
"""Lifetime of a host certificate, and the longest that may be asked for."""
SHORTEST = dt.timedelta(minutes=1)
LOOPBACK = ("localhost", "127.0.0.1", "::1")
ROLES = frozenset({INSTANCE, *LOCAL_SERVICES})
"""System roles that a host can have."""
TLS_SERVERS = frozenset({AUTH, PROXY, "Kube", "WindowsDesktop"})
"""Those that get the DNS names which they ask for."""
_MOST_NAMES = 100
_HOST_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9]{12}-i-[0-9a-f]{8,17}")
"""A UUID, or account and instance of AWS (`auth.join.ec2`)."""
_NAME = re.compile(r"[A-Za-z0-9_:]([A-Za-z0-9._:-]{0,251}[A-Za-z0-9])?")
_SUBJECT = "host_cert"
"""Name in rules: `resources: [host_cert], verbs: [create]`."""


class HostCertificateIssuer:
    """Implements `api.services.certificates.HostIssuer`."""

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

    async def issue_host(self, caller: Caller, request: HostRequest) -> MadeCertificates:
        rights = await self._authorizer.rights(caller)
        _check(request)
        await self._authorize(rights, request)
        joined_by = rights.identity.join_token if rights.identity.is_host else ""
        return await self.certify(request, join_token=joined_by, **caller_fields(rights.identity))

    async def certify(
        self, request: HostRequest, *extra: Op, join_token: str = "", longest: dt.timedelta = LONGEST, **caller: Any
    ) -> MadeCertificates:
        """Issue certificates for a service that was found worthy, for `longest` at most. They are recorded in one
        commit with `extra`, as caused by whom `caller` says (`caller_fields`). `join_token` is the name of the token
        that it joined with, where that is no secret. Raises BadParameter (AUTH-HOST-REQUEST, PKI-*), and what the
        conditions of `extra` raise."""
        _check(request)
        keys = read_keys(request.ssh_public_key, request.tls_public_key)
        identity = self._identity(request, join_token, longest)
        authority, now = await self._authorities.own("host"), self._clock.now()
        ssh = await issue.ssh_certificate(
            self._signer, authority, identity, key=keys.ssh, now=now, entropy=self._entropy
        )  # fmt: skip
        tls = await issue.tls_certificate(
            self._signer, authority, identity, spki=keys.tls, now=now, entropy=self._entropy,
            names=(*identity.principals, *_dns_names(request)),
        )  # fmt: skip
        event = CertCreate(cert_type="host", identity=CertIdentity.of(identity), **caller)
        await self._audit.record(event, *extra)
        every = await self._authorities.every()
        return MadeCertificates(
            ssh_certificate=ssh.line(), tls_certificate=x509.pem(tls), expires=identity.expires,
            authorities=vouching(every),
        )  # fmt: skip

    async def _authorize(self, rights: Rights, request: HostRequest) -> None:
        identity = rights.identity
        if not identity.is_host:
            await self._authorizer.demand(rights, "create", _SUBJECT)
            return
        own = host_id(identity) == request.host_uuid and set(request.roles) <= set(system_roles(identity))
        if not own:
            roles = ", ".join(request.roles)
            raise AccessDenied("AUTH-HOST-SELF", caller=identity.name, asked=request.host_uuid, roles=roles)
        world = rights.conditions
        lock = locks.in_force(identity, (), "", _SUBJECT, world.locks, world.now)
        if lock is not None:
            raise locked(lock, identity)

    def _identity(self, request: HostRequest, join_token: str, longest: dt.timedelta) -> Identity:
        uuid, cluster, node = request.host_uuid, self._cluster, request.node_name
        names = (f"{uuid}.{cluster}", uuid, *((f"{node}.{cluster}", node) if node else ()), *LOOPBACK)
        ttl = max(min(dt.timedelta(seconds=request.ttl), longest), SHORTEST) if request.ttl > 0 else longest
        return Identity(
            name=f"{uuid}.{cluster}", cluster=cluster, kind="host", roles=request.roles[:1],
            system_roles=tuple(sorted(set(request.roles))),
            principals=tuple(dict.fromkeys((*names, *request.principals))),
            expires=(self._clock.now() + ttl).replace(microsecond=0), join_token=join_token,
        )  # fmt: skip


def _dns_names(request: HostRequest) -> tuple[str, ...]:
    return request.dns_names if TLS_SERVERS.intersection(request.roles) else ()


def _check(request: HostRequest) -> None:
    """Raise BadParameter (AUTH-HOST-REQUEST) unless names and roles are ones that a host can have."""
    if not _HOST_ID.fullmatch(request.host_uuid):
        raise _bad("the host's id is neither a UUID in lower case nor that of an instance")
    if not request.roles or not set(request.roles) <= ROLES:
        raise _bad(f"system roles are some of {', '.join(sorted(ROLES))}")
    names = (*request.principals, *request.dns_names)
    if len(names) > _MOST_NAMES:
        raise _bad(f"there are more than {_MOST_NAMES} names")
    check_names(request.host_uuid, (request.node_name, *names), frozenset(request.roles))


def check_names(host_uuid: str, names: Iterable[str], roles: Set[str]) -> None:
    """Raise BadParameter (AUTH-HOST-REQUEST) unless a host with this id and these system roles can have the names."""
    for name in names:
        if name and not _NAME.fullmatch(name):
            raise _bad(f"{name[:60]!r} is neither a host name nor an IP address")
        if _HOST_ID.match(name.lower()) and not name.startswith(host_uuid):
            raise _bad(f"{name[:60]!r} is the name of another host")
        if name.lower().endswith(x509.CLUSTER_NAME) and not {AUTH, PROXY} & roles:
            raise _bad(f"{name[:60]!r} is a name of the Auth and Proxy Services")


def _bad(problem: str) -> BadParameter:
    return BadParameter("AUTH-HOST-REQUEST", problem=problem)
