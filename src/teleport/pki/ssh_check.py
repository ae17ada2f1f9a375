"""What makes an SSH certificate good, whoever it is of: authority, signature, time, principals, options.

`pki.check` goes on from here to identities of the cluster. A client stays here for the host that it has reached: that
may be a stock OpenSSH server, whose certificate says nothing of clusters. Apart from `check`, because a command has
no time to import what reads X.509 certificates.
"""

from __future__ import annotations

from teleport.base.errors import AccessDenied, BadParameter, NotAuthenticated
from teleport.base.lean import Container, dt
from teleport.pki import keys, ssh
from teleport.pki.ssh_wire import Malformed, Reader

_KNOWN_OPTIONS = {"user": frozenset({"source-address"}), "host": frozenset[str]()}


def read(blob: bytes) -> ssh.SSHCertificate:
    """Read a certificate. Raises NotAuthenticated (PKI-NOT-A-CERTIFICATE, PKI-MALFORMED-CERTIFICATE)."""
    if not ssh.is_certificate(blob):
        raise NotAuthenticated("PKI-NOT-A-CERTIFICATE", type=_type_of(blob))
    try:
        return ssh.parse(blob)
    except BadParameter as error:
        raise malformed(error) from None


def check_signed(
    certificate: ssh.SSHCertificate, wanted: ssh.CertificateType, trusted: Container[bytes], now: dt.datetime
) -> None:
    """Raise unless a certificate of the wanted type was signed by a trusted authority and is valid now.

    `trusted` holds blobs of the keys of authorities. Raises NotAuthenticated (PKI-WRONG-TYPE, PKI-UNKNOWN-CA,
    PKI-BAD-SIGNATURE, PKI-NOT-YET-VALID, PKI-EXPIRED, PKI-NO-KEY-ID, PKI-NO-PRINCIPALS, PKI-UNKNOWN-OPTION).
    """
    if certificate.type != wanted:
        raise NotAuthenticated("PKI-WRONG-TYPE", found=certificate.type, wanted=wanted)
    if certificate.authority not in trusted:
        raise NotAuthenticated("PKI-UNKNOWN-CA", wanted=wanted)
    if not ssh.verify(certificate):
        raise NotAuthenticated("PKI-BAD-SIGNATURE")
    _check_seconds(certificate, now)
    if not certificate.key_id:
        raise NotAuthenticated("PKI-NO-KEY-ID", key=keys.fingerprint(certificate.key))
    if not certificate.principals:
        raise NotAuthenticated("PKI-NO-PRINCIPALS", key=keys.fingerprint(certificate.key))
    for option in certificate.critical_options:
        if option not in _KNOWN_OPTIONS[wanted]:
            raise NotAuthenticated("PKI-UNKNOWN-OPTION", option=option[:80])


def check_server(blob: bytes, *, host: str, trusted: Container[bytes], now: dt.datetime) -> ssh.SSHCertificate:
    """Return the certificate of a server that was reached under the name `host`; it still has to prove its key.

    Raises like `read` and `check_signed`, and AccessDenied (PKI-HOST-NOT-IN-PRINCIPALS)."""
    certificate = read(blob)
    check_signed(certificate, "host", trusted, now)
    if host not in certificate.principals:
        raise AccessDenied("PKI-HOST-NOT-IN-PRINCIPALS", name=certificate.key_id[:80], host=host[:80])
    return certificate


def malformed(error: BadParameter) -> NotAuthenticated:
    """Return the error of a certificate that cannot be read."""
    return NotAuthenticated("PKI-MALFORMED-CERTIFICATE", problem=error.fields["problem"])


def _type_of(blob: bytes) -> str:
    """Return the type that a blob claims, fit to be shown; never trusted."""
    try:
        text = Reader(blob).string()[:60].decode("ascii")
    except (Malformed, UnicodeDecodeError):
        return "unknown"
    return text if text.isprintable() else "unknown"


def _check_seconds(certificate: ssh.SSHCertificate, now: dt.datetime) -> None:
    """Compare as numbers: an SSH certificate may begin or end outside the calendar."""
    current = now.timestamp()
    if current < certificate.valid_after:
        raise NotAuthenticated("PKI-NOT-YET-VALID", begins=_shown(certificate.valid_after), now=f"{now:%FT%TZ}")
    if current >= certificate.valid_before:
        raise NotAuthenticated("PKI-EXPIRED", expired=_shown(certificate.valid_before), now=f"{now:%FT%TZ}")


def _shown(seconds: int) -> str:
    try:
        return f"{dt.datetime.fromtimestamp(seconds, dt.UTC):%FT%TZ}"
    except (ValueError, OverflowError, OSError):
        return "the end of the calendar"
