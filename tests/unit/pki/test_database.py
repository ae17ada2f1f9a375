"""pki.database: the account is all that databases see; the identity comes back whole."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import msgspec
import pytest
from cryptography import x509 as library
from hypothesis import assume, given, settings

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import BadParameter
from teleport.model.identity import Identity
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.pki import authority, codec, database, der, keys, x509
from tests.support import authorities
from tests.unit.pki.test_codec_laws import identities

HOME = authorities.cluster()
KEY = keys.spki(keys.make_p256(SeededEntropy(3)).public_key())
ALICE = HOME.identity(database_service="sales", database_user="alice", database_protocol="postgres")


def make(ca_type: Any, name: str = "example.com") -> CertAuthority:
    return asyncio.run(authority.create(HOME.signer, ca_type, name, now=authorities.NOW, entropy=HOME.entropy))


CLIENT, SERVER = make("db_client"), make("db")


def client(identity: Identity, ca: CertAuthority = CLIENT) -> bytes:
    made = database.client_certificate(
        HOME.signer, ca, identity, spki=KEY, now=authorities.NOW, entropy=HOME.entropy
    )  # fmt: skip
    return asyncio.run(made)


def server(*hosts: str, ca: CertAuthority = SERVER) -> library.Certificate:
    made = database.server_certificate(
        HOME.signer, ca, hosts, spki=KEY, now=authorities.NOW, expires=authorities.NOW + dt.timedelta(days=90),
        entropy=HOME.entropy,
    )  # fmt: skip
    return x509.parse(asyncio.run(made))


def test_the_subject_is_the_account_alone() -> None:
    certificate = x509.parse(client(ALICE))
    assert certificate.subject.rfc4514_string() == "CN=alice"
    assert (x509.allows(certificate, "client"), x509.allows(certificate, "server")) == (True, False)
    assert x509.is_issued_by(certificate, x509.parse(CLIENT.spec.active_keys.tls[0].cert.encode()))
    assert database.identity_of(certificate) == ALICE


def test_it_is_no_certificate_of_the_cluster() -> None:
    with pytest.raises(BadParameter) as caught:
        codec.from_x509(x509.parse(client(ALICE)))
    assert caught.value.code == "PKI-IDENTITY"
    with pytest.raises(BadParameter, match="no certificate for databases"):
        database.identity_of(x509.parse(HOME.tls(HOME.identity(), keys.load_spki(KEY))))


@settings(max_examples=60, deadline=None)
@given(identities())
def test_the_identity_comes_back_whole(identity: Identity) -> None:
    assume(identity.database_service and identity.database_user not in ("", "*"))
    certificate = x509.parse(client(identity))
    assert database.identity_of(certificate) == identity
    assert x509.subject_of(certificate) == (("2.5.4.3", identity.database_user),)


@pytest.mark.parametrize("changes", [{"database_service": ""}, {"database_user": ""}, {"database_user": "*"}])
def test_it_needs_a_database_and_an_account(changes: dict[str, str]) -> None:
    with pytest.raises(BadParameter) as caught:
        client(msgspec.structs.replace(ALICE, **changes))
    assert caught.value.code == "PKI-IDENTITY"


@pytest.mark.parametrize("ca", [SERVER, HOME.user, make("db_client", "other.com")], ids=["db", "user", "foreign"])
def test_no_other_authority_vouches_for_it(ca: CertAuthority) -> None:
    with pytest.raises(BadParameter, match="does not vouch"):
        client(ALICE, ca)


def forged(subject: tuple[tuple[str, str], ...], content: bytes) -> library.Certificate:
    """Return a certificate of the right authority that says something else."""
    made = x509.issue(
        HOME.signer, authority.tls_issuer(CLIENT), spki=KEY, subject=subject, not_before=authorities.NOW,
        not_after=ALICE.expires, usages=("client",), entropy=HOME.entropy,
        extensions=(der.extension("1.3.9999.9.4", content, critical=False),),
    )  # fmt: skip
    return x509.parse(asyncio.run(made))


WHOLE = der.name(codec.to_subject(ALICE))
ACCOUNT = (("2.5.4.3", "alice"),)


@pytest.mark.parametrize(
    ("subject", "content"),
    [
        ((("2.5.4.3", "root"),), WHOLE), ((*ACCOUNT, ("2.5.4.10", "x")), WHOLE), (ACCOUNT, b""), (ACCOUNT, WHOLE[:-1]),
        (ACCOUNT, WHOLE + WHOLE), (ACCOUNT, b"\x31" + WHOLE[1:]), (ACCOUNT, der.name(ACCOUNT)),
        (ACCOUNT, der.value(der.SEQUENCE, der.value(der.SET))),
    ],
)  # fmt: skip
def test_what_does_not_agree_with_itself_is_no_identity(subject: Any, content: bytes) -> None:
    with pytest.raises(BadParameter) as caught:
        database.identity_of(forged(subject, content))
    assert caught.value.code == "PKI-IDENTITY"


def test_a_database_has_all_its_names() -> None:
    certificate = server("db.example.com", "10.0.0.7", "db.example.com")
    assert certificate.subject.rfc4514_string() == "CN=db.example.com"
    names = certificate.extensions.get_extension_for_class(library.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["db.example.com", "10.0.0.7"]
    assert (x509.allows(certificate, "server"), x509.allows(certificate, "client")) == (True, False)
    assert certificate.not_valid_after_utc == authorities.NOW + dt.timedelta(days=90)


def test_a_database_has_a_name_and_the_authority_for_databases() -> None:
    for made in (lambda: server(), lambda: server("a", ca=CLIENT)):
        with pytest.raises(BadParameter) as caught:
            made()
        assert caught.value.code == "PKI-X509"
