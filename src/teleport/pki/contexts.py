"""TLS contexts: one function for each role a program plays in TLS.

Versions and suites stand in `pki.tls_settings`. Session resumption with client certificates is off, so that
every connection proves its key anew.

OpenSSL checks chains against the machine's own clock; `pki.check` repeats validity with the injected one.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Sequence

from teleport.base.errors import BadParameter
from teleport.pki import tls_client, tls_settings
from teleport.pki.x509 import pem


def server_context(
    *,
    certificate: str,
    key: str,
    client_authorities: Iterable[bytes],
    client_required: bool,
    alpn: Sequence[str] = (),
) -> ssl.SSLContext:
    """For the services of a cluster. Clients show a certificate of one of the authorities (DER), or, unless
    required, none; what it says is read by `pki.check.check_x509`. Raises BadParameter (PKI-KEY, PKI-X509)."""
    context = tls_settings.prepare(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), alpn)
    tls_client.load_key(context, certificate, key)
    _load_authorities(context, client_authorities)
    context.verify_mode = ssl.CERT_REQUIRED if client_required else ssl.CERT_OPTIONAL
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    return context


def web_context(*, certificate: str, key: str, alpn: Sequence[str] = ()) -> ssl.SSLContext:
    """For browsers: the public certificate chain (PEM), no client certificates. Raises BadParameter (PKI-KEY)."""
    context = tls_settings.prepare(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), alpn)
    tls_client.load_key(context, certificate, key)
    return context


def client_context(
    *, host_authorities: Iterable[bytes], certificate: str = "", key: str = "", alpn: Sequence[str] = ()
) -> ssl.SSLContext:
    """For connections to services of the cluster: whatever address is dialled and whatever name the caller
    passes, the peer must show `teleport.cluster.local`, signed by one of the host authorities (DER).

    Raises BadParameter (PKI-KEY, PKI-X509)."""
    context = tls_settings.prepare(tls_settings.ClusterContext(ssl.PROTOCOL_TLS_CLIENT), alpn)
    _load_authorities(context, host_authorities)
    if certificate:
        tls_client.load_key(context, certificate, key)
    return context


def unverified_context(*, alpn: Sequence[str] = ()) -> ssl.SSLContext:
    """For the one question that comes before all trust (`client.joining.pins`): nothing of the peer is checked, and
    nothing secret may be sent to it."""
    context = tls_settings.prepare(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), alpn)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _load_authorities(context: ssl.SSLContext, authorities: Iterable[bytes]) -> None:
    joined = "".join(pem(data) for data in authorities)
    if not joined:
        raise BadParameter("PKI-X509", problem="no authority is given, so no peer could be trusted")
    context.load_verify_locations(cadata=joined)
