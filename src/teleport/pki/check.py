"""The certificate check: the one place that decides whether a certificate is accepted, and as whom.

Everything that accepts an SSH certificate or a TLS peer calls these functions and nothing else. They
are pure: the time, the trusted authorities and the address of the peer are arguments, and each reason
to refuse has its own code. Whether the identity may do something is decided later, in `access`.

Order matters. A certificate is public: anybody may show one. So `check_user` takes the key that has
already signed the session (`proven_key`); the caller verifies that signature first, with the key of
`ssh.parse(blob)`, and until then tells the peer nothing and records nothing. The key is compared
here, so that a key merely offered is never taken for the key used (class of CVE-2024-45337).
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterable

from teleport.base.errors import AccessDenied, BadParameter, NotAuthenticated
from teleport.model.identity import Identity
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.pki import codec, ssh, x509
from teleport.pki.authority import trusted_ssh, trusted_tls
from teleport.pki.ssh_check import check_signed, malformed, read


def check_user(
    blob: bytes,
    *,
    proven_key: bytes,
    login: str,
    authorities: Iterable[CertAuthority],
    now: dt.datetime,
    source_ip: str,
    cluster: str,
) -> Identity:
    """Return who logs in with this certificate.

    `proven_key` is the blob of the plain key that signed the session; `source_ip` the peer's address, empty
    where the carrier has none (a certificate bound to an address is then refused); `cluster` the local
    cluster. Raises NotAuthenticated (PKI-NOT-A-CERTIFICATE, PKI-MALFORMED-CERTIFICATE, PKI-NOT-PROVEN,
    PKI-WRONG-TYPE, PKI-UNKNOWN-CA, PKI-BAD-SIGNATURE, PKI-NOT-YET-VALID, PKI-EXPIRED, PKI-NO-KEY-ID,
    PKI-NO-PRINCIPALS, PKI-UNKNOWN-OPTION, PKI-FOREIGN-CLUSTER) or AccessDenied (PKI-LOGIN-NOT-IN-PRINCIPALS,
    PKI-SOURCE-ADDRESS)."""
    certificate = read(blob)
    if certificate.key != proven_key:
        raise NotAuthenticated("PKI-NOT-PROVEN")
    identity = _check_ssh(certificate, "user", authorities, now, cluster)
    _check_source(identity, source_ip)
    if login not in identity.principals:
        raise AccessDenied("PKI-LOGIN-NOT-IN-PRINCIPALS", user=identity.name, login=login[:80])
    return identity


def check_host(
    blob: bytes, *, host: str, authorities: Iterable[CertAuthority], now: dt.datetime, cluster: str
) -> Identity:
    """Return which host answers, reached under the name or address `host`.

    The key exchange proves possession of the key; it ends in failure without it. Raises like `check_user`,
    with AccessDenied (PKI-HOST-NOT-IN-PRINCIPALS)."""
    identity = _check_ssh(read(blob), "host", authorities, now, cluster)
    if host not in identity.principals:
        raise AccessDenied("PKI-HOST-NOT-IN-PRINCIPALS", name=identity.name, host=host[:80])
    return identity


def check_x509(
    certificate: bytes, *, authorities: Iterable[CertAuthority], now: dt.datetime, source_ip: str, cluster: str
) -> Identity:
    """Return who is at the other end of a TLS connection that proved this certificate (DER).

    A certificate of the user authority makes a user or bot, one of the host authority a host, whatever it
    says itself. Raises NotAuthenticated (PKI-MALFORMED-CERTIFICATE, PKI-UNKNOWN-CA, PKI-WRONG-USE,
    PKI-WRONG-TYPE, PKI-NOT-YET-VALID, PKI-EXPIRED, PKI-FOREIGN-CLUSTER) or AccessDenied (PKI-SOURCE-ADDRESS)."""
    known = tuple(authorities)
    try:
        parsed = x509.parse(certificate)
    except BadParameter as error:
        raise malformed(error) from None
    issuers = [
        (kind, owner)
        for kind in ("user", "host")
        for data, owner in trusted_tls(known, kind).items()
        if x509.is_issued_by(parsed, x509.parse_authority(data))
    ]
    if not issuers:
        raise NotAuthenticated("PKI-UNKNOWN-CA", wanted="user or host")
    if x509.is_authority(parsed) or not x509.allows(parsed, "client"):
        raise NotAuthenticated("PKI-WRONG-USE", use="TLS clients")
    _check_time(parsed.not_valid_before_utc, parsed.not_valid_after_utc, now)
    try:
        identity = codec.from_x509(parsed)
    except BadParameter as error:
        raise malformed(error) from None
    (kind, owner) = issuers[0]
    if identity.is_host != (kind == "host"):
        raise NotAuthenticated("PKI-WRONG-TYPE", found="host" if identity.is_host else "user", wanted=kind)
    _check_cluster(identity, owner, cluster)
    _check_source(identity, source_ip)
    return identity


def check_carried(identity: Identity, node: str = "") -> None:
    """Refuse a certificate that was made for a connection which a proxy ended and records, except at the node that
    it is for: nowhere else may somebody come with it. Raises AccessDenied (PKI-CARRIED)."""
    if identity.recorded_by and identity.only_at != node:
        raise AccessDenied("PKI-CARRIED", user=identity.name, proxy=identity.recorded_by, node=identity.only_at)


def _check_ssh(
    certificate: ssh.SSHCertificate,
    wanted: ssh.CertificateType,
    authorities: Iterable[CertAuthority],
    now: dt.datetime,
    cluster: str,
) -> Identity:
    owners = trusted_ssh(authorities, wanted)
    check_signed(certificate, wanted, owners, now)
    try:
        identity = codec.from_ssh(certificate)
    except BadParameter as error:
        raise malformed(error) from None
    _check_cluster(identity, owners[certificate.authority], cluster)
    return identity


def _check_time(begins: dt.datetime, ends: dt.datetime, now: dt.datetime) -> None:
    if now < begins:
        raise NotAuthenticated("PKI-NOT-YET-VALID", begins=f"{begins:%FT%TZ}", now=f"{now:%FT%TZ}")
    if now >= ends:
        raise NotAuthenticated("PKI-EXPIRED", expired=f"{ends:%FT%TZ}", now=f"{now:%FT%TZ}")


def _check_cluster(identity: Identity, owner: str, cluster: str) -> None:
    """The authority speaks for its own cluster only, and that must be this one."""
    for name in (owner, identity.cluster):
        if name != cluster:
            raise NotAuthenticated("PKI-FOREIGN-CLUSTER", found=name, wanted=cluster)


def _check_source(identity: Identity, source_ip: str) -> None:
    if identity.pinned_ip and _address(source_ip) != ipaddress.ip_address(identity.pinned_ip):
        raise AccessDenied("PKI-SOURCE-ADDRESS", address=source_ip or "a connection without a proven IP address")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read the peer's address; an IPv4 address inside IPv6 (a socket for both) counts as IPv4."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
