"""pki.check: every reason to refuse a certificate, by its code; past vulnerabilities by name."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from typing import Any

import pytest

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import AccessDenied, NotAuthenticated, TeleportError
from teleport.model.identity import Identity
from teleport.pki import authority, check, codec, der, keys, ssh, x509
from teleport.pki.ssh_wire import string
from tests.support import authorities

HOME = authorities.cluster()
AWAY = authorities.cluster("other.com", seed=2)
NOW = authorities.NOW
PRIVATE = keys.make_ed25519(SeededEntropy(3))
KEY = keys.ssh_blob(PRIVATE.public_key())
OTHER = keys.ssh_blob(keys.make_ed25519(SeededEntropy(4)).public_key())
USER = HOME.ssh(HOME.identity(), KEY)
HOST = HOME.ssh(HOME.host_identity(), KEY)


def user(blob: bytes, **changes: Any) -> Identity:
    fields = {
        "proven_key": KEY, "login": "root", "authorities": HOME.both, "now": NOW, "source_ip": "10.0.0.9",
        "cluster": "example.com",
    }  # fmt: skip
    return check.check_user(blob, **{**fields, **changes})


def host(blob: bytes, **changes: Any) -> Identity:
    fields = {"host": "node1", "authorities": HOME.both, "now": NOW, "cluster": "example.com"}
    return check.check_host(blob, **{**fields, **changes})


def refused(code: str, call: Any, *arguments: Any, kind: type[TeleportError] = NotAuthenticated, **named: Any) -> str:
    with pytest.raises(kind) as caught:
        call(*arguments, **named)
    assert caught.value.code == code
    assert caught.value.fix
    return str(caught.value)


def test_what_a_proxy_records_is_for_one_node() -> None:
    carried = user(HOME.ssh(HOME.identity(recorded_by="proxy-1", only_at="node-1"), KEY).blob)
    check.check_carried(carried, "node-1")
    check.check_carried(user(USER.blob), "node-1")
    check.check_carried(user(USER.blob))
    for node in ("node-2", ""):
        refused("PKI-CARRIED", check.check_carried, carried, node, kind=AccessDenied)


def signed(cluster: authorities.Cluster = HOME, base: ssh.SSHCertificate = USER, **changes: Any) -> bytes:
    """Return `base` with changes that no issuer of ours would make, signed by the cluster's authority."""
    ca = cluster.host if base.type == "host" else cluster.user
    issuer = authority.ssh_issuer(ca)
    fields = {name: getattr(base, name) for name in ssh.Body._fields}
    body = ssh.Body(**{**fields, "authority": issuer.blob, **changes})
    # The signer itself would refuse some of them, so the key is taken out of its custody.
    (private,) = [k.private for k in cluster.signer._custody._loaded.values() if keys.ssh_blob(k.public) == issuer.blob]
    tbs = ssh.encode_tbs(body)
    return tbs + string(keys.ssh_signature(private.public_key(), keys.sign(private, tbs)))


def test_a_good_certificate_is_an_identity() -> None:
    assert user(USER.blob) == HOME.identity()
    assert user(USER.blob, login="alice").name == "alice"
    assert host(HOST.blob) == HOME.host_identity()
    assert host(HOST.blob, host="127.0.0.1").is_host
    assert user(signed()) == HOME.identity()


@pytest.mark.parametrize(
    ("blob", "shown"),
    [(KEY, "ssh-ed25519"), (b"", "unknown"), (string(b"\xff"), "unknown"), (string(b"a\nb"), "unknown")],
)
def test_a_plain_key_is_refused(blob: bytes, shown: str) -> None:
    assert refused("PKI-NOT-A-CERTIFICATE", user, blob) == f"unsupported key type: {shown}"


def test_a_damaged_certificate_is_refused() -> None:
    refused("PKI-MALFORMED-CERTIFICATE", user, USER.blob + b"x")
    refused("PKI-MALFORMED-CERTIFICATE", host, HOST.blob[:-1])


def test_cve_2024_45337_a_key_that_was_only_offered_is_refused() -> None:
    refused("PKI-NOT-PROVEN", user, USER.blob, proven_key=OTHER)


def test_a_user_certificate_is_no_host_certificate_and_the_reverse() -> None:
    assert "a user certificate" in refused("PKI-WRONG-TYPE", host, USER.blob)
    assert "a host certificate" in refused("PKI-WRONG-TYPE", user, HOST.blob)
    # Even a certificate of the right type, signed by the authority of the other: one authority per purpose.
    refused("PKI-UNKNOWN-CA", user, signed(base=HOST, type="user", principals=("root",)))
    refused("PKI-UNKNOWN-CA", host, signed(base=USER, type="host", principals=("node1",)))


def test_cve_2025_49825_a_key_as_its_own_authority_is_refused() -> None:
    """Whoever signs for themselves is nobody's authority, however the certificate is dressed."""
    fields = {name: getattr(USER, name) for name in ssh.Body._fields}
    tbs = ssh.encode_tbs(ssh.Body(**{**fields, "authority": KEY}))
    own = tbs + string(keys.ssh_signature(PRIVATE.public_key(), keys.sign(PRIVATE, tbs)))
    assert ssh.verify(ssh.parse(own))
    refused("PKI-UNKNOWN-CA", user, own)


@pytest.mark.parametrize("inner", [USER.blob, HOST.blob], ids=["user", "host"])
def test_cve_2025_49825_a_nested_certificate_as_authority_is_refused(inner: bytes) -> None:
    tbs = USER.tbs.removesuffix(string(USER.authority)) + string(inner)
    own = tbs + string(keys.ssh_signature(PRIVATE.public_key(), keys.sign(PRIVATE, tbs)))
    refused("PKI-MALFORMED-CERTIFICATE", user, own)


def test_a_certificate_of_another_cluster_is_refused() -> None:
    foreign = AWAY.ssh(AWAY.identity(), KEY).blob
    refused("PKI-UNKNOWN-CA", user, foreign)
    known = [*HOME.both, *AWAY.both]
    assert "'other.com'" in refused("PKI-FOREIGN-CLUSTER", user, foreign, authorities=known)
    lie = codec.to_ssh(HOME.identity()).extensions
    refused("PKI-FOREIGN-CLUSTER", user, signed(AWAY, extensions=lie), authorities=known)
    lie = codec.to_ssh(AWAY.identity()).extensions
    refused("PKI-FOREIGN-CLUSTER", user, signed(extensions=lie), authorities=known)
    refused("PKI-FOREIGN-CLUSTER", host, AWAY.ssh(AWAY.host_identity(), KEY).blob, authorities=known)


def test_a_changed_certificate_is_refused() -> None:
    refused("PKI-BAD-SIGNATURE", user, USER.blob.replace(b"\x00\x00\x00\x04root", b"\x00\x00\x00\x04toor"))


def test_validity_is_that_of_the_given_time() -> None:
    begin, end = NOW - dt.timedelta(minutes=1), HOME.identity().expires
    second = dt.timedelta(seconds=1)
    user(USER.blob, now=begin)
    user(USER.blob, now=end - second)
    assert "2026-03-01T13:00:00Z" in refused("PKI-EXPIRED", user, USER.blob, now=end)
    assert "2026-03-01T11:59:00Z" in refused("PKI-NOT-YET-VALID", user, USER.blob, now=begin - second)
    future = signed(valid_after=(1 << 64) - 2, valid_before=(1 << 64) - 1)
    assert "end of the calendar" in refused("PKI-NOT-YET-VALID", user, future)


def test_a_certificate_without_key_id_is_refused() -> None:
    text = refused("PKI-NO-KEY-ID", user, signed(key_id=""))
    assert text == f"need a valid key for key {keys.fingerprint(KEY)}"


def test_cve_2024_7594_empty_principals_mean_nobody() -> None:
    text = refused("PKI-NO-PRINCIPALS", user, signed(principals=()))
    assert text == f"need a valid principal for key {keys.fingerprint(KEY)}"
    refused("PKI-NO-PRINCIPALS", host, signed(base=HOST, principals=()))


@pytest.mark.parametrize("lie", ["alice,root", "alice\nroot", "alice\0root"])
def test_cve_2026_35414_a_principal_is_never_a_list(lie: str) -> None:
    changed = USER.tbs.replace(string(string(b"root") + string(b"alice")), string(string(lie.encode())))
    issuer = authority.ssh_issuer(HOME.user)
    raw = next(k.private for k in HOME.signer._custody._loaded.values() if keys.ssh_blob(k.public) == issuer.blob)
    blob = changed + string(keys.ssh_signature(raw.public_key(), keys.sign(raw, changed)))
    refused("PKI-MALFORMED-CERTIFICATE", user, blob)


@pytest.mark.parametrize("login", ["bob", "", "ROOT", "root,alice", "roo"])
def test_the_login_must_be_among_the_principals(login: str) -> None:
    refused("PKI-LOGIN-NOT-IN-PRINCIPALS", user, USER.blob, login=login, kind=AccessDenied)
    refused("PKI-HOST-NOT-IN-PRINCIPALS", host, HOST.blob, host=login, kind=AccessDenied)


def test_unknown_critical_options_are_refused() -> None:
    assert "force-command" in refused("PKI-UNKNOWN-OPTION", user, signed(critical_options={"force-command": "id"}))
    refused("PKI-UNKNOWN-OPTION", host, signed(base=HOST, critical_options={"source-address": "10.0.0.9/32"}))


def test_unknown_extensions_are_refused() -> None:
    extensions = {**USER.extensions, "teleport-new": ""}
    refused("PKI-MALFORMED-CERTIFICATE", user, signed(extensions=extensions))


@pytest.mark.parametrize(
    ("pinned", "source", "accepted"),
    [
        ("10.0.0.9", "10.0.0.9", True),
        ("10.0.0.9", "::ffff:10.0.0.9", True),
        ("2001:db8::1", "2001:db8:0::1", True),
        ("fe80::1", "fe80::1%eth0", True),
        ("10.0.0.9", "10.0.0.8", False),
        ("10.0.0.9", "::10.0.0.9", False),
        ("10.0.0.9", "localhost", False),
    ],
)
def test_source_address(pinned: str, source: str, accepted: bool) -> None:
    blob = HOME.ssh(HOME.identity(pinned_ip=pinned), KEY).blob
    if accepted:
        assert user(blob, source_ip=source).pinned_ip == pinned
    else:
        assert source in refused("PKI-SOURCE-ADDRESS", user, blob, source_ip=source, kind=AccessDenied)


def test_source_address_over_a_socketpair_is_refused() -> None:
    blob = HOME.ssh(HOME.identity(pinned_ip="10.0.0.9"), KEY).blob
    text = refused("PKI-SOURCE-ADDRESS", user, blob, source_ip="", kind=AccessDenied)
    assert "without a proven IP address" in text
    assert user(USER.blob, source_ip="")


TLS_KEY = keys.make_p256(SeededEntropy(5)).public_key()


def tls(certificate: bytes, **changes: Any) -> Identity:
    fields = {"authorities": HOME.both, "now": NOW, "source_ip": "10.0.0.9", "cluster": "example.com"}
    return check.check_x509(certificate, **{**fields, **changes})


def forged(ca: Any, identity: Identity, **changes: Any) -> bytes:
    """Return a certificate that no issuer of ours would make."""
    fields = {
        "spki": keys.spki(TLS_KEY), "subject": codec.to_subject(identity), "not_before": NOW,
        "not_after": identity.expires, "usages": ["client"], "entropy": HOME.entropy,
    }  # fmt: skip
    signer = HOME.signer if ca in HOME.both else AWAY.signer
    return asyncio.run(x509.issue(signer, authority.tls_issuer(ca), **{**fields, **changes}))


def test_a_tls_peer_is_an_identity() -> None:
    assert tls(HOME.tls(HOME.identity(), TLS_KEY)) == HOME.identity()
    assert tls(HOME.tls(HOME.host_identity(), TLS_KEY)) == HOME.host_identity()
    long = authorities.cluster("a-very-long-name." * 5 + "example.com", seed=6)
    peer = tls(long.tls(long.host_identity(), TLS_KEY), authorities=long.both, cluster=long.name)
    assert peer == long.host_identity()


def test_tls_refusals() -> None:
    good = HOME.tls(HOME.identity(), TLS_KEY)
    second = dt.timedelta(seconds=1)
    refused("PKI-MALFORMED-CERTIFICATE", tls, good + b"x")
    refused("PKI-UNKNOWN-CA", tls, AWAY.tls(AWAY.identity(), TLS_KEY))
    refused("PKI-UNKNOWN-CA", tls, good, authorities=[HOME.host])
    refused("PKI-EXPIRED", tls, good, now=HOME.identity().expires)
    refused("PKI-NOT-YET-VALID", tls, good, now=NOW - dt.timedelta(minutes=1) - second)
    refused("PKI-WRONG-USE", tls, forged(HOME.user, HOME.identity(), usages=["server"]))
    refused("PKI-WRONG-USE", tls, authority.tls_issuer(HOME.user).certificate)
    refused("PKI-MALFORMED-CERTIFICATE", tls, forged(HOME.user, HOME.identity(), subject=[("2.5.4.3", "alice")]))


def test_an_authority_is_no_tls_peer() -> None:
    """Even one that is marked as a client, and signed by the right key: the signer would not make it."""
    issuer = authority.tls_issuer(HOME.user)
    (private,) = [
        key.private for key in HOME.signer._custody._loaded.values() if x509.pin(issuer.certificate) == _pin(key.public)
    ]
    good = x509.parse(HOME.tls(HOME.identity(), TLS_KEY))
    tbs = good.tbs_certificate_bytes
    leaf = bytes.fromhex("0603551d130101ff04023000")
    marked = bytes.fromhex("0603551d130101ff040530030101ff")
    assert leaf in tbs
    fields = [part.raw for part in der.fields(tbs)]
    listed = der.elements(der.elements(fields[7])[0].content)[0].content
    changed = [der.value(der.SEQUENCE, part.content.replace(leaf, marked)) for part in der.elements(listed)]
    fields[7] = der.value(0xA3, der.value(der.SEQUENCE, *changed))
    tbs = der.value(der.SEQUENCE, *fields)
    refused("PKI-WRONG-USE", tls, der.certificate(tbs, "ecdsa-p256", keys.sign(private, tbs)))


def _pin(public: keys.PublicKey) -> str:
    return "sha256:" + hashlib.sha256(keys.spki(public)).hexdigest()


def test_a_tls_user_is_no_host_and_the_reverse() -> None:
    refused("PKI-WRONG-TYPE", tls, forged(HOME.user, HOME.host_identity()))
    refused("PKI-WRONG-TYPE", tls, forged(HOME.host, HOME.identity()))


def test_a_tls_certificate_of_another_cluster_is_refused() -> None:
    known = [*HOME.both, *AWAY.both]
    refused("PKI-FOREIGN-CLUSTER", tls, AWAY.tls(AWAY.identity(), TLS_KEY), authorities=known)
    refused("PKI-FOREIGN-CLUSTER", tls, forged(AWAY.user, HOME.identity()), authorities=known)
    refused("PKI-FOREIGN-CLUSTER", tls, forged(HOME.user, AWAY.identity()), authorities=known)


def test_a_tls_certificate_bound_to_an_address_is_bound() -> None:
    bound = HOME.tls(HOME.identity(pinned_ip="10.0.0.9"), TLS_KEY)
    assert tls(bound)
    refused("PKI-SOURCE-ADDRESS", tls, bound, source_ip="10.0.0.8", kind=AccessDenied)
    refused("PKI-SOURCE-ADDRESS", tls, bound, source_ip="", kind=AccessDenied)


def test_every_refusal_is_one_of_the_documented_codes() -> None:
    names = set(ssh.Body._fields)
    assert names == {
        "key",
        "nonce",
        "serial",
        "type",
        "key_id",
        "principals",
        "valid_after",
        "valid_before",
        "critical_options",
        "extensions",
        "authority",
    }  # fmt: skip  (a new field of certificates needs a new look at the checks)
