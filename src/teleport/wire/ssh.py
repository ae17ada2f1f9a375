"""SSH before anything is encrypted: the version line, offers of algorithms, ends of connections (RFC 4253).

What is here: bytes to names and back, and what two offers agree on. What is not: keys, ciphers, or what may come
when (`client.ssh_client`). Sign-in is in `ssh_auth`, channels in `ssh_channel`.
"""

from __future__ import annotations

from teleport.base.lean import NamedTuple, Sequence
from teleport.wire.buffer import NeedMore, ProtocolError, Reader, Writer

DISCONNECT, IGNORE, UNIMPLEMENTED, DEBUG, SERVICE_REQUEST, SERVICE_ACCEPT, EXT_INFO = 1, 2, 3, 4, 5, 6, 7
KEXINIT, NEWKEYS, KEX_INIT, KEX_REPLY = 20, 21, 30, 31
"""Numbers of messages (RFC 4253 §12; RFC 5656 §7.1 for the two of the key exchange)."""
FIRST_OF_SERVICES = 50
"""Numbers from here belong to sign-in and channels, and rest while keys are exchanged (RFC 4253 §7.1)."""

BY_APPLICATION, PROTOCOL_ERROR, KEY_EXCHANGE_FAILED, HOST_KEY_NOT_VERIFIABLE = 11, 2, 3, 9
"""Reasons of DISCONNECT (RFC 4253 §11.1)."""

STRICT_CLIENT, STRICT_SERVER = "kex-strict-c-v00@openssh.com", "kex-strict-s-v00@openssh.com"
"""How each side says that it counts packets anew with each key (OpenSSH, PROTOCOL 1.10; against CVE-2023-48795)."""

_ANY, _OURS = b"SSH-", b"SSH-2.0-"
_LINE, _BEFORE = 255, 4096
"""Longest version line with its end (RFC 4253 §4.2), and most bytes until it has come."""
_NAMES, _NAME = 256, 64
_TEXT = 1000


def read_version(data: bytes) -> tuple[bytes, int]:
    """Return a server's version line without its end, and how many bytes it takes with all lines before it.

    Raises NeedMore, ProtocolError (WIRE-SSH).
    """
    start = 0 if data.startswith(_ANY) else data.find(b"\n" + _ANY, 0, _BEFORE) + 1
    end = data.find(b"\n", start, _BEFORE) if start or data.startswith(_ANY) else -1
    if end >= 0:
        return _checked_version(data[start:end].removesuffix(b"\r")), end + 1
    if len(data) >= _BEFORE:
        raise bad(f"no version line within {_BEFORE} bytes")
    raise NeedMore(1)


def _checked_version(line: bytes) -> bytes:
    if not line.startswith(_OURS) or len(line) > _LINE - 2 or not line.isascii() or not line.decode().isprintable():
        raise bad("the version line is not one of SSH 2.0")
    return line


class Offer(NamedTuple):
    """The algorithms that one side would use, best first, and what it says about them (RFC 4253 §7.1)."""

    kex: tuple[str, ...]
    host_keys: tuple[str, ...]
    ciphers_out: tuple[str, ...]
    """From the client to the server, like the other pairs."""
    ciphers_in: tuple[str, ...]
    macs_out: tuple[str, ...] = ()
    macs_in: tuple[str, ...] = ()
    compressions_out: tuple[str, ...] = ("none",)
    compressions_in: tuple[str, ...] = ("none",)
    languages_out: tuple[str, ...] = ()
    languages_in: tuple[str, ...] = ()
    guessed: bool = False
    """Whether the first message of the best exchange follows at once."""


class Agreement(NamedTuple):
    """What both sides will use."""

    kex: str
    host_key: str
    cipher_out: str
    cipher_in: str
    wrong_guess: bool
    """Whether the next message of the server belongs to an exchange that does not take place."""


def write_offer(offer: Offer, cookie: bytes) -> bytes:
    """Return KEXINIT. Raises ProtocolError (WIRE-RANGE)."""
    writer = Writer().u8(KEXINIT).raw(cookie)
    for names in (
        offer.kex, offer.host_keys, offer.ciphers_out, offer.ciphers_in, offer.macs_out, offer.macs_in,
        offer.compressions_out, offer.compressions_in, offer.languages_out, offer.languages_in,
    ):  # fmt: skip
        writer.vector32(",".join(names).encode())
    return bytes(writer.u8(offer.guessed).u32(0))


def read_offer(message: bytes) -> Offer:
    """Read KEXINIT. Raises ProtocolError (WIRE-SSH, WIRE-SHORT, WIRE-TRAILING)."""
    reader = Reader(message)
    reader.take(1 + 16)
    offer = Offer(
        _names(reader), _names(reader), _names(reader), _names(reader), _names(reader), _names(reader),
        _names(reader), _names(reader), _names(reader), _names(reader), bool(reader.u8()),
    )  # fmt: skip
    reader.u32()
    reader.expect_end()
    return offer


def _names(reader: Reader) -> tuple[str, ...]:
    data = reader.vector32()
    names = tuple(data.decode("ascii", "replace").split(",")) if data else ()
    if len(names) > _NAMES or any(not 0 < len(name) <= _NAME or not name.isprintable() for name in names):
        raise bad("a list of algorithms is not one of names")
    return names


def agree(ours: Offer, theirs: Offer) -> Agreement:
    """Return what a client with `ours` and a server with `theirs` use (RFC 4253 §7.1). Raises ProtocolError (WIRE-SSH).

    Our ciphers all authenticate what they encrypt, so that there is no MAC to agree on; we never compress.
    """
    for mine, other in (
        (ours.compressions_out, theirs.compressions_out), (ours.compressions_in, theirs.compressions_in),
    ):  # fmt: skip
        _first("compression", mine, other)
    return Agreement(
        _first("key exchange", ours.kex, theirs.kex), _first("host key", ours.host_keys, theirs.host_keys),
        _first("cipher", ours.ciphers_out, theirs.ciphers_out), _first("cipher", ours.ciphers_in, theirs.ciphers_in),
        theirs.guessed and (theirs.kex[:1] != ours.kex[:1] or theirs.host_keys[:1] != ours.host_keys[:1]),
    )  # fmt: skip


def _first(what: str, ours: Sequence[str], theirs: Sequence[str]) -> str:
    for name in ours:
        if name in theirs:
            return name
    raise bad(f"no {what} in common; the other side offers {','.join(theirs)[:200] or 'none'}")


def write_disconnect(reason: int, text: str) -> bytes:
    """Return DISCONNECT."""
    return bytes(Writer().u8(DISCONNECT).u32(reason).vector32(text.encode()).vector32(b""))


def read_disconnect(message: bytes) -> tuple[int, str]:
    """Return reason and text of DISCONNECT. Old programs leave out the language. Raises ProtocolError (WIRE-SHORT)."""
    reader = Reader(message)
    reader.u8()
    return reader.u32(), text_of(reader.vector32())


def text_of(data: bytes) -> str:
    """Return what the other side wants a person to read, bounded. It may hold control characters."""
    return data[:_TEXT].decode(errors="replace")


def bad(problem: str) -> ProtocolError:
    """Return the error of bytes that are no SSH, or of SSH that is not allowed at this point."""
    return ProtocolError("WIRE-SSH", problem=problem)
