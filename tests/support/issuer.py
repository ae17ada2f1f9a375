"""An issuer of signed tokens in memory: its keys, its discovery, and the fetch with which it is asked."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from teleport.base.errors import Unavailable
from teleport.net.fetch import Answer

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
HASHES: dict[str, Any] = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


def b64(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> str:
    return b64(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def jwk(key: Any, kid: str = "k1", **more: str) -> dict[str, str]:
    """Return the public half of a key as a JSON Web Key."""
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        shape = {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        point, size = key.public_key().public_numbers(), (key.curve.key_size + 7) // 8
        crv = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}[key.curve.name]
        shape = {
            "kty": "EC",
            "crv": crv,
            "x": b64(point.x.to_bytes(size, "big")),
            "y": b64(point.y.to_bytes(size, "big")),
        }
    else:
        shape = {"kty": "OKP", "crv": "Ed25519", "x": b64(key.public_key().public_bytes_raw())}
    return {**shape, "kid": kid, **more}


def sign(key: Any, algorithm: str, message: bytes) -> bytes:
    """Sign as JSON Web Algorithms say."""
    if isinstance(key, rsa.RSAPrivateKey):
        hashed = HASHES[algorithm[2:]]
        pss = padding.PSS(padding.MGF1(hashed), salt_length=hashed.digest_size)
        return key.sign(message, padding.PKCS1v15() if algorithm[0] == "R" else pss, hashed)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        size = (key.curve.key_size + 7) // 8
        r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(HASHES[algorithm[2:]])))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    return key.sign(message)


def token(key: Any, claims: Mapping[str, Any], *, algorithm: str = "RS256", kid: str = "k1", **header: Any) -> str:
    """Return a signed token."""
    head = {"alg": algorithm, "kid": kid, "typ": "JWT", **header}
    said = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(claims).encode())}"
    return f"{said}.{b64(sign(key, algorithm, said.encode()))}"


class Issuer:
    """Publishes keys under its own address. As a `Fetch` it answers for itself alone, and counts."""

    def __init__(self, url: str, *, key: Any = RSA_KEY, kid: str = "k1") -> None:
        self.url = url
        self.key, self.kid = key, kid
        self.asked: list[str] = []
        self.claims_of_discovery: dict[str, Any] = {"issuer": url, "jwks_uri": f"{url}/keys"}
        self.status = 200

    @property
    def jwks(self) -> str:
        return json.dumps({"keys": [jwk(self.key, self.kid)]})

    def token(self, algorithm: str = "RS256", **claims: Any) -> str:
        return token(self.key, {"iss": self.url, **claims}, kid=self.kid, algorithm=algorithm)

    async def __call__(
        self, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        self.asked.append(url)
        if url == f"{self.url}/.well-known/openid-configuration":
            return Answer(self.status, json.dumps(self.claims_of_discovery).encode())
        if url == f"{self.url}/keys":
            return Answer(200, self.jwks.encode())
        raise Unavailable("NET-FETCH", url=url, problem="nobody is there")
