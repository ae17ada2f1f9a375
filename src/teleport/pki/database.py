"""Certificates that databases read: of who connects to them, and their own.

A database trusts the authority `db_client` and looks at nothing but the subject, which many compare as a whole. So
the subject of such a certificate is the account alone (CN); whom it was issued to, with every route and limit, stands
in an extension (1.3.9999.9.4, not critical) whose content is the subject that `pki.codec` writes, DER of a Name. The
other doors of the cluster refuse it twice: they do not trust that authority, and its subject is no identity.

A database's own certificate is of the authority `db`, for the names under which it is reached.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from cryptography.x509 import Certificate, UnrecognizedExtension

from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter
from teleport.model.identity import Identity
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.pki import authority, codec, der, x509
from teleport.pki.signer import Signer
from teleport.pki.ssh_wire import Malformed

_CN, _IDENTITY = "2.5.4.3", "1.3.9999.9.4"


async def client_certificate(
    signer: Signer, ca: CertAuthority, identity: Identity, *, spki: bytes, now: dt.datetime, entropy: Entropy
) -> bytes:
    """Issue a certificate (DER) with which `identity` is its `database_user` to the database that it is for, valid
    from a minute ago until `identity.expires`. Raises BadParameter (PKI-IDENTITY, PKI-X509, PKI-KEY), NotFound
    (PKI-NO-SIGNING-KEY) and what `Signer.sign` raises."""
    subject = codec.to_subject(identity)
    if not identity.database_service or identity.database_user in ("", "*"):
        raise _bad("it names no database, or no account of one")
    if ca.spec.type != "db_client" or ca.spec.cluster_name != identity.cluster:
        raise _bad(f"the {ca.spec.type} authority of {ca.spec.cluster_name} does not vouch for it at databases")
    return await x509.issue(
        signer, authority.tls_issuer(ca), spki=spki, subject=((_CN, identity.database_user),),
        not_before=now - x509.BACKDATE, not_after=identity.expires, usages=("client",), entropy=entropy,
        extensions=(der.extension(_IDENTITY, der.name(subject), critical=False),),
    )  # fmt: skip


async def server_certificate(
    signer: Signer, ca: CertAuthority, hosts: Sequence[str], *, spki: bytes, now: dt.datetime, expires: dt.datetime,
    entropy: Entropy,
) -> bytes:  # fmt: skip
    """Issue a database's own certificate (DER) for its names or addresses; the first one is its common name. Raises
    BadParameter (PKI-X509, PKI-KEY), NotFound (PKI-NO-SIGNING-KEY) and what `Signer.sign` raises."""
    if ca.spec.type != "db" or not hosts:
        raise BadParameter("PKI-X509", problem=f"the {ca.spec.type} authority names no database")
    return await x509.issue(
        signer, authority.tls_issuer(ca), spki=spki, subject=((_CN, hosts[0]),), not_before=now - x509.BACKDATE,
        not_after=expires, usages=("server",), entropy=entropy, names=tuple(dict.fromkeys(hosts)),
    )  # fmt: skip


def identity_of(certificate: Certificate) -> Identity:
    """Read to whom a certificate for databases was issued; who vouches for it is checked elsewhere. Raises
    BadParameter (PKI-IDENTITY)."""
    found = [entry.value for entry in certificate.extensions if entry.oid.dotted_string == _IDENTITY]
    if not found or not isinstance(found[0], UnrecognizedExtension):
        raise _bad("it is no certificate for databases")
    try:
        (name,) = der.elements(found[0].value)
        subject = der.attributes(name.content)
        shown = x509.subject_of(certificate)
    except (Malformed, BadParameter, ValueError, IndexError):
        raise _bad("the identity in it cannot be read") from None
    identity = codec.from_subject(subject, certificate.not_valid_after_utc)
    if shown != ((_CN, identity.database_user),) or der.name(subject) != found[0].value:
        raise _bad("its common name is not the account that it is for, or the identity has another form")
    return identity


def _bad(problem: str) -> BadParameter:
    return BadParameter("PKI-IDENTITY", problem=problem)
