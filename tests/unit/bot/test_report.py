"""How the end of a bot is told."""

from __future__ import annotations

from teleport.base.errors import AccessDenied, NotAuthenticated, Unavailable
from teleport.bot.report import direct, lines, noted, primary

LOCKED = {"lock": 'User:"bot-example"', "message": ": stolen", "lock_name": "L", "unlock": "tctl rm lock/L"}
FIND = (
    'Get "https://example.com:3025/webapi/find": x509: cannot validate certificate for example.com because it doesn\'t '
    "contain any IP SANs"
)


def test_a_lock_is_told_in_the_words_of_the_reference_and_with_its_page():
    """S1-02, S1-03, S1-60: the three lines, word for word."""
    error = AccessDenied("POL-LOCKED", id="d1", **LOCKED)
    told = list(lines(noted(error, *direct(primary(error), FIND)), debug=True))
    assert told[:3] == [
        "ERROR: failed direct dial to auth server: auth API: access denied [00]",
        '"\\tauth API: access denied [00], failed dial to auth server through reverse tunnel: Get '
        '\\"https://teleport.cluster.local/v2/configuration/name\\": Get \\"https://example.com:3025/webapi/find\\": '
        "x509: cannot validate certificate for example.com because it doesn't contain any IP SANs\"",
        '"\\tGet \\"https://teleport.cluster.local/v2/configuration/name\\": Get '
        '\\"https://example.com:3025/webapi/find\\": x509: cannot validate certificate for example.com because it '
        "doesn't contain any IP SANs\"",
    ]
    assert told[3] == "  code: POL-LOCKED"
    assert told[4].startswith('  why:  lock targeting User:"bot-example" is in force: stolen: ')
    assert told[5:] == ["  fix:  ask an administrator to lift the lock: tctl rm lock/L", "  id:   d1"]


def test_what_followed_is_folded_without_debug():
    error = AccessDenied("POL-LOCKED", **LOCKED)
    told = list(lines(noted(error, *direct(primary(error), FIND)), debug=False))
    assert not [line for line in told if "x509" in line]
    assert told[0].startswith("ERROR: failed direct dial to auth server: ")


def test_an_expired_certificate_is_a_bad_one():
    """S1-23."""
    question = 'Get "https://teleport.cluster.local/v2/configuration/name"'
    for error in (
        NotAuthenticated("API-CERT-EXPIRED", reason="said so"),
        NotAuthenticated("NET-TLS-REFUSED-EXPIRED", address="127.0.0.1:1"),
        NotAuthenticated("NET-TLS-REFUSED-BAD-CERTIFICATE", address="127.0.0.1:1"),
    ):
        assert primary(error) == f"{question}: remote error: tls: bad certificate"
    assert primary(Unavailable("NET-REFUSED", address="a:1")) == f"{question}: a:1 refused the connection"


def test_every_other_error_is_told_by_its_page():
    """S1-01."""
    error = AccessDenied("AUTH-BOT-GENERATION", stored=3, presented=2, bot="example", lock="L")
    told = list(lines(error, debug=True))
    assert told[:2] == [
        "ERROR: renewable cert generation mismatch: stored=3, presented=2", "  code: AUTH-BOT-GENERATION"
    ]  # fmt: skip
    assert [line[:7] for line in told[2:]] == ["  why: ", "  fix: "]
