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
    """iam: words that the proof must repeat."""

    challenge: str


class StsRequest(Struct, frozen=True, kw_only=True):
    """iam: a signed request to AWS, as it would be sent: head and body."""

    request: str


def read(data: bytes, shape: type[T]) -> T:
    """Read a document of the other side. Raises BadParameter (API-JOIN-PROOF)."""
    try:
        return decode(data, shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadParameter("API-JOIN-PROOF", problem=str(error)[:120]) from None


def write(document: Struct) -> bytes:
    """Return a document as it is sent."""
    return encode(document)
