"""The certificate of the web port: the one that was configured, or a self-signed one made on first start.

A self-signed certificate is kept in the data directory under the names other tools expect, so that it
can be given to clients (`SSL_CERT_FILE`) and does not change with a restart.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from teleport.base.clock import Clock
from teleport.base.disk import Disk
from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter
from teleport.base.log import logger
from teleport.pki import keys

log = logger("PROXY")

Pair = tuple[str, str]
"""A certificate, with what follows up to its authority, and its key (PEM)."""

LIFETIME = dt.timedelta(days=365)
RENEW_BEFORE = dt.timedelta(days=30)


def self_signed(data_dir: str, names: Sequence[str], *, disk: Disk, clock: Clock, entropy: Entropy) -> Pair:
    """Return certificate and key (PEM) for `names`; made anew when the stored one ends soon or names others."""
    certificate_path, key_path = f"{data_dir}/webproxy_cert.pem", f"{data_dir}/webproxy_key.pem"
    if disk.exists(certificate_path) and disk.exists(key_path):
        stored, stored_key = _text(certificate_path, disk), disk.read(key_path, private=True)
        if _fits(stored, stored_key, names, clock.now()):
            return stored, stored_key.decode()
    certificate, key = _make(names, clock.now(), entropy)
    disk.write(key_path, key.encode(), mode=0o600)
    disk.write(certificate_path, certificate.encode(), mode=0o644)
    log.warn(
        "The web port uses a self-signed certificate; give it one of a public authority with https_keypairs",
        path=certificate_path,
    )
    return certificate, key


def configured(certificate_file: str, key_file: str, disk: Disk) -> Pair:
    """Return a configured pair (PEM). Raises BadParameter (PROXY-KEYPAIR) and DISK-* errors."""
    certificate, key = _text(certificate_file, disk), _text(key_file, disk)
    if "BEGIN CERTIFICATE" not in certificate or "PRIVATE KEY" not in key:
        raise BadParameter("PROXY-KEYPAIR", certificate=certificate_file, key=key_file)
    return certificate, key


def names(certificate: str) -> tuple[str, ...]:
    """Return the DNS names of the first certificate (PEM), in lower case; none if there are none."""
    try:
        parsed = x509.load_pem_x509_certificate(certificate.encode())
        found = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return ()
    return tuple(name.lower() for name in found.get_values_for_type(x509.DNSName))


def covers(names: Sequence[str], server_name: str) -> bool:
    """Say whether one of the names is the one asked for; `*.` stands for one label (RFC 9525, section 6.3)."""
    asked = server_name.lower()
    return bool(asked) and (asked in names or f"*.{asked.partition('.')[2]}" in names)


def _text(path: str, disk: Disk) -> str:
    return disk.read(path).decode(errors="replace")


def _fits(certificate: str, key: bytes, names: Sequence[str], now: dt.datetime) -> bool:
    """Say whether the stored pair can be used on: a damaged one is made anew."""
    try:
        parsed = x509.load_pem_x509_certificate(certificate.encode())
        have = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        own = keys.load_private(key).public_key() == parsed.public_key()
    except (ValueError, BadParameter, x509.ExtensionNotFound):
        return False
    wanted = [_general_name(name) for name in names]
    return own and list(have) == wanted and parsed.not_valid_after_utc - now > RENEW_BEFORE


def _make(names: Sequence[str], now: dt.datetime, entropy: Entropy) -> Pair:
    key = keys.make_p256(entropy)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64]),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Teleport self-signed"),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(entropy.token(16), "big") | 1)
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), keys.private_pem(key).decode()


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
