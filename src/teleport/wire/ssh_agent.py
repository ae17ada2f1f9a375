"""The SSH agent protocol, a client's side (draft-miller-ssh-agent): one request, one answer.

What is here: the requests to list, add and remove keys and to sign, and reading the answers. What is not: the socket
(`client.agent`), keys of other kinds than Ed25519 and ECDSA P-256 with a certificate, locking, smart cards.

Frame: 32-bit length, type, contents (section 3). Strings have a 32-bit length (RFC 4251 section 5).
"""

from __future__ import annotations

from typing import NamedTuple

from teleport.wire.buffer import ProtocolError, Reader, Writer

FRAME_LIMIT = 256 * 1024
"""Most bytes of a message, as OpenSSH has it (AGENT_MAX_LEN)."""
IDENTITY_LIMIT = 2048
"""Most keys of a list."""
LONGEST_LIFE = (1 << 32) - 1

FAILURE, SUCCESS = 5, 6
REQUEST_IDENTITIES, IDENTITIES_ANSWER = 11, 12
SIGN_REQUEST, SIGN_RESPONSE = 13, 14
ADD_IDENTITY, REMOVE_IDENTITY, ADD_ID_CONSTRAINED = 17, 18, 25
_CONSTRAIN_LIFETIME = 1


class AgentRefused(ProtocolError):
    """The agent answered that it does not do what was asked (section 3.2); it says no reason. Code WIRE-AGENT."""


class Identity(NamedTuple):
    """A key that an agent has."""

    blob: bytes
    """Public key or certificate."""
    comment: str


def frame(data: bytes) -> tuple[bytes, int]:
    """Return the body of the message at the beginning of `data`, and the bytes that it takes.

    Raises NeedMore while it is incomplete, ProtocolError (WIRE-AGENT) for a length that is none.
    """
    reader = Reader(data, complete=False)
    length = reader.u32()
    if not 0 < length <= FRAME_LIMIT:
        raise _bad(f"its length is {length}")
    return reader.take(length), reader.position


def list_identities() -> bytes:
    """Return the request for all keys (section 3.5)."""
    return _message(Writer().u8(REQUEST_IDENTITIES))


def read_identities(body: bytes) -> list[Identity]:
    """Read the answer to `list_identities`. Raises AgentRefused, ProtocolError (WIRE-AGENT)."""
    reader = _answer(body, IDENTITIES_ANSWER)
    try:
        count = reader.u32()
        if count > IDENTITY_LIMIT:
            raise _bad(f"it lists {count} keys")
        found = [Identity(reader.vector32(), reader.vector32().decode("utf-8", "replace")) for _ in range(count)]
        reader.expect_end()
    except ProtocolError as error:
        raise (error if error.code == "WIRE-AGENT" else _bad(error.what)) from None
    return found


def add_ed25519(certificate: bytes, public: bytes, seed: bytes, *, comment: str, lifetime: int) -> bytes:
    """Return the request to add an Ed25519 key with its certificate (sections 3.2.3 and 3.2.5).

    `public` and `seed` have 32 bytes each. The agent forgets the key after `lifetime` seconds.
    """
    fields = Writer().vector32(certificate).vector32(public).vector32(seed + public)
    return _add(b"ssh-ed25519-cert-v01@openssh.com", fields, comment, lifetime)


def add_p256(certificate: bytes, scalar: int, *, comment: str, lifetime: int) -> bytes:
    """Return the request to add an ECDSA P-256 key with its certificate (sections 3.2.2 and 3.2.5)."""
    number = scalar.to_bytes(33, "big").lstrip(b"\0")
    number = b"\0" + number if number[:1] >= b"\x80" else number
    fields = Writer().vector32(certificate).vector32(number)
    return _add(b"ecdsa-sha2-nistp256-cert-v01@openssh.com", fields, comment, lifetime)


def remove(blob: bytes) -> bytes:
    """Return the request to forget one key (section 3.4)."""
    return _message(Writer().u8(REMOVE_IDENTITY).vector32(blob))


def sign(blob: bytes, data: bytes) -> bytes:
    """Return the request to sign with a key that `list_identities` has named (section 3.6)."""
    return _message(Writer().u8(SIGN_REQUEST).vector32(blob).vector32(data).u32(0))


def read_signature(body: bytes) -> bytes:
    """Read the answer to `sign`: an SSH signature blob. Raises AgentRefused, ProtocolError (WIRE-AGENT)."""
    reader = _answer(body, SIGN_RESPONSE)
    try:
        signature = reader.vector32()
        reader.expect_end()
    except ProtocolError as error:
        raise _bad(error.what) from None
    return signature


def read_success(body: bytes) -> None:
    """Read the answer to `add_...` and `remove`. Raises AgentRefused, ProtocolError (WIRE-AGENT)."""
    if _answer(body, SUCCESS).remaining:
        raise _bad("something follows a success")


def _add(kind: bytes, fields: Writer, comment: str, lifetime: int) -> bytes:
    writer = Writer().u8(ADD_ID_CONSTRAINED).vector32(kind).raw(bytes(fields))
    writer.vector32(comment.encode("utf-8", "replace"))
    return _message(writer.u8(_CONSTRAIN_LIFETIME).u32(min(max(lifetime, 1), LONGEST_LIFE)))


def _message(body: Writer) -> bytes:
    return bytes(Writer().vector32(bytes(body)))


def _answer(body: bytes, wanted: int) -> Reader:
    kind = body[0] if body else -1
    if kind == FAILURE:
        raise AgentRefused("WIRE-AGENT", problem="the agent refused what was asked")
    if kind != wanted:
        raise _bad(f"a message of type {kind} came where {wanted} was due")
    return Reader(body[1:])


def _bad(problem: str) -> ProtocolError:
    return ProtocolError("WIRE-AGENT", problem=problem)
