"""The signed entry of a PROXY header: made by a proxy's key, and every way in which another one differs."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from teleport.base.entropy import SeededEntropy
from teleport.base.errors import AccessDenied
from teleport.pki import client_address, keys
from teleport.wire.buffer import Writer
from teleport.wire.proxy_header import Endpoint, ProxyHeader, build_v2, parse
from tests.support.authorities import NOW, cluster

HOME = cluster()
OTHER = cluster("example.com", seed=2)
SOURCE, TARGET = Endpoint("203.0.113.9", 5001), Endpoint("10.0.0.1", 3025)
KEY = keys.make_p256(SeededEntropy(5))
PROXY = HOME.host_identity(name="id1.example.com", roles=("Proxy",), system_roles=("Proxy",))


def certificate(identity: Any = PROXY, issuer: Any = HOME, key: Any = KEY) -> bytes:
    made: bytes = issuer.tls(identity, key.public_key(), "localhost")
    return made


CERTIFICATE = certificate()


def signed(**changes: Any) -> ProxyHeader:
    """Return a header as a proxy writes it, read back, with changed arguments of `sign`."""
    fields: dict[str, Any] = {"cluster": "example.com", "source": SOURCE, "destination": TARGET, "now": NOW, **changes}
    key, shown = fields.pop("key", KEY), fields.pop("certificate", CERTIFICATE)
    return parse(build_v2(SOURCE, TARGET, (client_address.sign(key, shown, **fields),)))


def check(header: ProxyHeader, *, now: dt.datetime = NOW, name: str = "example.com") -> None:
    client_address.check(header, authorities=HOME.both, now=now, cluster=name)


def refusal(header: ProxyHeader, **arguments: Any) -> str:
    with pytest.raises(AccessDenied) as caught:
        check(header, **arguments)
    assert caught.value.code == "PKI-CLIENT-ADDRESS"
    assert caught.value.what == "could not verify PROXY signature for connection"
    return caught.value.why


def test_what_a_proxy_signed_is_believed() -> None:
    header = signed()
    assert client_address.is_signed(header)
    check(header)
    check(header, now=NOW + dt.timedelta(seconds=59))
    check(header, now=NOW - dt.timedelta(seconds=10))


def test_ipv6() -> None:
    source, target = Endpoint("2001:db8::9", 5001), Endpoint("::ffff:10.0.0.1", 3025)
    entry = client_address.sign(KEY, CERTIFICATE, cluster="example.com", source=source, destination=target, now=NOW)
    check(parse(build_v2(source, target, (entry,))))


def test_what_is_not_signed() -> None:
    plain = parse(build_v2(SOURCE, TARGET, ((0xEA, b"aws"),)))
    assert not client_address.is_signed(plain)
    assert "signed once" in refusal(plain)


def test_two_signatures_contradict_each_other() -> None:
    header = signed()
    assert "signed once" in refusal(dataclasses.replace(header, entries=header.entries * 2))


@pytest.mark.parametrize("end", ["source", "destination"])
def test_a_signature_without_addresses(end: str) -> None:
    assert "signed once" in refusal(dataclasses.replace(signed(), **{end: None}))  # type: ignore[arg-type]


@pytest.mark.parametrize("seconds", [60, 120, -11])
def test_it_is_valid_for_a_minute(seconds: int) -> None:
    assert "clocks" in refusal(signed(), now=NOW + dt.timedelta(seconds=seconds))


def test_a_signature_is_for_one_pair_of_addresses_of_one_cluster() -> None:
    assert "claim sub " in refusal(signed(source=Endpoint("203.0.113.10", 5001)))
    assert "claim sub " in refusal(signed(source=Endpoint("203.0.113.9", 5002)))
    assert "claim aud " in refusal(signed(destination=Endpoint("10.0.0.2", 3025)))
    assert "claim iss " in refusal(signed(cluster="other.example.com"))


def test_the_certificate_is_one_of_a_proxy_of_this_cluster() -> None:
    node = HOME.host_identity()
    assert "not one of a proxy" in refusal(signed(certificate=certificate(node)))
    user = HOME.identity(roles=("Proxy",))
    assert "not one of a proxy" in refusal(signed(certificate=certificate(user)))
    assert "PKI-UNKNOWN-CA" in refusal(signed(certificate=certificate(PROXY, OTHER)))
    assert "PKI-EXPIRED" in refusal(signed(now=NOW + dt.timedelta(hours=2)), now=NOW + dt.timedelta(hours=2))
    assert "PKI-MALFORMED" in refusal(signed(certificate=b"nothing"))
    assert "PKI-FOREIGN-CLUSTER" in refusal(signed(cluster="x.example"), name="x.example")


def test_a_certificate_is_public_and_its_key_is_not() -> None:
    assert "signed by the certificate's key" in refusal(signed(key=keys.make_p256(SeededEntropy(6))))


def test_a_proxy_with_several_roles() -> None:
    several = HOME.host_identity(roles=("Node",), system_roles=("Node", "Proxy"))
    check(signed(certificate=certificate(several)))


def with_entry(value: bytes) -> ProxyHeader:
    return dataclasses.replace(signed(), entries=((client_address.ENTRY, value),))


def parts(*pairs: tuple[int, bytes]) -> bytes:
    writer = Writer()
    for kind, value in pairs:
        writer.u8(kind).vector16(value)
    return bytes(writer)


def token(header: object = None, claims: object = None, key: ec.EllipticCurvePrivateKey = KEY) -> bytes:
    """Return a token with a right signature over whatever it says."""
    good = {
        "iss": "example.com", "sub": "203.0.113.9:5001", "aud": ["10.0.0.1:3025"], "nbf": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 60,
    }  # fmt: skip
    texts = [{"alg": "ES256"} if header is None else header, good if claims is None else {**good, **claims}
             if isinstance(claims, dict) else claims]  # fmt: skip
    head = b".".join(_encode(json.dumps(text).encode()) for text in texts)
    r, s = decode_dss_signature(keys.sign(key, head))
    return head + b"." + _encode(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def test_the_token_of_these_tests_is_right() -> None:
    check(with_entry(parts((1, CERTIFICATE), (2, token()))))
    check(with_entry(parts((9, b"of a later version"), (2, token()), (1, CERTIFICATE))))


@pytest.mark.parametrize(
    "value",
    [b"", b"\x01", parts((1, CERTIFICATE)), parts((2, token())), parts((1, CERTIFICATE), (2, token()))[:-1]],
    ids=["empty", "cut", "no_token", "no_certificate", "short"],
)
def test_incomplete_entries(value: bytes) -> None:
    assert "incomplete" in refusal(with_entry(value))


def test_parts_that_are_there_twice() -> None:
    assert "twice" in refusal(with_entry(parts((1, CERTIFICATE), (2, token()), (2, token()))))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "malformed"), (b"a.b", "malformed"), (b"a.b.c", "malformed"), (b"\xff.\xff.\xff", "malformed"),
        (token([]), "malformed"), (token(None, []), "malformed"), (b"[" * 4000 + b"." + b"e30.e30", "malformed"),
        (_encode(b"[" * 9000) + b".e30.e30", "malformed"), (token()[:-2] + b"==", "ES256"),
        (token({"alg": "none"}), "ES256"), (token({"alg": "HS256"}), "ES256"), (token({}), "ES256"),
        (token().rpartition(b".")[0] + b".", "ES256"), (token()[:-4], "ES256"),
        (token().rpartition(b".")[0] + b"." + _encode(b"\1" * 64), "certificate's key"),
        (token(None, {"sub": "203.0.113.10:5001"}), "claim sub"), (token(None, {"aud": "10.0.0.1:3025"}), "claim aud"),
        (token(None, {"nbf": None}), "not valid at this time"), (token(None, {"exp": "9e99"}), "not valid"),
    ],
)  # fmt: skip
def test_tokens_that_say_something_else(text: bytes, why: str) -> None:
    assert why in refusal(with_entry(parts((1, CERTIFICATE), (2, text))))


def test_a_certificate_with_a_key_that_signs_otherwise() -> None:
    ed = keys.make_ed25519(SeededEntropy(8))
    assert "ES256" in refusal(with_entry(parts((1, certificate(key=ed)), (2, token()))))
