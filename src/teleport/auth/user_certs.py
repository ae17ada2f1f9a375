"""User certificates: what a user holds becomes an Identity, and an Identity becomes two certificates.

Lifetime: what was asked for, 12 hours without a wish, never more than 30 hours, than the shortest of the
roles, or than the account itself. A user without logins still gets a certificate, for the API: its only
principals are internal ones that no host accepts.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import ipaddress
from dataclasses import dataclass

from teleport.access import locks
from teleport.access.roleset import RoleSet
from teleport.auth.authorities import Authorities
from teleport.auth.authorize import Authorizer
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.errors import AccessDenied, BadParameter
from teleport.base.struct import Duration
from teleport.model.events.base import USER_KINDS
from teleport.model.events.cert import CertCreate, CertIdentity
from teleport.model.identity import Identity
from teleport.model.kinds.lock import Lock
from teleport.model.kinds.user import User
from teleport.model.login import JOIN as INTERNAL_JOIN
from teleport.pki import database, issue, keys, x509
from teleport.pki.signer import Signer

DEFAULT_TTL = Duration(12 * 3600)
LONGEST_TTL = Duration(30 * 3600)
SHORTEST_TTL = Duration(60)
_NO_LOGIN = "-teleport-nologin-"
_BEGIN, _END = "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """The keys of a caller, checked: SSH blob and SubjectPublicKeyInfo (DER)."""

    ssh: bytes
    tls: bytes

    @property
    def digest(self) -> str:
        """What stands for both: whoever asks for the same digest asks for the same certificates."""
        return hashlib.sha256(hashlib.sha256(self.ssh).digest() + hashlib.sha256(self.tls).digest()).hexdigest()


@dataclass(frozen=True, slots=True)
class Issued:
    """Certificates before they leave, and the event that must be stored first."""

    identity: Identity
    ssh: str
    tls: str
    event: CertCreate


def read_keys(ssh_public_key: str, tls_public_key: str) -> PublicKeys:
    """Read the public keys of a request. Raises BadParameter (PKI-KEY)."""
    blob = keys.load_ssh_line(ssh_public_key.strip())
    keys.load_ssh_blob(blob)
    return PublicKeys(blob, read_tls_key(tls_public_key))


def read_tls_key(pem: str) -> bytes:
    """Return the SubjectPublicKeyInfo (DER) of a public key. Raises BadParameter (PKI-KEY)."""
    return keys.spki(keys.load_spki(_der(pem)))


def _der(pem: str) -> bytes:
    """Return the content of the PEM block; what is no PEM block becomes no key."""
    lines = pem.strip().split("\n")
    if lines[0].strip() != _BEGIN or lines[-1].strip() != _END:
        return b""
    try:
        return base64.b64decode("".join(line.strip() for line in lines[1:-1]), validate=True)
    except binascii.Error:
        return b""


class UserCertificates:
    """Issues certificates for users; who may have them was decided by the caller."""

    def __init__(
        self, authorizer: Authorizer, authorities: Authorities, signer: Signer, clock: Clock, entropy: Entropy,
        cluster: str,
    ) -> None:  # fmt: skip
        self._authorizer = authorizer
        self._authorities = authorities
        self._signer = signer
        self._clock = clock
        self._entropy = entropy
        self._cluster = cluster

    async def identity(
        self, user: User, *, ttl: float = 0, client_address: str = "", longest: Duration = LONGEST_TTL
    ) -> Identity:  # fmt: skip
        """Return whom a certificate for the user would name now; its life is at most `longest`.

        Raises BadParameter (AUTH-USER-ROLES) for a user whose roles do not exist.
        """
        roles = await self._authorizer.role_set(user.spec.roles, user.spec.traits)
        missing = [role for role in user.spec.roles if role not in roles.names]
        if missing or not user.spec.roles:
            raise BadParameter("AUTH-USER-ROLES", user=user.name, missing=", ".join(missing) or "it has none")
        ip, options = address_of(client_address), roles.options
        return Identity(
            name=user.name, cluster=self._cluster, roles=user.spec.roles, traits=user.spec.traits,
            principals=self._principals(roles), expires=self._expires(user, roles, ttl, longest),
            route_to_cluster=self._cluster, login_ip=ip, pinned_ip=ip if options.pin_source_ip else "",
            permit_agent_forwarding=options.forward_agent,
            permit_port_forwarding=options.local_forwarding or options.remote_forwarding,
            permit_x11_forwarding=options.permit_x11_forwarding,
        )  # fmt: skip

    async def issue(self, identity: Identity, public: PublicKeys) -> Issued:
        """Sign certificates. They may leave only when the event is stored. Raises what `pki.issue` raises."""
        authority, now = await self._authorities.own("user"), self._clock.now()
        ssh = await issue.ssh_certificate(
            self._signer, authority, identity, key=public.ssh, now=now, entropy=self._entropy
        )  # fmt: skip
        if identity.database_service:
            authority = await self._authorities.own("db_client")
            sign = database.client_certificate
        else:
            sign = issue.tls_certificate
        tls = await sign(self._signer, authority, identity, spki=public.tls, now=now, entropy=self._entropy)
        event = CertCreate(
            cert_type="user", identity=CertIdentity.of(identity), user=identity.name,
            user_kind=USER_KINDS[identity.kind], user_roles=identity.roles, addr_remote=identity.login_ip,
        )  # fmt: skip
        return Issued(identity, ssh.line(), x509.pem(tls), event)

    def _principals(self, roles: RoleSet) -> tuple[str, ...]:
        logins = roles.logins_for_certificate() or (_NO_LOGIN + self._entropy.token(8).hex(),)
        return (*logins, INTERNAL_JOIN)

    def _expires(self, user: User, roles: RoleSet, ttl: float, longest: Duration) -> dt.datetime:
        asked = max(Duration(min(ttl, longest)), SHORTEST_TTL) if ttl > 0 else DEFAULT_TTL
        ends = [self._clock.now() + roles.ttl(asked).delta, user.spec.expires, user.metadata.expires]
        return min(end for end in ends if end is not None).astimezone(dt.UTC).replace(microsecond=0)

    async def check_locks(self, identity: Identity) -> None:
        """Refuse an identity that any lock is about. Raises AccessDenied (POL-LOCKED)."""
        world = await self._authorizer.conditions()
        lock = locks.in_force(identity, identity.roles, "", "user", world.locks, world.now)
        if lock is not None:
            raise locked(lock, identity)


def locked(lock: Lock, identity: Identity) -> AccessDenied:
    """Return the error for a lock that is in force on whom it refuses."""
    return AccessDenied("POL-LOCKED", **locks.fields(lock, identity))


def address_of(text: str) -> str:
    """Return the canonical IP address of `address` or `address:port`; empty if there is none."""
    for candidate in (text, text.rpartition(":")[0]):
        try:
            address = ipaddress.ip_address(candidate.strip("[]").partition("%")[0])
        except ValueError:
            continue
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return str(mapped or address)
    return ""
