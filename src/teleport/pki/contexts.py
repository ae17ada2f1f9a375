"""TLS contexts: one function for each role a program plays in TLS.

TLS 1.2 is the oldest version, with forward-secret AEAD suites only: stock gRPC and database clients that
people bring along do not all speak 1.3. Renegotiation, compression and session resumption with client
certificates are off, so that every connection proves its key anew. Kernel TLS is asked for; where the
kernel has none, nothing changes.

OpenSSL checks chains against the machine's own clock; `pki.check` repeats validity with the injected one.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from teleport.base.errors import BadParameter
from teleport.pki.x509 import CLUSTER_NAME, pem

_SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20"
_OP_ENABLE_KTLS = 8  # SSL_OP_ENABLE_KTLS; Python names it from 3.12 on


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
    context = _prepare(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), alpn)
    _load_key(context, certificate, key)
    _load_authorities(context, client_authorities)
    context.verify_mode = ssl.CERT_REQUIRED if client_required else ssl.CERT_OPTIONAL
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    return context


def web_context(*, certificate: str, key: str, alpn: Sequence[str] = ()) -> ssl.SSLContext:
    """For browsers: the public certificate chain (PEM), no client certificates. Raises BadParameter (PKI-KEY)."""
    context = _prepare(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), alpn)
    _load_key(context, certificate, key)
    return context


def client_context(
    *, host_authorities: Iterable[bytes], certificate: str = "", key: str = "", alpn: Sequence[str] = ()
) -> ssl.SSLContext:
    """For connections to services of the cluster: whatever address is dialled and whatever name the caller
    passes, the peer must show `teleport.cluster.local`, signed by one of the host authorities (DER).

    Raises BadParameter (PKI-KEY, PKI-X509)."""
    context = _prepare(ClusterContext(ssl.PROTOCOL_TLS_CLIENT), alpn)
    _load_authorities(context, host_authorities)
    if certificate:
        _load_key(context, certificate, key)
    return context


class ClusterContext(ssl.SSLContext):
    """A client context that knows one name only: the dialled address says nothing about the peer."""

    def wrap_socket(self, sock: Any, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """Like `ssl.SSLContext.wrap_socket`, for `teleport.cluster.local`."""
        return super().wrap_socket(sock, *args, **{**kwargs, "server_hostname": CLUSTER_NAME})

    def wrap_bio(self, incoming: Any, outgoing: Any, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """Like `ssl.SSLContext.wrap_bio`, for `teleport.cluster.local`."""
        return super().wrap_bio(incoming, outgoing, *args, **{**kwargs, "server_hostname": CLUSTER_NAME})


def _prepare(context: ssl.SSLContext, alpn: Sequence[str]) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_SUITES)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.Options(_OP_ENABLE_KTLS)
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    if alpn:
        context.set_alpn_protocols(list(alpn))
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
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}", password=_no_password)


def _load_from_folder(context: ssl.SSLContext, data: bytes) -> None:
    with tempfile.TemporaryDirectory(prefix="teleport-") as folder:  # made with mode 0700
        path = Path(folder, "key.pem")
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
        context.load_cert_chain(path, password=_no_password)


def _no_password() -> str:
    """Answer for encrypted keys: without it OpenSSL would ask on the terminal."""
    raise ValueError("the key is encrypted")
