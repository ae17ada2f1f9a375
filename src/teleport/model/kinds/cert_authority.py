"""cert_authority: an authority of a cluster: the public keys by which its certificates are known.

There is no private key in the document, and no field for one: `key_id` names the key to the signer, which
alone has it. Not here: signing (`pki.signer`), rotation (`auth`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Literal, get_args

from teleport.base.errors import BadParameter
from teleport.base.struct import Duration, Struct
from teleport.model.later import Unacted, check_later
from teleport.model.naming import check_cluster_name, check_name, check_text
from teleport.model.resource import Column, Resource, Time, kind

CaType = Literal[
    "host", "user", "db", "db_client", "openssh", "jwt", "saml_idp", "oidc_idp", "spiffe", "okta", "awsra",
    "bound_keypair", "audit",
]  # fmt: skip
"""Types of authorities, in the order in which tools list them."""

CA_TYPES: tuple[CaType, ...] = get_args(CaType)
SERVED_TYPES: tuple[CaType, ...] = (
    "host", "user", "db", "db_client", "openssh", "jwt", "bound_keypair", "audit",
)  # fmt: skip
"""Authorities that every cluster has from its first start on."""

_BLOB_LIMIT = 16384


class SshKey(Struct, frozen=True, kw_only=True):
    """An authority's key for SSH certificates."""

    public_key: str
    """One line in the form of authorized_keys: type, base64, optionally a comment."""
    key_id: str = ""
    """Name of the private key at the signer; empty for a key that only others sign with."""
    algorithm: str = ""


class TlsKey(Struct, frozen=True, kw_only=True):
    """An authority's key for X.509 certificates."""

    cert: str
    """Self-signed certificate, PEM."""
    key_id: str = ""
    """Name of the private key at the signer; empty for a key that only others sign with."""
    algorithm: str = ""


class JwtKey(Struct, frozen=True, kw_only=True):
    """An authority's key for tokens (RFC 7519)."""

    public_key: str
    """SubjectPublicKeyInfo, PEM."""
    key_id: str = ""
    """Name of the private key at the signer; empty for a key that only others sign with."""
    algorithm: str = ""


class AuditKey(Struct, frozen=True, kw_only=True):
    """An authority's key for checkpoints of the audit log. One that signed is never dropped: what it signed stays."""

    public_key: str
    """SubjectPublicKeyInfo, PEM."""
    key_id: str = ""
    """Name of the private key at the signer; empty for a key that signs no more."""
    algorithm: str = ""


class KeySet(Struct, frozen=True, kw_only=True):
    """Keys by protocol."""

    ssh: tuple[SshKey, ...] = ()
    tls: tuple[TlsKey, ...] = ()
    jwt: tuple[JwtKey, ...] = ()
    audit: tuple[AuditKey, ...] = ()


class Schedule(Struct, frozen=True, kw_only=True):
    """When an automatic rotation enters its phases."""

    update_clients: Time | None = None
    update_servers: Time | None = None
    standby: Time | None = None


class Rotation(Struct, frozen=True, kw_only=True):
    """Where the replacement of an authority's keys stands."""

    state: Literal["", "standby", "in_progress"] = ""
    phase: Literal["", "standby", "init", "update_clients", "update_servers", "rollback"] = ""
    mode: Literal["", "manual", "auto"] = ""
    current_id: str = ""
    started: Time | None = None
    grace_period: Duration = Duration(0)
    last_rotated: Time | None = None
    schedule: Schedule | None = None


class CertAuthoritySpec(Struct, frozen=True, kw_only=True):
    """Whose authority it is and by which keys it is known."""

    type: CaType
    cluster_name: str
    active_keys: KeySet = KeySet()
    """Keys that sign now; the first of each protocol does, all are trusted."""
    additional_trusted_keys: KeySet = KeySet()
    """Keys that are trusted and do not sign: the next ones, or the last ones, of a rotation."""
    rotation: Rotation | None = None
    role_map: Unacted = None
    signing_alg: Unacted = None


@kind(
    key="authorities",
    versions=("v2",),
    aliases=("cert_authorities", "cas"),
    by_sub_kind=True,
    writable=("rm",),
    columns=(
        Column("Cluster Name", lambda ca: str(ca.spec.cluster_name)),
        Column("CA Type", lambda ca: str(ca.spec.type)),
        Column("Fingerprint", lambda ca: ",".join(fingerprint(key.public_key) for key in ca.spec.active_keys.ssh)),
        Column("Role Map", lambda ca: "N/A"),
    ),
    messages={"delete": "cert_authority '{sub_kind}/{name}' has been deleted"},
)
class CertAuthority(Resource[CertAuthoritySpec], frozen=True, kw_only=True, tag="cert_authority"):
    """An authority; its sub-kind is its type and its name is the cluster's."""

    def check(self) -> None:
        """Raise BadParameter (KIND-*) where parts contradict each other, NotSupported for unacted fields."""
        spec = self.spec
        check_later("cert_authority", spec)
        check_cluster_name(spec.cluster_name)
        for field, have, want in (
            ("sub_kind", self.sub_kind, spec.type),
            ("metadata.name", self.name, spec.cluster_name),
        ):
            if have != want:
                raise BadParameter("KIND-CA-NAME", field=field, value=ascii(have[:60]), wanted=want)
        for keys in (spec.active_keys, spec.additional_trusted_keys):
            _check_keys(keys)

    def trusted_ssh(self) -> tuple[SshKey, ...]:
        """Every key whose SSH certificates are valid."""
        return (*self.spec.active_keys.ssh, *self.spec.additional_trusted_keys.ssh)

    def trusted_tls(self) -> tuple[TlsKey, ...]:
        """Every key whose X.509 certificates are valid."""
        return (*self.spec.active_keys.tls, *self.spec.additional_trusted_keys.tls)

    def trusted_jwt(self) -> tuple[JwtKey, ...]:
        """Every key whose tokens are valid."""
        return (*self.spec.active_keys.jwt, *self.spec.additional_trusted_keys.jwt)

    def trusted_audit(self) -> tuple[AuditKey, ...]:
        """Every key whose checkpoints of the audit log are valid."""
        return (*self.spec.active_keys.audit, *self.spec.additional_trusted_keys.audit)


def fingerprint(public_key: str) -> str:
    """Return `SHA256:...` of a line of authorized_keys, as `ssh-keygen -l` shows it."""
    digest = hashlib.sha256(_blob(public_key)).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def _check_keys(keys: KeySet) -> None:
    every_key: tuple[SshKey | TlsKey | JwtKey | AuditKey, ...] = (*keys.ssh, *keys.tls, *keys.jwt, *keys.audit)
    for key in every_key:
        if key.key_id:
            check_name("key id", key.key_id)
        check_text("cert_authority", "algorithm", key.algorithm)
    for ssh in keys.ssh:
        _blob(ssh.public_key)
    for tls in keys.tls:
        if not _is_one(tls.cert, "CERTIFICATE"):
            raise BadParameter("KIND-CA-KEY", problem="`cert` is not one certificate in PEM")
    tokens: tuple[JwtKey | AuditKey, ...] = (*keys.jwt, *keys.audit)
    for plain in tokens:
        if not _is_one(plain.public_key, "PUBLIC KEY"):
            raise BadParameter(
                "KIND-CA-KEY", problem="`public_key` of a token or audit key is not one public key in PEM"
            )


def _is_one(pem: str, label: str) -> bool:
    begin, end = f"-----BEGIN {label}-----", f"-----END {label}-----"
    body = pem.strip()
    return body.startswith(begin) and body.endswith(end) and body.count("-----BEGIN") == 1


def _blob(line: str) -> bytes:
    """Return the key inside a line of authorized_keys. Raises BadParameter (KIND-CA-KEY)."""
    words = line.strip().split(" ", 2)
    if len(words) >= 2 and len(line) <= _BLOB_LIMIT and line.strip().isprintable():
        try:
            blob = base64.b64decode(words[1], validate=True)
        except (binascii.Error, ValueError):
            blob = b""
        if blob.startswith(len(words[0]).to_bytes(4, "big") + words[0].encode()):
            return blob
    raise BadParameter("KIND-CA-KEY", problem="`public_key` is not one line of authorized_keys, or its type is another")
