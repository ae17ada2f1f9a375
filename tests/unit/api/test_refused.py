"""What the server found and what the client was told have one name."""

from __future__ import annotations

import ssl

import pytest

from teleport.api.refused import of_our_certificate, of_their_certificate
from teleport.base.errors import NotAuthenticated, Unavailable
from teleport.net.tls_errors import tls_error


def verification(number: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = number, "words of OpenSSL"
    return error


def alert(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] alert")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("found", "told", "code", "what"),
    [
        (10, "SSLV3_ALERT_CERTIFICATE_EXPIRED", "API-CERT-EXPIRED", "remote error: tls: bad certificate"),
        (20, "TLSV1_ALERT_UNKNOWN_CA", "API-CERT-UNKNOWN-CA", "remote error: tls: unknown certificate authority"),
        (9, "SSLV3_ALERT_BAD_CERTIFICATE", "API-CERT-BAD", "remote error: tls: bad certificate"),
        (26, "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", "API-CERT-BAD", "remote error: tls: bad certificate"),
    ],
)
def test_both_sides_use_one_code(found: int, told: str, code: str, what: str) -> None:
    ours = of_their_certificate(tls_error("192.0.2.1:5", verification(found)))
    theirs = of_our_certificate(tls_error("192.0.2.2:3025", alert(told)))
    assert ours is not None
    assert theirs is not None
    assert (ours.code, ours.what, theirs.code, theirs.what) == (code, what, code, what)
    assert "words of OpenSSL" in ours.why


def test_the_reason_is_found_behind_what_asyncio_made_of_it() -> None:
    lost = ConnectionResetError("lost")
    lost.__cause__ = NotAuthenticated("NET-TLS-REFUSED-EXPIRED", address="x")
    found = of_our_certificate(lost)
    assert found is not None
    assert found.code == "API-CERT-EXPIRED"


def test_what_is_not_about_a_certificate_is_not_named_so() -> None:
    for error in (None, OSError(), Unavailable("NET-RESET", address="x", reason="y")):
        assert of_our_certificate(error) is None
    assert of_their_certificate(Unavailable("NET-TLS-EOF", address="x")) is None
