"""TLS settings that every context of ours shares, and the context of a signed-in client.

TLS 1.2 is the oldest version, with forward-secret AEAD suites only: stock gRPC and database clients that
people bring along do not all speak 1.3. Renegotiation and compression are off. Kernel TLS is asked for; where
the kernel has none, nothing changes.

Apart from `pki.contexts`, because a command that `ssh` starts for every connection has no time to import what
reads certificates.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from typing import Any

from teleport.base.errors import BadParameter
from teleport.model.naming import CLUSTER_NAME as CLUSTER_NAME

_SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20"
_OP_ENABLE_KTLS = 8  # SSL_OP_ENABLE_KTLS; Python names it from 3.12 on


def client_of_cluster(*, authorities: str, certificate: str, key: str, alpn: Sequence[str]) -> ssl.SSLContext:
    """Return the context of a signed-in client from PEM texts: host authorities, certificate and key.

    As `pki.contexts.client_context`, which reads certificates before it trusts them; who may read the key was
    checked before. Raises BadParameter (PKI-KEY, PKI-X509).
    """
    context = prepare(ClusterContext(ssl.PROTOCOL_TLS_CLIENT), alpn)
    try:
        context.load_verify_locations(cadata=authorities)
    except (ssl.SSLError, ValueError, TypeError):  # an empty or a non-ASCII text is no SSLError
        raise BadParameter("PKI-X509", problem="the file of host authorities has no certificate in it") from None
    load_key(context, certificate, key)
    return context


def public_context(*, insecure: bool = False, alpn: Sequence[str] = ()) -> ssl.SSLContext:
    """Return the context of a client of public names: the web port, a TLS proxy, a load balancer that ends TLS. They
    prove themselves to the system's authorities (`SSL_CERT_FILE` names others); not at all if `insecure`."""
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def load_key(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Give certificate and key (PEM) to OpenSSL, which reads files only: memory that looks like one, where the
    system has it, or a file of ours alone that is gone at once. Raises BadParameter (PKI-KEY)."""
    both = f"{certificate}\n{key}".encode(errors="replace")
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
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}", password=no_password)


def _load_from_folder(context: ssl.SSLContext, data: bytes) -> None:
    import tempfile  # costs more than the rest of this module, and is not needed on Linux

    with tempfile.TemporaryDirectory(prefix="teleport-") as folder:  # made with mode 0700
        path = os.path.join(folder, "key.pem")
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
        context.load_cert_chain(path, password=no_password)


def no_password() -> str:
    """Answer for encrypted keys: without it OpenSSL would ask on the terminal. Raises ValueError."""
    raise ValueError("the key is encrypted")


class ClusterContext(ssl.SSLContext):
    """A client context that knows one name only: the dialled address says nothing about the peer."""

    def wrap_socket(self, sock: Any, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """Like `ssl.SSLContext.wrap_socket`, for `teleport.cluster.local`."""
        return super().wrap_socket(sock, *args, **{**kwargs, "server_hostname": CLUSTER_NAME})

    def wrap_bio(self, incoming: Any, outgoing: Any, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """Like `ssl.SSLContext.wrap_bio`, for `teleport.cluster.local`."""
        return super().wrap_bio(incoming, outgoing, *args, **{**kwargs, "server_hostname": CLUSTER_NAME})


def prepare(context: ssl.SSLContext, alpn: Sequence[str]) -> ssl.SSLContext:
    """Set what all contexts share, and the application protocols offered or accepted."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_SUITES)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.Options(_OP_ENABLE_KTLS)
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context
