"""Issuing: an identity, a public key and an authority become a certificate.

What an identity may hold and for how long was decided before; here it is only written down and signed,
by the authority that belongs to its kind: users and bots by the user authority, hosts by the host
authority. A wrong pair is refused.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter
from teleport.model.identity import Identity
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.pki import authority, codec, ssh, x509
from teleport.pki.signer import Signer

_SERVICES = frozenset({"Auth", "Proxy"})
"""System roles whose holders clients trust as the cluster itself."""


async def ssh_certificate(
    signer: Signer, ca: CertAuthority, identity: Identity, *, key: bytes, now: dt.datetime, entropy: Entropy
) -> ssh.SSHCertificate:
    """Issue an SSH certificate for the plain public key blob `key`, valid from a minute ago until
    `identity.expires`. Raises BadParameter (PKI-IDENTITY, PKI-SSH-CERT), NotFound (PKI-NO-SIGNING-KEY) and
    what `Signer.sign` raises."""
    fields = codec.to_ssh(identity)
    _check_pair(ca, identity)
    issuer = authority.ssh_issuer(ca)
    begin = int((now - x509.BACKDATE).timestamp())
    return await ssh.issue(
        signer, issuer.key_id, authority=issuer.blob, key=key, valid_after=begin, entropy=entropy, **fields._asdict()
    )


async def tls_certificate(
    signer: Signer,
    ca: CertAuthority,
    identity: Identity,
    *,
    spki: bytes,
    now: dt.datetime,
    entropy: Entropy,
    names: Iterable[str] = (),
) -> bytes:
    """Issue an X.509 certificate (DER) for the public key `spki`, valid from a minute ago until
    `identity.expires`. Hosts may be TLS servers and get `names` (DNS or IP) and their cluster's encoded name;
    users and bots are clients only. The name by which clients know the cluster's services,
    `teleport.cluster.local`, goes to Auth and Proxy alone: any other host could pass for them.

    Raises BadParameter (PKI-IDENTITY, PKI-X509, PKI-KEY), NotFound (PKI-NO-SIGNING-KEY) and what `Signer.sign`
    raises."""
    subject = codec.to_subject(identity)
    _check_pair(ca, identity)
    usages: tuple[x509.Usage, ...] = ("client", "server") if identity.is_host else ("client",)
    listed = _server_names(identity, tuple(names)) if identity.is_host else ()
    return await x509.issue(
        signer, authority.tls_issuer(ca), spki=spki, subject=subject, not_before=now - x509.BACKDATE,
        not_after=identity.expires, usages=usages, entropy=entropy, names=listed,
    )  # fmt: skip


async def login_certificate(
    signer: Signer, ca: CertAuthority, *, user: str, login: str, key: bytes, extensions: Iterable[str],
    now: dt.datetime, expires: dt.datetime, entropy: Entropy,
) -> ssh.SSHCertificate:  # fmt: skip
    """Issue a certificate by which a server without an agent lets `user` in as `login`: of the openssh authority, for
    one login, saying nothing of roles. `user` stands in the server's log as key id. Raises BadParameter
    (PKI-IDENTITY, PKI-SSH-CERT), NotFound (PKI-NO-SIGNING-KEY) and what `Signer.sign` raises."""
    if ca.spec.type != "openssh":
        raise BadParameter("PKI-IDENTITY", problem=f"the {ca.spec.type} authority does not vouch for logins")
    issuer = authority.ssh_issuer(ca)
    return await ssh.issue(
        signer, issuer.key_id, authority=issuer.blob, key=key, type="user", key_id=user, principals=(login,),
        valid_after=int((now - x509.BACKDATE).timestamp()), valid_before=int(expires.timestamp()),
        extensions=dict.fromkeys(extensions, ""), entropy=entropy,
    )  # fmt: skip


def _check_pair(ca: CertAuthority, identity: Identity) -> None:
    wanted = "host" if identity.is_host else "user"
    if ca.spec.type != wanted or ca.spec.cluster_name != identity.cluster:
        problem = f"the {ca.spec.type} authority of {ca.spec.cluster_name} does not vouch for it"
        raise BadParameter("PKI-IDENTITY", problem=problem)


def _server_names(identity: Identity, names: tuple[str, ...]) -> Iterable[str]:
    if _SERVICES.intersection((*identity.roles, *identity.system_roles)):
        return dict.fromkeys((*x509.service_names(identity.cluster), *names))
    for name in names:
        if name.rstrip(".").lower().endswith(x509.CLUSTER_NAME):
            raise BadParameter("PKI-X509", problem=f"only Auth and Proxy may be called {name[:80]}")
    return dict.fromkeys((x509.encoded_cluster_name(identity.cluster), *names))
