"""What each join method puts into the conversation of a join: JSON documents, the same on both sides.

The method `token` has none. What a document means, and whether it is believed, stands in `auth.join` and
`client.joining`.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from teleport.base.errors import BadParameter
from teleport.base.struct import Struct, decode, encode

T = TypeVar("T", bound=Struct)


class IdToken(Struct, frozen=True, kw_only=True):
    """github, gitlab, kubernetes, gcp: a token that somebody else signed."""

    id_token: str


class Challenge(Struct, frozen=True, kw_only=True):
    """iam, azure: words that the proof must repeat."""

    challenge: str


class StsRequest(Struct, frozen=True, kw_only=True):
    """iam: a signed request to AWS, as it would be sent: head and body."""

    request: str


class Ec2Init(Struct, frozen=True, kw_only=True):
    """ec2: the identity document of the instance, signed (PKCS #7, base64), as its metadata service gives it."""

    identity_document: str


class AzureSolution(Struct, frozen=True, kw_only=True):
    """azure: what the metadata service says of the machine."""

    attested_data: str
    """The attested document (PKCS #7, base64) with the challenge as its nonce."""
    access_token: str
    """Of a managed identity, for `https://management.azure.com/`."""


class TpmInit(Struct, frozen=True, kw_only=True):
    """tpm: which chip it is."""

    ek_key: bytes
    """The endorsement key, SubjectPublicKeyInfo in DER."""
    ek_cert: bytes = b""
    """Its certificate in DER, where the chip has one."""
    ak_public: bytes
    """Public area (TPMT_PUBLIC) of the key whose name the credential is bound to."""


class TpmAsk(Struct, frozen=True, kw_only=True):
    """tpm: a credential that this chip alone can open."""

    blob: bytes
    secret: bytes


class TpmSolution(Struct, frozen=True, kw_only=True):
    """tpm: what was in it."""

    secret: bytes


class BoundInit(Struct, frozen=True, kw_only=True):
    """bound_keypair: what the client has of the times before."""

    initial_join_secret: str = ""
    previous_join_state: str = ""


class BoundClaims(Struct, frozen=True, kw_only=True):
    """bound_keypair: claims that the client signs, as a token of its own."""

    nonce: str
    iss: str
    aud: str
    sub: str
    """Fingerprint of the key that is to sign."""
    exp: int


class BoundAsk(Struct, frozen=True, kw_only=True):
    """bound_keypair: sign these claims, or make a new key."""

    challenge: BoundClaims | None = None
    rotate: bool = False


class BoundSolution(Struct, frozen=True, kw_only=True):
    """bound_keypair: the signed claims (compact JWS), or the public key (a line of authorized_keys)."""

    signed: str = ""
    public_key: str = ""


class BoundKeepsake(Struct, frozen=True, kw_only=True):
    """bound_keypair: what the client keeps until it joins again."""

    join_state: str
    bound_public_key: str


def read(data: bytes, shape: type[T]) -> T:
    """Read a document of the other side. Raises BadParameter (API-JOIN-PROOF)."""
    try:
        return decode(data, shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadParameter("API-JOIN-PROOF", problem=str(error)[:120]) from None


def write(document: Struct) -> bytes:
    """Return a document as it is sent."""
    return encode(document)
