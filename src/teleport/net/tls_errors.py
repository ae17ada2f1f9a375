"""What OpenSSL says when TLS fails, as errors with a code.

What is here: one table for what we refuse and one for what the peer refused (alerts, RFC 8446 section 6).
What is not: the handshakes themselves (`net.tls`).
"""

from __future__ import annotations

from teleport.base.errors import NotAuthenticated, TeleportError, Unavailable
from teleport.base.lean import TYPE_CHECKING, ssl

if TYPE_CHECKING:
    from collections.abc import Callable

_VERIFY = {  # X509_V_ERR_* of OpenSSL: what this side found in the peer's certificate
    9: "NET-TLS-NOT-YET-VALID",
    10: "NET-TLS-EXPIRED",
    2: "NET-TLS-UNKNOWN-CA",
    18: "NET-TLS-UNKNOWN-CA",
    19: "NET-TLS-UNKNOWN-CA",
    20: "NET-TLS-UNKNOWN-CA",
    21: "NET-TLS-UNKNOWN-CA",
    7: "NET-TLS-UNKNOWN-CA",  # the signature does not match: another key under the same name
    62: "NET-TLS-NAME",
    63: "NET-TLS-NAME",
    64: "NET-TLS-NAME",
}
_ALERTS = {  # alerts that the peer sent about our certificate
    "SSLV3_ALERT_BAD_CERTIFICATE": "NET-TLS-REFUSED-BAD-CERTIFICATE",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "NET-TLS-REFUSED-BAD-CERTIFICATE",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "NET-TLS-REFUSED-BAD-CERTIFICATE",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "NET-TLS-REFUSED-BAD-CERTIFICATE",
    "TLSV1_ALERT_ACCESS_DENIED": "NET-TLS-REFUSED-BAD-CERTIFICATE",
    "TLSV1_ALERT_DECRYPT_ERROR": "NET-TLS-REFUSED-BAD-CERTIFICATE",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "NET-TLS-REFUSED-EXPIRED",
    "TLSV1_ALERT_UNKNOWN_CA": "NET-TLS-REFUSED-UNKNOWN-CA",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "NET-TLS-REFUSED-NO-CERTIFICATE",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "NET-TLS-NO-CERTIFICATE",
}
_VERSIONS = {
    "UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_SHARED_CIPHER", "NO_PROTOCOLS_AVAILABLE",
    "SSLV3_ALERT_HANDSHAKE_FAILURE", "TLSV1_ALERT_INSUFFICIENT_SECURITY", "NO_SUITABLE_SIGNATURE_ALGORITHM",
    "VERSION_TOO_LOW", "BAD_PROTOCOL_VERSION_NUMBER",
}  # fmt: skip
_NOT_TLS = {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "PACKET_LENGTH_TOO_LONG"}
_NO_PROTOCOL = {"TLSV1_ALERT_NO_APPLICATION_PROTOCOL", "NO_APPLICATION_PROTOCOL"}
_NO_PROTOCOL_SIGNS = (":1120)", "alert no application protocol")
"""Alert 120 where the ssl module has no name for it: OpenSSL's number, or its words."""
_ENDED = {"UNEXPECTED_EOF_WHILE_READING"}


def tls_error(address: str, error: ssl.SSLError) -> TeleportError:
    """Return the named error for a failure of OpenSSL with the peer at `address`."""
    reason = _reason(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        code = _VERIFY.get(error.verify_code, "NET-TLS-BAD-CERTIFICATE")
        return NotAuthenticated(code, address=address, reason=error.verify_message)
    if reason in _ALERTS:
        return NotAuthenticated(_ALERTS[reason], address=address)
    if reason in _NO_PROTOCOL or (error.errno == 1 and any(sign in str(error) for sign in _NO_PROTOCOL_SIGNS)):
        return Unavailable("NET-TLS-PROTOCOL", address=address, offered="protocols that the other side refused")
    if reason in _VERSIONS:
        return Unavailable("NET-TLS-VERSION", address=address, reason=_words(reason))
    if reason in _NOT_TLS:
        return Unavailable("NET-TLS-NOT-TLS", address=address)
    return Unavailable("NET-TLS-FAILED", address=address, reason=_words(reason))


def is_end(error: ssl.SSLError) -> bool:
    """Say whether the carrier ended without TLS having said so."""
    return isinstance(error, ssl.SSLEOFError) or _reason(error) in _ENDED


def close_notify(shutdown: Callable[[], object], read: Callable[[int], object]) -> None:
    """Say that we have ended, with the two functions of one connection. Raises what `shutdown` raises.

    OpenSSL reads on the way. Of an alert that it meets there `shutdown` says nothing; the error stays in the thread,
    and the next connection of that thread that finds nothing to read is told that it was refused. Reading takes it.
    """
    shutdown()
    try:  # without `contextlib`, which every first command of tsh would have to load
        read(1)
    except OSError:
        pass


def _reason(error: ssl.SSLError) -> str:
    return getattr(error, "reason", None) or ""


def _words(reason: str) -> str:
    return reason.lower().replace("_", " ") or "unknown failure"
