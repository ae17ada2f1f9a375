"""The TLS context of a signed-in client for a command that must start at once: OpenSSL without the module `ssl`.

The context is the C class that `ssl.SSLContext` extends, with the same defaults: what the extension adds are enums and
sockets. What is set here is what `pki.tls_settings` sets for everybody else, and a test compares the two. Apart from
`pki.contexts`, because what reads certificates takes longer still. Docs: docs/adr/0016-lean-start.md.
"""

from __future__ import annotations

import os

from teleport.base.errors import BadParameter
from teleport.base.lean import TYPE_CHECKING, Sequence, ssl
from teleport.model.naming import CLUSTER_NAME

if TYPE_CHECKING:
    from typing import Any

    _SSLContext = ssl.SSLContext
else:
    _SSLContext = getattr(ssl, "_SSLContext", None) or ssl.SSLContext

SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Forward-secret AEAD suites of TLS 1.2; those of 1.3 all are."""
_TLS_1_2, _OP_NO_COMPRESSION, _OP_NO_RENEGOTIATION, _VERIFY_X509_STRICT = 0x0303, 0x20000, 0x40000000, 0x20
"""As `ssl` has them, which gives them names by way of enums."""
OP_ENABLE_KTLS = 8
"""SSL_OP_ENABLE_KTLS; Python names it from 3.12 on."""
_CLIENT = 16
"""PROTOCOL_TLS_CLIENT: checks certificate and name of the peer unless told otherwise."""


class LeanContext(_SSLContext):
    """A client context that knows one name only: the dialled address says nothing about the peer."""

    def wrap_bio(self, incoming: Any, outgoing: Any, *args: Any, **kwargs: Any) -> Any:
        """Return a TLS connection in memory to `teleport.cluster.local`: the C half of an `ssl.SSLObject`, on which
        `unwrap` is called `shutdown`."""
        return self._wrap_bio(incoming, outgoing, False, CLUSTER_NAME)  # type: ignore[attr-defined]


def client_of_cluster(*, authorities: str, certificate: str, key: str, alpn: Sequence[str]) -> ssl.SSLContext:
    """Return the context of a signed-in client from PEM texts: host authorities, certificate and key.

    As `pki.contexts.client_context`, which reads certificates before it trusts them; who may read the key was
    checked before. Raises BadParameter (PKI-KEY, PKI-X509).
    """
    context: Any = LeanContext(_CLIENT)
    context.minimum_version = _TLS_1_2
    context.set_ciphers(SUITES)
    context.options |= _OP_NO_RENEGOTIATION | _OP_NO_COMPRESSION | OP_ENABLE_KTLS
    context.verify_flags |= _VERIFY_X509_STRICT
    context._set_alpn_protocols(b"".join(bytes([len(name)]) + name.encode() for name in alpn))
    try:
        context.load_verify_locations(cadata=authorities)
    except (ssl.SSLError, ValueError, TypeError):  # an empty or a non-ASCII text is no SSLError
        raise BadParameter("PKI-X509", problem="the file of host authorities has no certificate in it") from None
    load_key(context, certificate, key)
    found: ssl.SSLContext = context
    return found


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
