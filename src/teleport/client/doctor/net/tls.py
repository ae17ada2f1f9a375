"""Whether the web port proves itself to this machine's authorities, as it does to browsers."""

from __future__ import annotations

import datetime as dt

from cryptography import x509
from cryptography.x509.oid import NameOID

from teleport.client.doctor.report import Finding
from teleport.client.doctor.trip import Trip
from teleport.net import tls

TIMEOUT = 5.0
SOON = dt.timedelta(days=7)


async def run(trip: Trip) -> str | Finding:
    """Raises NotAuthenticated and Unavailable (NET-TLS-*)."""
    carrier = await trip.way().reach()
    opened = await tls.client_handshake(carrier, trip.web_context(), TIMEOUT, server_name=trip.address.host)
    await opened.close()
    if not opened.peer.certificate:  # nobody has proven anything
        return "TLS is spoken; the certificate was not checked (--insecure)"
    found = x509.load_der_x509_certificate(opened.peer.certificate)
    left = found.not_valid_after_utc - trip.clock.now()
    evidence = f"certificate of {_name(found.subject)} by {_name(found.issuer)} is believed, {left.days} days left"
    if dt.timedelta() < left < SOON:
        return Finding.told("tls", "NET-TLS-SOON", evidence, "warn")
    return evidence


def _name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME) or name.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return ascii(str(found[0].value)[:60])[1:-1] if found else "no name"
