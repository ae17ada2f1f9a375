"""pki.ssh_check: servers that are believed, stock ones too, and each reason not to. `test_check.py` has the users."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import AccessDenied, TeleportError
from teleport.pki import keys, ssh_check
from teleport.pki.ssh_wire import string
from tests.support.ssh_peer import AUTHORITY, HOST_KEY, NOW, certificate

KEY = HOST_KEY.public_key()
TRUSTED = frozenset({keys.ssh_blob(AUTHORITY.public_key())})


def refused(code: str, blob: bytes, *, host: str = "node-1", now: dt.datetime = NOW) -> str:
    with pytest.raises(TeleportError) as caught:
        ssh_check.check_server(blob, host=host, trusted=TRUSTED, now=now)
    assert caught.value.code == code
    return caught.value.what


def test_a_stock_certificate_for_the_name_that_was_dialled() -> None:
    found = ssh_check.check_server(certificate(KEY), host="node-1", trusted=TRUSTED, now=NOW)
    assert found.key == keys.ssh_blob(KEY)


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("PKI-WRONG-TYPE", {"type": "user"}),
        ("PKI-UNKNOWN-CA", {"authority": keys.make_ed25519(SeededEntropy(99))}),
        ("PKI-NOT-YET-VALID", {"valid_after": int(NOW.timestamp()) + 9}),
        ("PKI-NOT-YET-VALID", {"valid_after": (1 << 64) - 2, "valid_before": (1 << 64) - 1}),
        ("PKI-EXPIRED", {"valid_before": int(NOW.timestamp())}),
        ("PKI-NO-KEY-ID", {"key_id": ""}),
        ("PKI-NO-PRINCIPALS", {"principals": ()}),
        ("PKI-UNKNOWN-OPTION", {"critical_options": {"force-command": "id"}}),
        ("PKI-HOST-NOT-IN-PRINCIPALS", {"principals": ("node-2", "*")}),
    ],
)
def test_each_reason_to_refuse(code: str, changes: dict[str, Any]) -> None:
    refused(code, certificate(KEY, **changes))


def test_a_signature_of_somebody_else() -> None:
    refused("PKI-BAD-SIGNATURE", certificate(KEY).replace(b"node-1", b"node-2"), host="node-2")


def test_what_is_no_certificate() -> None:
    assert "ssh-ed25519" in refused("PKI-NOT-A-CERTIFICATE", keys.ssh_blob(KEY))
    for blob in (b"", string(b"\xff"), string(b"a\nb")):
        assert "unknown" in refused("PKI-NOT-A-CERTIFICATE", blob)
    refused("PKI-MALFORMED-CERTIFICATE", certificate(KEY)[:-1])


def test_a_name_that_is_not_exactly_the_principal() -> None:
    for host in ("NODE-1", "node-1.", "node", ""):
        with pytest.raises(AccessDenied):
            ssh_check.check_server(certificate(KEY), host=host, trusted=TRUSTED, now=NOW)


def test_a_user_may_be_bound_to_an_address() -> None:
    blob = certificate(KEY, type="user", critical_options={"source-address": "10.0.0.9/32"})
    ssh_check.check_signed(ssh_check.read(blob), "user", TRUSTED, NOW)
