"""Signed tokens of others (JWT, RFC 7519): who signed, for whom, until when.

A token names the algorithm of its signature itself; that word decides nothing here but which of the issuer's keys are
tried: a key verifies with the algorithms of its own type alone, and neither `none` nor a shared secret is one (RFC 8725
section 3.1). Keys come as a JSON Web Key Set (RFC 7517). Everything in this file is written by strangers.

Not here: where keys are fetched, and what claims mean (`auth.join`).
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from teleport.base.errors import BadParameter

LONGEST = 16 * 1024
"""Characters of a token."""
LEEWAY = dt.timedelta(minutes=1)
"""By how much two clocks may differ."""
MOST_KEYS = 64
SMALLEST_RSA = 2048
LARGEST_RSA = 8192

Key = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

_HASHES: Mapping[str, hashes.HashAlgorithm] = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
_CURVES: Mapping[str, tuple[ec.EllipticCurve, str]] = {
    "P-256": (ec.SECP256R1(), "ES256"), "P-384": (ec.SECP384R1(), "ES384"), "P-521": (ec.SECP521R1(), "ES512"),
}  # fmt: skip
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key of an issuer."""

    id: str
    """`kid`; empty: it has none."""
    key: Key
    algorithms: frozenset[str]
    """What it verifies: those of its type, or the one that the issuer names."""


class _Jwk(msgspec.Struct):
    """RFC 7517 section 4; members that are not known mean nothing."""

    kty: str
    kid: str = ""
    use: str = ""
    alg: str = ""
    n: str = ""
    e: str = ""
    crv: str = ""
    x: str = ""
    y: str = ""


class _Jwks(msgspec.Struct):
    keys: list[_Jwk]


class _Header(msgspec.Struct):
    alg: str
    kid: str = ""
    crit: Any = None


@dataclass(frozen=True, slots=True)
class Token:
    """A token in parts, of which nothing is believed yet."""

    algorithm: str
    key_id: str
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes


def load_keys(document: str | bytes) -> tuple[SigningKey, ...]:
    """Return the keys of a set that verify signatures; keys of other sorts are left out.

    Raises BadParameter (PKI-JWT) for what is no set, and for a set with none.
    """
    try:
        found = msgspec.json.decode(document, type=_Jwks).keys
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _bad(f"the key set is not a JSON Web Key Set: {str(error)[:120]}") from None
    if len(found) > MOST_KEYS:
        raise _bad(f"the key set has more than {MOST_KEYS} keys")
    keys = tuple(key for jwk in found if (key := _signing_key(jwk)) is not None)
    if not keys:
        raise _bad("the key set has no key that verifies signatures")
    return keys


def read(text: str) -> Token:
    """Take a token apart. Raises BadParameter (PKI-JWT)."""
    parts = text.split(".") if len(text) <= LONGEST else []
    if len(parts) != 3 or not text.isascii():
        raise _bad("it is not a signed token of three parts")
    head, body, signature = (_bytes_of(part) for part in parts)
    try:
        header = msgspec.json.decode(head, type=_Header)
        claims = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _bad("header or claims are not JSON objects") from None
    if header.crit is not None:
        raise _bad("it demands extensions that are not known")
    if header.alg not in _ALGORITHMS:
        raise _bad(f"it is signed with {header.alg[:20]!a}, which is not accepted")
    signed = text.rpartition(".")[0].encode()
    return Token(header.alg, header.kid, claims, signed, signature)


def verify(
    token: Token, keys: Iterable[SigningKey], *, issuer: str | None, audience: str, now: dt.datetime,
    leeway: dt.timedelta = LEEWAY,
) -> Mapping[str, Any]:  # fmt: skip
    """Return the claims of a token that one of the keys signed, that comes from `issuer`, is for `audience` and is
    valid now. `issuer` is None where the keys alone say whose tokens are meant. Raises BadParameter (PKI-JWT)."""
    check_signature(token, keys)
    claims = token.claims
    if issuer is not None and (not issuer or claims.get("iss") != issuer):
        raise _bad(f"its issuer is {_shown(claims.get('iss'))} and not {issuer!r}")
    if not audience or audience not in _audiences(claims.get("aud")):
        raise _bad(f"its audience is {_shown(claims.get('aud'))} and not {audience!r}")
    check_time(claims, now, leeway)
    return claims


def check_signature(token: Token, keys: Iterable[SigningKey]) -> None:
    """Raise BadParameter (PKI-JWT) unless one of the keys signed the token."""
    fitting = [key for key in keys if token.algorithm in key.algorithms and token.key_id in ("", key.id)]
    if not fitting:
        raise _bad("the issuer has no key like the one that it names")
    if not any(_signed_by(key.key, token) for key in fitting):
        raise _bad("its signature is not by a key of the issuer")


def check_time(claims: Mapping[str, Any], now: dt.datetime, leeway: dt.timedelta = LEEWAY) -> None:
    """Raise BadParameter (PKI-JWT) unless claims are valid now; they must have an end."""
    seconds, slack = now.timestamp(), leeway.total_seconds()
    end = _number(claims, "exp")
    if end is None:
        raise _bad("it has no end")
    if end + slack <= seconds:
        raise _bad("it has expired")
    for name in ("nbf", "iat"):
        begin = _number(claims, name)
        if begin is not None and begin - slack > seconds:
            raise _bad("it is not valid yet")


def knows(keys: Iterable[SigningKey], token: Token) -> bool:
    """Whether one of the keys could have signed the token, as far as names go."""
    return any(token.algorithm in key.algorithms and token.key_id in ("", key.id) for key in keys)


def encode_part(data: bytes) -> str:
    """Return base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes_of(part: str) -> bytes:
    try:
        return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _bad("a part of it is not base64url") from None


def _signing_key(jwk: _Jwk) -> SigningKey | None:
    if jwk.use not in ("", "sig"):
        return None
    try:
        made = _public_key(jwk)
    except (BadParameter, ValueError, UnsupportedAlgorithm):
        return None
    if made is None:
        return None
    key, algorithms = made
    if jwk.alg:
        algorithms &= {jwk.alg}
    return SigningKey(jwk.kid, key, algorithms)


def _public_key(jwk: _Jwk) -> tuple[Key, frozenset[str]] | None:
    if jwk.kty == "RSA":
        key = rsa.RSAPublicNumbers(_integer(jwk.e), _integer(jwk.n)).public_key()
        if not SMALLEST_RSA <= key.key_size <= LARGEST_RSA:
            return None
        return key, frozenset(name for name in _ALGORITHMS if name[:2] in ("RS", "PS"))
    if jwk.kty == "EC" and jwk.crv in _CURVES:
        curve, algorithm = _CURVES[jwk.crv]
        return ec.EllipticCurvePublicNumbers(_integer(jwk.x), _integer(jwk.y), curve).public_key(), frozenset(
            {algorithm}
        )
    if jwk.kty == "OKP" and jwk.crv == "Ed25519":
        return ed25519.Ed25519PublicKey.from_public_bytes(_bytes_of(jwk.x)), frozenset({"EdDSA"})
    return None


def _integer(text: str) -> int:
    return int.from_bytes(_bytes_of(text), "big")


def _signed_by(key: Key, token: Token) -> bool:
    try:
        if isinstance(key, rsa.RSAPublicKey):
            hashed = _HASHES[token.algorithm[2:]]
            pad = padding.PKCS1v15() if token.algorithm.startswith("RS") else _pss(hashed)
            key.verify(token.signature, token.signed, pad, hashed)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            size = (key.curve.key_size + 7) // 8
            if len(token.signature) != 2 * size:
                return False
            r, s = (int.from_bytes(half, "big") for half in (token.signature[:size], token.signature[size:]))
            key.verify(utils.encode_dss_signature(r, s), token.signed, ec.ECDSA(_HASHES[token.algorithm[2:]]))
        else:
            key.verify(token.signature, token.signed)
    except InvalidSignature:
        return False
    return True


def _pss(hashed: hashes.HashAlgorithm) -> padding.PSS:
    return padding.PSS(padding.MGF1(hashed), salt_length=hashed.digest_size)


def _audiences(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else [value]


def _number(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1e12 < value < 1e12:
        raise _bad(f"{name} is no time")
    return value


def _shown(value: object) -> str:
    return ascii(value)[:120]


def _bad(problem: str) -> BadParameter:
    return BadParameter("PKI-JWT", problem=problem)
