"""TLS settings that every context of ours shares.

TLS 1.2 is the oldest version, with forward-secret AEAD suites only: stock gRPC and database clients that
people bring along do not all speak 1.3. Renegotiation and compression are off. Kernel TLS is asked for; where
the kernel has none, nothing changes.

`pki.tls_client` sets the same for commands that have no time to import `ssl`.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any

from teleport.model.naming import CLUSTER_NAME as CLUSTER_NAME
from teleport.pki.tls_client import OP_ENABLE_KTLS, SUITES


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
    context.set_ciphers(SUITES)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.Options(OP_ENABLE_KTLS)
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context
