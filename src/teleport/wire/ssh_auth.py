"""Sign-in with a key over SSH: the messages of RFC 4252, as a client writes and reads them.

What is here: bytes. What is not: the signature itself, or the order in which messages may come.
"""

from __future__ import annotations

from teleport.base.lean import NamedTuple
from teleport.wire.buffer import Reader, Writer
from teleport.wire.ssh import SERVICE_ACCEPT, SERVICE_REQUEST, bad, text_of

REQUEST, FAILURE, SUCCESS, BANNER = 50, 51, 52, 53
SIGN_IN, CONNECTION = b"ssh-userauth", b"ssh-connection"
"""Names of the two services (RFC 4250 §4.7)."""


class Failure(NamedTuple):
    """A request to sign in was refused."""

    continues: tuple[str, ...]
    """Methods that may go on."""
    partial: bool
    """Whether what was sent was good, but not enough."""


def write_service_request() -> bytes:
    """Ask for sign-in."""
    return bytes(Writer().u8(SERVICE_REQUEST).vector32(SIGN_IN))


def read_service_accept(message: bytes) -> None:
    """Raise ProtocolError (WIRE-SSH, WIRE-SHORT, WIRE-TRAILING) unless sign-in was accepted."""
    reader = Reader(message)
    kind, name = reader.u8(), reader.vector32()
    reader.expect_end()
    if kind != SERVICE_ACCEPT or name != SIGN_IN:
        raise bad("another service than sign-in was accepted")


def key_request(user: str, algorithm: bytes, key: bytes) -> bytes:
    """Return the request without its signature: with the session id before it, this is what is signed (§7)."""
    writer = Writer().u8(REQUEST).vector32(user.encode()).vector32(CONNECTION).vector32(b"publickey").u8(1)
    return bytes(writer.vector32(algorithm).vector32(key))


def with_signature(request: bytes, signature: bytes) -> bytes:
    """Return the whole request."""
    return request + bytes(Writer().vector32(signature))


def read_failure(message: bytes) -> Failure:
    """Read FAILURE. Raises ProtocolError (WIRE-SHORT, WIRE-TRAILING)."""
    reader = Reader(message)
    reader.u8()
    names, partial = text_of(reader.vector32()), bool(reader.u8())
    reader.expect_end()
    return Failure(tuple(names.split(",")) if names else (), partial)


def read_banner(message: bytes) -> str:
    """Return the text of BANNER (§5.4). Raises ProtocolError (WIRE-SHORT, WIRE-TRAILING)."""
    reader = Reader(message)
    reader.u8()
    text = text_of(reader.vector32())
    reader.vector32()
    reader.expect_end()
    return text
