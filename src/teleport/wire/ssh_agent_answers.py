"""The SSH agent protocol, the agent's side (draft-miller-ssh-agent): what a client asks, and the answers.

What is here: listing keys and signing, which is all that an agent serves whose keys are its own. What is not:
frames and the client's side (`ssh_agent`), the socket, the keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from teleport.wire.buffer import ProtocolError, Reader, Writer
from teleport.wire.ssh_agent import (
    FAILURE,
    IDENTITIES_ANSWER,
    REQUEST_IDENTITIES,
    SIGN_REQUEST,
    SIGN_RESPONSE,
    Identity,
)


class Listing(NamedTuple):
    """All keys are asked for (section 3.5)."""


class Signing(NamedTuple):
    """A signature is asked for (section 3.6)."""

    blob: bytes
    """Public key or certificate, as it was listed."""
    data: bytes


def read(body: bytes) -> Listing | Signing | None:
    """Return what a message asks for; None for what such an agent does not do. Raises ProtocolError (WIRE-AGENT)."""
    reader = Reader(body)
    try:
        kind = reader.u8()
        if kind == REQUEST_IDENTITIES:
            reader.expect_end()
            return Listing()
        if kind != SIGN_REQUEST:
            return None
        asked = Signing(reader.vector32(), reader.vector32())
        reader.u32()  # flags: which hash an RSA key is to use
        reader.expect_end()
    except ProtocolError as error:
        raise ProtocolError("WIRE-AGENT", problem=error.what) from None
    return asked


def identities(found: Sequence[Identity]) -> bytes:
    """Return the answer to a listing."""
    writer = Writer().u8(IDENTITIES_ANSWER).u32(len(found))
    for identity in found:
        writer.vector32(identity.blob).vector32(identity.comment.encode("utf-8", "replace"))
    return _message(writer)


def signature(blob: bytes) -> bytes:
    """Return the answer to a signing: an SSH signature blob."""
    return _message(Writer().u8(SIGN_RESPONSE).vector32(blob))


def refusal() -> bytes:
    """Return the answer to everything else."""
    return _message(Writer().u8(FAILURE))


def _message(body: Writer) -> bytes:
    return bytes(Writer().vector32(bytes(body)))
