"""TLS contexts: one function for each role a program plays in TLS.

Versions and suites stand in `pki.tls_settings`. Session resumption with client certificates is off, so that
every connection proves its key anew.

OpenSSL checks chains against the machine's own clock; `pki.check` repeats validity with the injected one.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from teleport.base.errors import BadParameter
from teleport.pki import tls_settings
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
    _load_key(context, certificate, key)
    _load_authorities(context, client_authorities)
    context.verify_mode = ssl.CERT_REQUIRED if client_required else ssl.CERT_OPTIONAL
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    return context


def web_context(*, certificate: str, key: str, alpn: Sequence[str] = ()) -> ssl.SSLContext:
    """For browsers: the public certificate chain (PEM), no client certificates. Raises BadParameter (PKI-KEY)."""
    context = tls_settings.prepare(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), alpn)
    _load_key(context, certificate, key)
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
        _load_key(context, certificate, key)
    return context


def _load_authorities(context: ssl.SSLContext, authorities: Iterable[bytes]) -> None:
    joined = "".join(pem(data) for data in authorities)
    if not joined:
        raise BadParameter("PKI-X509", problem="no authority is given, so no peer could be trusted")
    context.load_verify_locations(cadata=joined)


def _load_key(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Give certificate and key to OpenSSL, which reads files only: memory that looks like one, where the
    system has it, or a file of ours alone that is gone at once."""
    both = f"{certificate}\n{key}".encode()
    try:
        if hasattr(os, "memfd_create"):
            _load_from_memory(context, both)
        else:
            _load_from_folder(context, both)
    except (ssl.SSLError, ValueError):
        raise BadParameter("PKI-KEY", thing="a TLS certificate and its key", problem="they do not fit") from None


def _load_from_memory(context: ssl.SSLContext, data: bytes) -> None:
    with os.fdopen(os.memfd_create("tls-key", os.MFD_CLOEXEC), "wb", buffering=0) as file:
        file.write(data)
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}", password=tls_settings.no_password)


def _load_from_folder(context: ssl.SSLContext, data: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="teleport-") as folder:  # made with mode 0700
        path = Path(folder, "key.pem")
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
        context.load_cert_chain(path, password=tls_settings.no_password)
