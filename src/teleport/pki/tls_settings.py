"""TLS settings that every context of ours shares, and the context of a signed-in client from its files.

TLS 1.2 is the oldest version, with forward-secret AEAD suites only: stock gRPC and database clients that
people bring along do not all speak 1.3. Renegotiation and compression are off. Kernel TLS is asked for; where
the kernel has none, nothing changes.

Apart from `pki.contexts`, because a command that `ssh` starts for every connection has no time to import what
reads certificates.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any

from teleport.base.errors import BadParameter

CLUSTER_NAME = "teleport.cluster.local"
"""DNS name that certificates of the cluster's services carry; clients that hold the cluster's host
authority verify it whatever address they dialled."""

_SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20"
_OP_ENABLE_KTLS = 8  # SSL_OP_ENABLE_KTLS; Python names it from 3.12 on


def from_files(*, authorities: str, certificate: str, key: str, alpn: Sequence[str]) -> ssl.SSLContext:
    """Return the context of a client whose host authorities, certificate and key stand in files (PEM).

    As `pki.contexts.client_context`; who may read the key file was checked before. Raises BadParameter (PKI-KEY,
    PKI-X509).
    """
    context = prepare(ClusterContext(ssl.PROTOCOL_TLS_CLIENT), alpn)
    try:
        context.load_verify_locations(cafile=authorities)
    except OSError as error:  # SSLError is one
        raise BadParameter("PKI-X509", problem=f"{authorities}: {error.strerror or 'no certificate in it'}") from None
    try:
        context.load_cert_chain(certificate, key, password=no_password)
    except (OSError, ValueError):
        raise BadParameter("PKI-KEY", thing=f"{certificate} and {key}", problem="they do not fit") from None
    return context


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
