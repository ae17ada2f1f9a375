"""WebSocket frames (RFC 6455, section 5), as the carrier of a byte stream.

What is here: frames of both sides, masked and not, fragments, pings and the closing message. Bytes are handed on as
they come: where messages begin and end means nothing to a stream, so a frame of any size takes no room. What is not:
the handshake (`wire.connection_upgrade`), texts and extensions, which are refused.

The closing message ends one direction. The RFC lets the other side finish what it is sending before it answers
with its own; both of ours use that, so that a stream can be half closed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from teleport.wire.buffer import NeedMore, ProtocolError, Reader, Writer
from teleport.wire.framing import Data, End, Event, Ping

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
NORMAL = 1000
"""Status of a closing message without complaint (section 7.4.1)."""
PING_PAYLOAD = b"teleport"
_FINAL, _MASKED, _CONTROL = 0x80, 0x80, 0x08
_LONGEST_CONTROL = 125


class WebSocketFraming:
    """One side of a connection; see `wire.framing.Framing`."""

    carries_end = True

    def __init__(self, *, mask: Callable[[int], bytes] | None) -> None:
        """`mask` gives unpredictable bytes for the masks of a client; None is the server's side."""
        self._mask = mask
        self._rest = b""  # the beginning of a head or of a control frame
        self._left = 0  # bytes of the current data frame that are still to come
        self._key = b""
        self._fragmented = False
        self._ended = False

    def feed(self, data: bytes) -> list[Event]:
        """See Framing.feed; ProtocolError is WIRE-WEBSOCKET. What follows a closing message is passed over."""
        whole = self._rest + data
        reader, position = Reader(whole, complete=False), 0
        events: list[Event] = []
        with contextlib.suppress(NeedMore):
            while reader.remaining and not self._ended:
                events += self._step(reader)
                position = reader.position
        self._rest = b"" if self._ended else whole[position:]
        return events

    def data(self, payload: bytes) -> bytes:
        """See Framing.data."""
        return self._frame(BINARY, payload)

    def ping(self) -> bytes:
        """See Framing.ping."""
        return self._frame(PING, PING_PAYLOAD)

    def pong(self, payload: bytes) -> bytes:
        """See Framing.pong."""
        return self._frame(PONG, payload)

    def end(self) -> bytes:
        """See Framing.end."""
        return self._frame(CLOSE, NORMAL.to_bytes(2, "big"))

    def _frame(self, opcode: int, payload: bytes) -> bytes:
        size, writer = len(payload), Writer().u8(_FINAL | opcode)
        masked = 0 if self._mask is None else _MASKED
        if size < 126:
            writer.u8(masked | size)
        elif size < 1 << 16:
            writer.u8(masked | 126).u16(size)
        else:
            writer.u8(masked | 127).u64(size)
        if self._mask is None:
            return bytes(writer) + payload
        key = self._mask(4)
        return bytes(writer) + key + apply_mask(payload, key)

    def _step(self, reader: Reader) -> list[Event]:
        """Take the next thing. Raises NeedMore, and then nothing has changed."""
        if self._left:
            return [Data(self._continue(reader.take(min(self._left, reader.remaining))))]
        opcode, size = self._read_head(reader)
        if opcode & _CONTROL:
            return self._control(opcode, apply_mask(reader.take(size), self._key))
        self._left = size
        return []

    def _read_head(self, reader: Reader) -> tuple[int, int]:
        first, second = reader.u8(), reader.u8()
        final, opcode, size = bool(first & _FINAL), first & 0x0F, second & 0x7F
        if first & 0x70:
            raise _bad("a frame uses an extension, and none was agreed on")
        if bool(second & _MASKED) is not (self._mask is None):
            raise _bad("a client's frame is not masked" if self._mask is None else "a server's frame is masked")
        if opcode & _CONTROL:
            if size > _LONGEST_CONTROL or not final:
                raise _bad("a control frame is in parts or too long")
        else:
            size = _long_size(reader, size)
        key = reader.take(4) if self._mask is None else b""
        self._check_order(opcode, final)
        self._key = key
        return opcode, size

    def _check_order(self, opcode: int, final: bool) -> None:
        if opcode & _CONTROL:
            if opcode not in (CLOSE, PING, PONG):
                raise _bad("a frame is of a kind that does not exist")
            return
        if opcode != (CONTINUATION if self._fragmented else BINARY):
            raise _bad("a frame is a text, of no known kind, or stands between the parts of a message")
        self._fragmented = not final

    def _continue(self, part: bytes) -> bytes:
        self._left -= len(part)
        plain = apply_mask(part, self._key)
        turn = len(part) % 4
        self._key = self._key[turn:] + self._key[:turn]
        return plain

    def _control(self, opcode: int, payload: bytes) -> list[Event]:
        if opcode == PING:
            return [Ping(payload)]
        if opcode == PONG:
            return []
        if len(payload) == 1:
            raise _bad("a closing message has half a status")
        self._ended = True
        status = int.from_bytes(payload[:2], "big") if payload else NORMAL
        words = payload[2:].decode(errors="replace")
        return [End("" if status == NORMAL else f"{status} {words}".strip())]


def apply_mask(data: bytes, key: bytes) -> bytes:
    """Return bytes with a mask laid on or taken off (section 5.3); an empty key masks nothing."""
    size = len(data)
    if not key or not size:
        return data
    pad = (key * (size // 4 + 1))[:size]
    # One number for all bytes: a loop over them would be a hundred times slower.
    return (int.from_bytes(data, "little") ^ int.from_bytes(pad, "little")).to_bytes(size, "little")


def _long_size(reader: Reader, size: int) -> int:
    if size < 126:
        return size
    longer = reader.u16() if size == 126 else reader.u64()
    if longer < (126 if size == 126 else 1 << 16) or longer >> 63:
        raise _bad("the size of a frame is not written as it must be")
    return longer


def _bad(problem: str) -> ProtocolError:
    return ProtocolError("WIRE-WEBSOCKET", problem=problem)
