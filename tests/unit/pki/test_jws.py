"""Tokens of others: what is believed, and every way in which one is not."""

from __future__ import annotations

import datetime as dt
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from teleport.base.errors import BadParameter
from teleport.pki import jws
from tests.support.issuer import EC_KEY, RSA_KEY, b64, jwk, number, sign, token

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
AT = NOW.timestamp()
CLAIMS: dict[str, Any] = {"iss": "https://i", "aud": "c", "exp": AT + 60, "iat": AT - 1, "nbf": AT - 1, "sub": "s"}
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SMALL_RSA = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - it shall be refused
CURVES = {
    "ES256": EC_KEY,
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
}
ED = ed25519.Ed25519PrivateKey.generate()


def keys_of(*jwks: dict[str, str]) -> tuple[jws.SigningKey, ...]:
    return jws.load_keys(json.dumps({"keys": list(jwks)}))


def verify(text: str, keys: Any = None, **more: Any) -> Any:
    asked: dict[str, Any] = {"issuer": "https://i", "audience": "c", "now": NOW, **more}
    return jws.verify(jws.read(text), keys or keys_of(jwk(RSA_KEY)), **asked)


def refused(text: str, keys: Any = None, **more: Any) -> str:
    with pytest.raises(BadParameter) as caught:
        verify(text, keys, **more)
    assert caught.value.code == "PKI-JWT"
    return caught.value.what


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
def test_rsa(algorithm: str) -> None:
    assert verify(token(RSA_KEY, CLAIMS, algorithm=algorithm))["sub"] == "s"


@pytest.mark.parametrize("algorithm", CURVES)
def test_curves(algorithm: str) -> None:
    key = CURVES[algorithm]
    assert verify(token(key, CLAIMS, algorithm=algorithm), keys_of(jwk(key)))["sub"] == "s"


def test_ed25519() -> None:
    assert verify(token(ED, CLAIMS, algorithm="EdDSA"), keys_of(jwk(ED)))["sub"] == "s"


def test_a_public_key_is_no_shared_secret_and_none_is_no_signature() -> None:
    said = f"{b64(json.dumps({'alg': 'HS256', 'kid': 'k1'}).encode())}.{b64(json.dumps(CLAIMS).encode())}"
    forged = hmac.new(jwk(RSA_KEY)["n"].encode(), said.encode(), "sha256").digest()
    assert "HS256" in refused(f"{said}.{b64(forged)}")
    for none in ("none", "None", "nOnE"):
        head = b64(json.dumps({"alg": none}).encode())
        assert "is not accepted" in refused(f"{head}.{b64(json.dumps(CLAIMS).encode())}.")


def test_a_key_verifies_what_fits_its_type_alone() -> None:
    assert "no key like" in refused(token(EC_KEY, CLAIMS, algorithm="ES256"))
    assert "no key like" in refused(token(CURVES["ES384"], CLAIMS, algorithm="ES384"), keys_of(jwk(EC_KEY)))
    only = keys_of(jwk(RSA_KEY, alg="RS512"))
    assert verify(token(RSA_KEY, CLAIMS, algorithm="RS512"), only)
    assert "no key like" in refused(token(RSA_KEY, CLAIMS, algorithm="RS256"), only)


def test_a_token_names_its_key_or_any_is_tried() -> None:
    both = keys_of(jwk(OTHER_RSA, "a"), jwk(RSA_KEY, "b"))
    assert verify(token(RSA_KEY, CLAIMS, kid="b"), both)
    assert verify(token(RSA_KEY, CLAIMS, kid=""), both)
    assert "not by a key" in refused(token(RSA_KEY, CLAIMS, kid="a"), both)
    assert "no key like" in refused(token(RSA_KEY, CLAIMS, kid="c"), both)
    assert jws.knows(both, jws.read(token(RSA_KEY, CLAIMS, kid="b")))
    assert not jws.knows(both, jws.read(token(RSA_KEY, CLAIMS, kid="c")))


def test_a_changed_token_is_none() -> None:
    head, _, signature = token(RSA_KEY, CLAIMS).split(".")
    body = b64(json.dumps({**CLAIMS, "sub": "root"}).encode())
    assert "not by a key" in refused(f"{head}.{body}.{signature}")
    said = token(EC_KEY, CLAIMS, algorithm="ES256").rpartition(".")[0]
    for wrong in (b"\0" * 64, b"\0" * 63, sign(EC_KEY, "ES256", b"other")):
        assert "not by a key" in refused(f"{said}.{b64(wrong)}", keys_of(jwk(EC_KEY)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"iss": "https://j"}, "issuer"), ({"iss": None}, "issuer"), ({"iss": "https://i/"}, "issuer"),
        ({"aud": "d"}, "audience"), ({"aud": None}, "audience"), ({"aud": []}, "audience"), ({"aud": ""}, "audience"),
        ({"aud": ["d", "cc"]}, "audience"), ({"aud": {"c": 1}}, "audience"),
        ({"exp": AT - 60}, "has expired"), ({"exp": None}, "no end"), ({"exp": "2031"}, "no time"),
        ({"exp": True}, "no time"), ({"exp": 1e300}, "no time"), ({"nbf": AT + 61}, "not valid yet"),
        ({"iat": AT + 61}, "not valid yet"),
    ],
)  # fmt: skip
def test_claims(changes: dict[str, Any], words: str) -> None:
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    assert words in refused(token(RSA_KEY, claims))


def test_what_may_differ() -> None:
    assert verify(token(RSA_KEY, {**CLAIMS, "aud": ["x", "c"]}))
    assert verify(token(RSA_KEY, {**CLAIMS, "exp": AT - 59, "iat": AT + 59}))
    assert verify(token(RSA_KEY, {"aud": "c", "exp": AT + 1}), issuer=None)
    assert "issuer" in refused(token(RSA_KEY, {**CLAIMS, "iss": ""}), issuer="")
    assert "audience" in refused(token(RSA_KEY, {**CLAIMS, "aud": ""}), audience="")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "three parts"), ("a.b", "three parts"), ("a.b.c.d", "three parts"), ("ä.b.c", "three parts"),
        ("a" * 20000 + ".b.c", "three parts"), ("!.e30.e30", "base64url"), ("e.e30.e30", "base64url"),
        ("e30.e30.e30", "JSON objects"), (f"{b64(b'{')}.e30.", "JSON objects"),
        (f"{b64(b'{' + b'[' * 5000)}.e30.", "JSON objects"),
        (f"{b64(json.dumps({'alg': 'RS256'}).encode())}.{b64(b'[]')}.", "JSON objects"),
        (f"{b64(json.dumps({'alg': 'RS256', 'crit': ['exp']}).encode())}.e30.", "extensions"),
        (f"{b64(json.dumps({'alg': 'R' * 99}).encode())}.e30.", "is not accepted"),
    ],
)  # fmt: skip
def test_what_is_no_token(text: str, words: str) -> None:
    assert words in refused(text)


@pytest.mark.parametrize(
    "document",
    [
        "", "[]", '{"keys": 1}', '{"keys": []}', '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}', b"\xff",
        json.dumps({"keys": [jwk(SMALL_RSA)]}), json.dumps({"keys": [jwk(RSA_KEY, use="enc")]}),
        json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}),
        json.dumps({"keys": [{"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}]}),
        json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AA"}]}),
        json.dumps({"keys": [{"kty": "OKP", "crv": "X25519", "x": "AA"}]}),
        json.dumps({"keys": [{"kty": "RSA", "n": "*", "e": "AQAB"}]}),
        json.dumps({"keys": [jwk(RSA_KEY)] * 65}),
    ],
)  # fmt: skip
def test_what_is_no_set_of_keys(document: str | bytes) -> None:
    with pytest.raises(BadParameter) as caught:
        jws.load_keys(document)
    assert caught.value.code == "PKI-JWT"


def test_keys_of_other_sorts_are_left_out() -> None:
    assert [key.id for key in keys_of({"kty": "oct", "k": "AA"}, jwk(RSA_KEY, "r", use="sig"))] == ["r"]
    assert number(65537) == jwk(RSA_KEY)["e"]
    assert jws.encode_part(b"\xff\xfe") == "__4"


@given(
    st.text(max_size=60) | st.builds(".".join, st.lists(st.text(alphabet="eyJhbGciOiJ9_-", max_size=30), max_size=4))
)
def test_arbitrary_text_raises_nothing_else(text: str) -> None:
    try:
        jws.read(text)
    except BadParameter as error:
        assert error.code == "PKI-JWT"  # noqa: PT017 - any other error fails the test


@given(st.binary(max_size=200))
def test_arbitrary_key_sets_raise_nothing_else(data: bytes) -> None:
    try:
        jws.load_keys(data)
    except BadParameter as error:
        assert error.code == "PKI-JWT"  # noqa: PT017 - as above
