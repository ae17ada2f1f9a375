"""pki.authority: authorities of every type, and what they vouch for."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any, get_args

import msgspec
import pytest

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import BadParameter, NotFound, NotSupported
from teleport.model import resource
from teleport.model.kinds.cert_authority import CaType, CertAuthority, KeySet
from teleport.pki import authority, keys, x509
from teleport.pki.signer import MemorySigner
from tests.support import authorities

NOW = authorities.NOW


def create(ca_type: Any, cluster: str = "example.com") -> CertAuthority:
    entropy = SeededEntropy(len(ca_type))
    return asyncio.run(authority.create(MemorySigner(entropy), ca_type, cluster, now=NOW, entropy=entropy))


def test_every_type_has_a_row() -> None:
    assert tuple(authority.TYPES) == get_args(CaType)


@pytest.mark.parametrize("ca_type", ["host", "user"])
def test_users_and_hosts_have_both_forms(ca_type: CaType) -> None:
    ca = create(ca_type)
    assert (ca.sub_kind, ca.name, ca.spec.type) == (ca_type, "example.com", ca_type)
    (ssh,), (tls,) = ca.spec.active_keys.ssh, ca.spec.active_keys.tls
    assert (ssh.algorithm, tls.algorithm) == ("ed25519", "ecdsa-p256")
    assert keys.algorithm_of(keys.load_ssh_blob(keys.load_ssh_line(ssh.public_key))) == "ed25519"
    certificate = x509.parse(tls.cert.encode())
    assert x509.is_issued_by(certificate, certificate)
    assert certificate.not_valid_after_utc - NOW == dt.timedelta(days=3650)
    assert resource.load(resource.dump(ca)) == ca
    assert authority.ssh_issuer(ca).key_id == ssh.key_id
    assert authority.tls_issuer(ca) == x509.Issuer(x509.encode(certificate), tls.key_id)


def test_other_types_have_what_their_row_says() -> None:
    openssh, awsra = create("openssh").spec.active_keys, create("awsra").spec.active_keys
    assert (len(openssh.ssh), len(openssh.tls)) == (1, 0)
    assert (len(awsra.ssh), len(awsra.tls)) == (0, 1)
    (token,) = create("jwt").spec.active_keys.jwt
    assert (token.algorithm, token.public_key.splitlines()[0]) == ("ecdsa-p256", "-----BEGIN PUBLIC KEY-----")
    spiffe = create("spiffe").spec.active_keys
    assert (len(spiffe.ssh), len(spiffe.tls), len(spiffe.jwt)) == (0, 1, 1)


def test_checkpoints_are_signed_by_one_key_and_hold_under_every_former_one() -> None:
    first, second = create("audit"), create("audit")
    signer = authority.audit_signer(first)
    assert signer.key_id == first.spec.active_keys.audit[0].key_id
    assert authority.audit_keys(first) == (signer.public,)
    assert len(signer.public) == 32
    rotated = msgspec.structs.replace(
        first,
        spec=msgspec.structs.replace(
            first.spec, active_keys=second.spec.active_keys, additional_trusted_keys=first.spec.active_keys
        ),
    )
    assert authority.audit_keys(rotated) == (authority.audit_signer(second).public, signer.public)
    (own,) = first.spec.active_keys.audit
    elsewhere = msgspec.structs.replace(own, key_id="")  # its private part is not here
    both = msgspec.structs.replace(first.spec, active_keys=KeySet(audit=(elsewhere, own)))
    assert authority.audit_signer(msgspec.structs.replace(first, spec=both)) == signer
    with pytest.raises(NotFound):
        authority.audit_signer(create("jwt"))


@pytest.mark.parametrize("ca_type", ["saml_idp", "oidc_idp"])
def test_types_with_rsa_keys_are_refused(ca_type: CaType) -> None:
    with pytest.raises(NotSupported) as caught:
        create(ca_type)
    assert caught.value.code == "PKI-ALGORITHM"


def test_unknown_types_are_refused() -> None:
    with pytest.raises(BadParameter, match="no certificate authority of type 'root'"):
        create("root")


def _during_rotation() -> tuple[CertAuthority, CertAuthority]:
    old, new = create("host"), create("host", "example.com")
    fresh = authorities.cluster("example.com", seed=9).host
    assert old == new
    spec = msgspec.structs.replace(old.spec, additional_trusted_keys=fresh.spec.active_keys)
    return msgspec.structs.replace(old, spec=spec), fresh


def test_views_cover_active_and_trusted_keys() -> None:
    both, fresh = _during_rotation()
    other = authorities.cluster("other.com", seed=5)
    known = [both, other.host, other.user]
    ssh = authority.trusted_ssh(known, "host")
    assert sorted(ssh.values()) == ["example.com", "example.com", "other.com"]
    assert authority.ssh_issuer(fresh).blob in ssh
    assert authority.trusted_ssh(known, "user") == {authority.ssh_issuer(other.user).blob: "other.com"}
    tls = authority.trusted_tls(known, "host")
    assert sorted(tls.values()) == ["example.com", "example.com", "other.com"]
    assert authority.tls_issuer(fresh).certificate in tls


def test_there_are_two_pins_during_a_rotation() -> None:
    both, fresh = _during_rotation()
    assert authority.pins(both) == [x509.pin(key.cert.encode()) for key in both.trusted_tls()]
    assert len(authority.pins(both)) == 2
    assert authority.pins(fresh)[0] in authority.pins(both)


@pytest.mark.parametrize("key_set", [KeySet(), "unnamed"])
def test_an_authority_without_its_keys_signs_nothing(key_set: Any) -> None:
    ca = create("user")
    if key_set == "unnamed":  # an authority of another cluster: its keys are known, their private parts are not here
        ssh = tuple(msgspec.structs.replace(key, key_id="") for key in ca.spec.active_keys.ssh)
        tls = tuple(msgspec.structs.replace(key, key_id="") for key in ca.spec.active_keys.tls)
        key_set = KeySet(ssh=ssh, tls=tls)
    ca = msgspec.structs.replace(ca, spec=msgspec.structs.replace(ca.spec, active_keys=key_set))
    for find, form in ((authority.ssh_issuer, "SSH"), (authority.tls_issuer, "TLS")):
        with pytest.raises(NotFound, match=f"no active {form} key"):
            find(ca)
