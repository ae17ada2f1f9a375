"""Certificate authorities: making them, and reading what they vouch for.

Which keys an authority of each type has is one table. The private parts stay in the signer: a
cert_authority resource names them by key id. Rotation changes which keys are active and which are
only trusted; the views here always cover both.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter, NotFound, NotSupported
from teleport.model.kinds.cert_authority import (
    AuditKey,
    CaType,
    CertAuthority,
    CertAuthoritySpec,
    JwtKey,
    KeySet,
    SshKey,
    TlsKey,
)
from teleport.model.resource import Metadata
from teleport.pki import keys, x509
from teleport.pki.keys import ECDSA_P256, ED25519

if TYPE_CHECKING:  # it brings an event loop along, and who only reads authorities has no use for one
    from teleport.pki.signer import Signer


class KeyPlan(NamedTuple):
    """Algorithms of an authority's keys; empty where it has none of that form."""

    ssh: str = ""
    tls: str = ""
    jwt: str = ""
    audit: str = ""


RSA_2048 = "rsa-2048"

TYPES: dict[CaType, KeyPlan] = {
    "host": KeyPlan(ssh=ED25519, tls=ECDSA_P256),
    "user": KeyPlan(ssh=ED25519, tls=ECDSA_P256),
    "db": KeyPlan(tls=ECDSA_P256),
    "db_client": KeyPlan(tls=ECDSA_P256),
    "openssh": KeyPlan(ssh=ED25519),
    "jwt": KeyPlan(jwt=ECDSA_P256),
    "saml_idp": KeyPlan(tls=RSA_2048),
    "oidc_idp": KeyPlan(jwt=RSA_2048),
    "spiffe": KeyPlan(tls=ECDSA_P256, jwt=ECDSA_P256),
    "okta": KeyPlan(jwt=ECDSA_P256),
    "awsra": KeyPlan(tls=ECDSA_P256),
    "bound_keypair": KeyPlan(jwt=ED25519),
    "audit": KeyPlan(audit=ED25519),
}
"""Every type of authority, in the order of listings, with the algorithms of a new cluster."""

LIFETIME = dt.timedelta(days=3650)
"""How long the certificate of an authority is valid; keys are replaced by rotation long before."""


async def create(signer: Signer, ca_type: CaType, cluster: str, *, now: dt.datetime, entropy: Entropy) -> CertAuthority:
    """Make an authority with new keys in the signer. The caller stores it.

    Authorities with RSA keys are listed but not made by this build: NotSupported (PKI-ALGORITHM).
    Raises BadParameter (PKI-CA-TYPE) and what `Signer.generate` raises."""
    if ca_type not in TYPES:
        raise BadParameter("PKI-CA-TYPE", type=ca_type[:40], known=", ".join(TYPES))
    plan = TYPES[ca_type]
    if RSA_2048 in plan:
        raise NotSupported("PKI-ALGORITHM", algorithm=RSA_2048, purpose=f"the {ca_type} authority")
    jwt: tuple[JwtKey, ...] = ()
    audit: tuple[AuditKey, ...] = ()
    ssh: tuple[SshKey, ...] = ()
    tls: tuple[TlsKey, ...] = ()
    if plan.ssh:
        handle = await signer.generate(plan.ssh, "ssh")
        line = keys.ssh_line(keys.ssh_blob(keys.load_spki(handle.spki)))
        ssh = (SshKey(public_key=line, key_id=handle.key_id, algorithm=handle.algorithm),)
    if plan.tls:
        handle = await signer.generate(plan.tls, "x509")
        certificate = await x509.self_sign(signer, handle, cluster, now=now, lifetime=LIFETIME, entropy=entropy)
        tls = (TlsKey(cert=x509.pem(certificate), key_id=handle.key_id, algorithm=handle.algorithm),)
    if plan.jwt:
        handle = await signer.generate(plan.jwt, "jwt")
        pem = keys.public_pem(keys.load_spki(handle.spki))
        jwt = (JwtKey(public_key=pem, key_id=handle.key_id, algorithm=handle.algorithm),)
    if plan.audit:
        handle = await signer.generate(plan.audit, "audit")
        pem = keys.public_pem(keys.load_spki(handle.spki))
        audit = (AuditKey(public_key=pem, key_id=handle.key_id, algorithm=handle.algorithm),)
    made = CertAuthority(
        version="v2", sub_kind=ca_type, metadata=Metadata(name=cluster),
        spec=CertAuthoritySpec(
            type=ca_type, cluster_name=cluster, active_keys=KeySet(ssh=ssh, tls=tls, jwt=jwt, audit=audit)
        ),
    )  # fmt: skip
    made.check()
    return made


def trusted_ssh(authorities: Iterable[CertAuthority], ca_type: str) -> dict[bytes, str]:
    """Return the SSH keys (blobs) that sign for this type, with the cluster each speaks for."""
    return {
        keys.load_ssh_line(pair.public_key): authority.spec.cluster_name
        for authority in authorities
        if authority.spec.type == ca_type
        for pair in authority.trusted_ssh()
    }


def trusted_tls(authorities: Iterable[CertAuthority], ca_type: str) -> dict[bytes, str]:
    """Return the certificates (DER) that sign for this type, with the cluster each speaks for."""
    return {
        x509.encode(x509.parse_authority(pair.cert.encode())): authority.spec.cluster_name
        for authority in authorities
        if authority.spec.type == ca_type
        for pair in authority.trusted_tls()
    }


def pins(authority: CertAuthority) -> list[str]:
    """Return the CA pins of an authority: one, or two while it is rotated."""
    return [x509.pin(data) for data in trusted_tls([authority], authority.spec.type)]


class SSHIssuer(NamedTuple):
    """The key that signs SSH certificates of an authority now."""

    key_id: str
    blob: bytes


def ssh_issuer(authority: CertAuthority) -> SSHIssuer:
    """Return the SSH key that signs now. Raises NotFound (PKI-NO-SIGNING-KEY)."""
    for pair in authority.spec.active_keys.ssh:
        if pair.key_id:
            return SSHIssuer(pair.key_id, keys.load_ssh_line(pair.public_key))
    raise _no_key(authority, "SSH")


def tls_issuer(authority: CertAuthority) -> x509.Issuer:
    """Return the TLS certificate and key that sign now. Raises NotFound (PKI-NO-SIGNING-KEY)."""
    for pair in authority.spec.active_keys.tls:
        if pair.key_id:
            return x509.Issuer(x509.encode(x509.parse_authority(pair.cert.encode())), pair.key_id)
    raise _no_key(authority, "TLS")


class AuditSigner(NamedTuple):
    """The key that signs checkpoints now: its name at the signer, and its 32 bytes."""

    key_id: str
    public: bytes


def audit_signer(authority: CertAuthority) -> AuditSigner:
    """Return the key that signs checkpoints of the audit log now. Raises NotFound (PKI-NO-SIGNING-KEY)."""
    for pair in authority.spec.active_keys.audit:
        if pair.key_id:
            return AuditSigner(pair.key_id, keys.raw_ed25519(pair.public_key))
    raise _no_key(authority, "audit")


def audit_keys(authority: CertAuthority) -> tuple[bytes, ...]:
    """Return every key (32 bytes) whose checkpoints hold, also those that sign no more; the one that signs first."""
    return tuple(keys.raw_ed25519(key.public_key) for key in authority.trusted_audit())


def _no_key(authority: CertAuthority, form: str) -> NotFound:
    return NotFound("PKI-NO-SIGNING-KEY", type=authority.spec.type, cluster=authority.spec.cluster_name, form=form)
