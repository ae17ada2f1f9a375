"""Channels and global requests of SSH: the messages of RFC 4254 and of OpenSSH's PROTOCOL, as a client has them.

What is here: bytes to fields and back, every one bounded by its message. What is not: windows, states, and who may
open what.
"""

from __future__ import annotations

from teleport.base.lean import NamedTuple
from teleport.wire.buffer import ProtocolError, Reader, Writer
from teleport.wire.ssh import bad, text_of
from teleport.wire.terminal import Size, Terminal, write_modes

GLOBAL_REQUEST, REQUEST_SUCCESS, REQUEST_FAILURE = 80, 81, 82
OPEN, OPEN_CONFIRMATION, OPEN_FAILURE, WINDOW_ADJUST, DATA, EXTENDED_DATA = 90, 91, 92, 93, 94, 95
EOF, CLOSE, REQUEST, SUCCESS, FAILURE = 96, 97, 98, 99, 100

PROHIBITED, CONNECT_FAILED, UNKNOWN_TYPE, SHORTAGE = 1, 2, 3, 4
"""Reasons of OPEN_FAILURE (RFC 4254 §5.1)."""
STDERR = 1
"""The one type of extended data (RFC 4254 §5.2)."""

SESSION, DIRECT, FORWARDED, X11 = b"session", b"direct-tcpip", b"forwarded-tcpip", b"x11"
DIRECT_LOCAL, FORWARDED_LOCAL = b"direct-streamlocal@openssh.com", b"forwarded-streamlocal@openssh.com"
AGENT = b"auth-agent@openssh.com"
"""Types of channels."""
LISTEN, UNLISTEN = b"tcpip-forward", b"cancel-tcpip-forward"
LISTEN_LOCAL, UNLISTEN_LOCAL = b"streamlocal-forward@openssh.com", b"cancel-streamlocal-forward@openssh.com"
KEEP_ALIVE = b"keepalive@openssh.com"
"""Global requests."""

_HEAD = 9
"""Bytes of DATA before the data: its number, channel and length; EXTENDED_DATA has a type before the length."""


class Opening(NamedTuple):
    """A channel that the other side opens."""

    kind: bytes
    sender: int
    """Its number there."""
    window: int
    packet: int
    """Largest payload of one message that it takes."""
    body: bytes
    """What else stands there, by kind."""


class Confirmation(NamedTuple):
    """A channel of ours is open."""

    channel: int
    sender: int
    window: int
    packet: int


class Asked(NamedTuple):
    """A request; `channel` is -1 for a global one."""

    channel: int
    name: bytes
    wants_reply: bool
    body: bytes


class Origin(NamedTuple):
    """A connection that the other side has accepted for us: where, and from whom."""

    host: str
    port: int
    from_host: str = ""
    from_port: int = 0


def write_open(kind: bytes, sender: int, window: int, packet: int, body: bytes = b"") -> bytes:
    """Ask for a channel (RFC 4254 §5.1)."""
    return bytes(Writer().u8(OPEN).vector32(kind).u32(sender).u32(window).u32(packet).raw(body))


def read_open(message: bytes) -> Opening:
    """Read OPEN. Raises ProtocolError (WIRE-SHORT)."""
    reader = Reader(message)
    reader.u8()
    return Opening(reader.vector32(), reader.u32(), reader.u32(), reader.u32(), reader.rest())


def write_confirmation(channel: int, sender: int, window: int, packet: int) -> bytes:
    """Accept a channel."""
    return bytes(Writer().u8(OPEN_CONFIRMATION).u32(channel).u32(sender).u32(window).u32(packet))


def read_confirmation(message: bytes) -> Confirmation:
    """Read OPEN_CONFIRMATION; what follows by kind is passed over. Raises ProtocolError (WIRE-SHORT)."""
    reader = Reader(message)
    reader.u8()
    return Confirmation(reader.u32(), reader.u32(), reader.u32(), reader.u32())


def write_refusal(channel: int, reason: int, text: str) -> bytes:
    """Refuse a channel."""
    return bytes(Writer().u8(OPEN_FAILURE).u32(channel).u32(reason).vector32(text.encode()).vector32(b""))


def read_refusal(message: bytes) -> tuple[int, int, str]:
    """Return channel, reason and text of OPEN_FAILURE. Raises ProtocolError (WIRE-SHORT)."""
    reader = Reader(message)
    reader.u8()
    return reader.u32(), reader.u32(), text_of(reader.vector32())


def write_adjust(channel: int, size: int) -> bytes:
    """Let the other side send `size` bytes more."""
    return bytes(Writer().u8(WINDOW_ADJUST).u32(channel).u32(size))


def read_adjust(message: bytes) -> tuple[int, int]:
    """Return channel and bytes of WINDOW_ADJUST. Raises ProtocolError (WIRE-SHORT, WIRE-TRAILING)."""
    reader = Reader(message)
    reader.u8()
    found = reader.u32(), reader.u32()
    reader.expect_end()
    return found


def write_data(channel: int, data: bytes | memoryview) -> bytes:
    """Return DATA."""
    return b"".join((bytes((DATA,)), channel.to_bytes(4, "big"), len(data).to_bytes(4, "big"), data))


def read_data(message: bytes) -> tuple[int, int, bytes]:
    """Return channel, type (0 for DATA) and bytes of DATA and EXTENDED_DATA.

    Raises ProtocolError (WIRE-SSH, WIRE-SHORT).
    """
    start = _HEAD if message[0] == DATA else _HEAD + 4
    if len(message) < start:
        raise ProtocolError("WIRE-SHORT", missing=start - len(message))
    channel, size = int.from_bytes(message[1:5], "big"), int.from_bytes(message[start - 4 : start], "big")
    kind = 0 if start == _HEAD else int.from_bytes(message[5:9], "big")
    if len(message) - start != size:
        raise bad("the length of data is not that of its message")
    return channel, kind, message[start:]


def write_short(kind: int, channel: int) -> bytes:
    """Return a message that names a channel and nothing else: EOF, CLOSE, SUCCESS, FAILURE."""
    return bytes(Writer().u8(kind).u32(channel))


def read_short(message: bytes) -> int:
    """Return the channel of such a message. Raises ProtocolError (WIRE-SHORT, WIRE-TRAILING)."""
    reader = Reader(message)
    reader.u8()
    channel = reader.u32()
    reader.expect_end()
    return channel


def write_request(channel: int, name: bytes, body: bytes = b"", *, wants_reply: bool) -> bytes:
    """Return a request on a channel (RFC 4254 §5.4)."""
    return bytes(Writer().u8(REQUEST).u32(channel).vector32(name).u8(wants_reply).raw(body))


def write_global(name: bytes, body: bytes = b"", *, wants_reply: bool) -> bytes:
    """Return a global request (RFC 4254 §4)."""
    return bytes(Writer().u8(GLOBAL_REQUEST).vector32(name).u8(wants_reply).raw(body))


def read_request(message: bytes) -> Asked:
    """Read REQUEST or GLOBAL_REQUEST. Raises ProtocolError (WIRE-SHORT)."""
    reader = Reader(message)
    channel = reader.u32() if reader.u8() == REQUEST else -1
    return Asked(channel, reader.vector32(), bool(reader.u8()), reader.rest())


# Bodies by kind


def terminal(wanted: Terminal) -> bytes:
    """Return the body of `pty-req` (§6.2)."""
    return bytes(
        Writer().vector32(wanted.name.encode()).raw(window(wanted.size)).vector32(write_modes(wanted.modes))
    )  # fmt: skip


def window(size: Size) -> bytes:
    """Return the body of `window-change` (§6.7)."""
    return bytes(Writer().u32(size.columns).u32(size.rows).u32(0).u32(0))


def variable(name: str, value: str) -> bytes:
    """Return the body of `env` (§6.4)."""
    return bytes(Writer().vector32(name.encode()).vector32(value.encode()))


def text(value: str | bytes) -> bytes:
    """Return the body of `exec`, `subsystem` and `signal`: one string (§6.5, §6.9)."""
    return bytes(Writer().vector32(value.encode() if isinstance(value, str) else value))


def read_status(body: bytes) -> int:
    """Return the number in `exit-status` (§6.10). Raises ProtocolError (WIRE-SHORT, WIRE-TRAILING)."""
    reader = Reader(body)
    number = reader.u32()
    reader.expect_end()
    return number


def read_signal(body: bytes) -> str:
    """Return the name in `exit-signal`, without SIG. Raises ProtocolError (WIRE-SHORT, WIRE-TRAILING)."""
    reader = Reader(body)
    name = text_of(reader.vector32())
    reader.u8(), reader.vector32(), reader.vector32()
    reader.expect_end()
    return name


def direct(host: str, port: int, from_host: str, from_port: int) -> bytes:
    """Return the body of an opening `direct-tcpip` (§7.2)."""
    return bytes(Writer().vector32(host.encode()).u32(port).vector32(from_host.encode()).u32(from_port))


def direct_local(path: str) -> bytes:
    """Return the body of an opening `direct-streamlocal@openssh.com` (OpenSSH, PROTOCOL 2.4)."""
    return bytes(Writer().vector32(path.encode()).vector32(b"").u32(0))


def address(host: str, port: int) -> bytes:
    """Return the body of `tcpip-forward` and `cancel-tcpip-forward` (§7.1)."""
    return bytes(Writer().vector32(host.encode()).u32(port))


def read_port(body: bytes) -> int:
    """Return the port that was chosen for `tcpip-forward` with port 0. Raises ProtocolError as `read_status`."""
    return read_status(body)


def read_forwarded(body: bytes) -> Origin:
    """Read the body of an opening `forwarded-tcpip` (§7.2). Raises ProtocolError (WIRE-SHORT, WIRE-TRAILING)."""
    reader = Reader(body)
    found = Origin(text_of(reader.vector32()), reader.u32(), text_of(reader.vector32()), reader.u32())
    reader.expect_end()
    return found


def read_forwarded_local(body: bytes) -> str:
    """Return the path in an opening `forwarded-streamlocal@openssh.com` . Raises as above."""
    reader = Reader(body)
    path = text_of(reader.vector32())
    reader.vector32()
    reader.expect_end()
    return path


def x11(single: bool, protocol: str, cookie: str, screen: int) -> bytes:
    """Return the body of `x11-req` (§6.3.1)."""
    return bytes(Writer().u8(single).vector32(protocol.encode()).vector32(cookie.encode()).u32(screen))
