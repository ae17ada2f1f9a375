"""Refused certificates: one code for what the Auth Service found in the handshake and for what its client is told.

The server knows a reason, the client gets a number (RFC 8446, 6.2, alerts): several reasons may share one. Both
tables map to the same codes, so that what stands in the log and in the audit log is what the client printed.
"""

from __future__ import annotations

from collections.abc import Mapping

from teleport.base.errors import NotAuthenticated, TeleportError

EXPIRED = "API-CERT-EXPIRED"
UNKNOWN_CA = "API-CERT-UNKNOWN-CA"
BAD = "API-CERT-BAD"

_FOUND: Mapping[str, str] = {
    "NET-TLS-EXPIRED": EXPIRED,
    "NET-TLS-UNKNOWN-CA": UNKNOWN_CA,
    "NET-TLS-NOT-YET-VALID": BAD,
    "NET-TLS-BAD-CERTIFICATE": BAD,
}
_TOLD: Mapping[str, str] = {
    "NET-TLS-REFUSED-EXPIRED": EXPIRED,
    "NET-TLS-REFUSED-UNKNOWN-CA": UNKNOWN_CA,
    "NET-TLS-REFUSED-BAD-CERTIFICATE": BAD,
}


def of_their_certificate(error: TeleportError) -> NotAuthenticated | None:
    """Return what the server says of a handshake that it refused; None if that was not for a certificate."""
    code = _FOUND.get(error.code)
    return _refusal(code, error.fields.get("reason", "")) if code else None


def of_our_certificate(error: BaseException | None) -> NotAuthenticated | None:
    """Return what the client says when its connection was lost for its certificate; None if for something else."""
    while error is not None:
        code = _TOLD.get(getattr(error, "code", ""))
        if code:
            return _refusal(code, "the server said so in the TLS handshake")
        error = error.__cause__
    return None


def _refusal(code: str, reason: str) -> NotAuthenticated:
    return NotAuthenticated(code, reason=reason)
