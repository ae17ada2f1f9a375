"""The way of SSH packets between transport and channels, for ciphers that authenticate by themselves.

asyncssh's own way is kept for key exchange, and for ciphers with a separate MAC. What differs from it: no empty message
before each packet (it hides the chaining of CBC, which is not offered; with AES-CTR asyncssh still sends it), a key
is set up once, received packets are opened where they lie, data of packets in a row goes straight to its channel as
one piece, output of one burst is one write, a window opens without ceremony, nothing is put into words for a log that
nobody keeps, and a peer cannot make us hold more than BACKLOG while one of its packets is being decided. Private names
used stand in `ssh_private`.
"""

from __future__ import annotations

import functools
import inspect
import os
import threading
from typing import Any

from asyncssh.channel import SSHServerChannel
from asyncssh.connection import SSHServerConnection
from asyncssh.constants import (
    DISC_PROTOCOL_ERROR,
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EXTENDED_DATA,
    MSG_CHANNEL_FIRST,
    MSG_CHANNEL_LAST,
    MSG_CHANNEL_WINDOW_ADJUST,
    MSG_DEBUG,
    MSG_KEX_FIRST,
    MSG_KEX_LAST,
    MSG_NEWKEYS,
    MSG_SERVICE_ACCEPT,
    MSG_SERVICE_REQUEST,
    MSG_UNIMPLEMENTED,
    MSG_USERAUTH_BANNER,
    MSG_USERAUTH_FIRST,
    MSG_USERAUTH_LAST,
)
from asyncssh.misc import MACError, ProtocolError
from asyncssh.packet import PacketDecodeError, SSHPacket, String, UInt32

from teleport.net.ssh_ciphers import LENGTH, TAG, PacketCipher, take_over

BACKLOG = 1024 * 1024
"""Bytes of a peer that wait, while an earlier packet of it is being decided, before no more are read."""
UNSENT = 512 * 1024
"""Bytes for the carrier that wait before sessions are held. What a busy command writes at once is half of it: held and
released for each such piece, they would take a quarter longer."""
PADDING = 4
"""Bytes of padding at least (RFC 4253 §6)."""
MALFORMED = (PacketDecodeError, UnicodeError)
"""What asyncssh raises, in places where it does not expect it, for a message that is cut or has no text where one
belongs: the peer's fault, not ours."""
BURST = 512 * 1024
"""Bytes for the carrier that are put together before they are sent."""
MOST_DATA = 32 * 1024
"""Bytes of data in one message at most: what every client takes."""
_DATA_HEAD = 9
"""Bytes of a message of channel data before the data: type, channel, length."""


class _Shared(threading.local):
    """Where the connections of one thread put together what they send, one after the other."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(BURST))
        self._plain = memoryview(bytearray(MOST_DATA + 64))

    def grow(self, size: int) -> None:
        """Make room for one message of that size."""
        if size > len(self.view):
            self.view = memoryview(bytearray(size))

    def lay(self, head: bytes, size: int, block: int) -> tuple[memoryview, memoryview]:
        """Lay out a plain packet for `size` bytes of data behind `head`; return it, and the place of the data."""
        begin = 1 + len(head)
        end = begin + size
        padding = _padding(end, block)
        plain = self._plain
        plain[0] = padding
        plain[1:begin] = head
        plain[end : end + padding] = os.urandom(padding)
        return plain[: end + padding], plain[begin:end]


def _padding(size: int, block: int) -> int:
    """Return how many bytes follow `size` others in a plain packet."""
    return PADDING + (-size - PADDING) % block


_shared = _Shared()


class PacketConnection(SSHServerConnection):
    """A connection that takes its packets this way."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._sealed_for: Any = None
        self._sealed_by: PacketCipher | None = None
        self._opened_for: Any = None
        self._opened_by: PacketCipher | None = None
        self._pieces: list[bytes] = []
        """What has come of a packet that is not whole, behind the input buffer."""
        self._pieces_size = 0
        self._parsed = 0
        """How much of the input buffer has been taken."""
        self._lacking = 0
        """Bytes without which there is no packet to take; 0: whatever comes is looked at."""
        self._stopped = False
        self._heard = 0.0
        self._bursting = False
        self._filled = 0
        """Bytes of a burst that stand in what the thread's connections share."""

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        transport.set_write_buffer_limits(high=UNSENT)
        super().connection_made(transport)

    def log_sent_packet(self, *arguments: Any, **named: Any) -> None:
        """asyncssh would describe each packet, and only then ask whether anybody wants to know."""

    def log_received_packet(self, *arguments: Any, **named: Any) -> None:
        """As above."""

    def _reset_keepalive_timer(self) -> None:
        """The client was heard. Setting the timer again costs as much as a packet: a second is near enough."""
        if self._auth_complete and (now := self._loop.time()) - self._heard >= 1.0:
            self._heard = now
            super()._reset_keepalive_timer()

    def end_as_malformed(self, error: Exception) -> None:
        """End the connection because of a message that cannot be read."""
        self._send_disconnect(DISC_PROTOCOL_ERROR, "A message cannot be read", "")
        self._force_close(error)

    # -- out ----------------------------------------------------------------------------------------------

    def _sealer(self) -> PacketCipher | None:
        """What protects the next packet; None where asyncssh does. A new key is a new object of asyncssh's."""
        if self._send_encryption is not self._sealed_for:
            self._sealed_for = self._send_encryption
            self._sealed_by = take_over(self._send_encryption)
        return None if self._compressor else self._sealed_by

    def send_packet(self, pkttype: int, *args: bytes, handler: Any = None) -> None:
        """Send a message, or keep it until it may be sent. Raises nothing of the network's: its end is told."""
        cipher = self._sealer()
        if cipher is None:
            super().send_packet(pkttype, *args, handler=handler)
        elif self._may_send(pkttype):
            self._send_sealed(cipher, pkttype, b"".join((bytes((pkttype,)), *args)))
        else:
            self._deferred_packets.append((pkttype, args))

    def _may_send(self, kind: int) -> bool:
        """Begin a new key exchange when one is due, and say whether a message may go before it is complete."""
        if self._auth_complete and self._kex_complete and self._rekey_due():
            self._send_kexinit()
            self._kexinit_sent = True
        waits = kind > MSG_KEX_LAST or kind in (MSG_DEBUG, MSG_SERVICE_REQUEST, MSG_SERVICE_ACCEPT)
        if waits and not self._kex_complete:
            return False
        if kind == MSG_USERAUTH_BANNER:
            return bool(self._auth_in_progress or self._auth_complete)
        return bool(kind <= MSG_USERAUTH_LAST or self._auth_complete)

    def _rekey_due(self) -> bool:
        if self._rekey_bytes_sent >= self._rekey_bytes:
            return True
        return bool(self._rekey_seconds) and self._loop.time() >= self._rekey_time

    def _send_sealed(self, cipher: PacketCipher, kind: int, *payload: bytes | memoryview) -> None:
        size = 1 + sum(map(len, payload))
        padding = _padding(size, cipher.block)
        plain = b"".join((bytes((padding,)), *payload, os.urandom(padding)))
        cipher.seal(self._send_seq, plain, self._room(LENGTH + len(plain) + TAG))
        if not self._bursting:
            self._send_filled()
        self._send_seq = 0 if kind == MSG_NEWKEYS and self._strict_kex else (self._send_seq + 1) & 0xFFFFFFFF
        if self._kex_complete:
            self._rekey_bytes_sent += size + padding

    def send_data(self, channel: int, kind: int | None, data: memoryview, most: int) -> None:
        """Send data of a channel that is open, of which `kind` is the extended type, with `most` bytes in a message."""
        if kind is None:
            head = bytes((MSG_CHANNEL_DATA,)) + UInt32(channel)
        else:
            head = bytes((MSG_CHANNEL_EXTENDED_DATA,)) + UInt32(channel) + UInt32(kind)
        cipher, most = self._sealer(), min(most, MOST_DATA)
        if cipher is not None and self._may_send(head[0]):
            self._seal_data(cipher, head, data, most)
            return
        for at in range(0, len(data), most):
            self.send_packet(head[0], head[1:], String(bytes(data[at : at + most])))

    def _seal_data(self, cipher: PacketCipher, head: bytes, data: memoryview, most: int) -> None:
        """Seal messages that differ in their data alone: the rest of them is laid out once."""
        laid = 0
        for at in range(0, len(data), most):
            piece = data[at : at + most]
            if len(piece) != laid:
                laid = len(piece)
                packet, place = _shared.lay(head + UInt32(laid), laid, cipher.block)
            place[:] = piece
            cipher.seal(self._send_seq, packet, self._room(LENGTH + len(packet) + TAG))
            self._send_seq = (self._send_seq + 1) & 0xFFFFFFFF
            self._rekey_bytes_sent += len(packet)
        if not self._bursting:
            self._send_filled()

    def begin_burst(self) -> None:
        """What is sent from here on goes to the transport together, at `end_burst`, which comes before anything else
        happens."""
        self._bursting = True

    def end_burst(self) -> None:
        """Hand over what was sent since `begin_burst`."""
        self._bursting = False
        self._send_filled()

    def _room(self, size: int) -> memoryview:
        """Return where the next bytes for the carrier are put together."""
        if self._filled + size > BURST:
            self._send_filled()
            if size > BURST:
                _shared.grow(size)
        begin, self._filled = self._filled, self._filled + size
        return _shared.view[begin : self._filled]

    def _send_filled(self) -> None:
        if self._filled:
            filled, self._filled = self._filled, 0
            self._send(_shared.view[:filled])  # type: ignore[arg-type]  # carriers copy what they cannot send at once

    # -- in -----------------------------------------------------------------------------------------------

    def data_received(self, data: bytes | memoryview, datatype: Any = None) -> None:
        """Take bytes of the carrier, which may be a view that has other contents later. A packet that came in part is
        completed alone; all behind it are taken from where they are."""
        view = memoryview(data)
        while view:
            size = self._lacking - self._pieces_size if self._lacking else len(view)
            if self._lacking or self._inpbuf or not self._takes_views():
                self._pieces.append(bytes(view[:size]))
                self._pieces_size += len(self._pieces[-1])
                if self._pieces_size >= self._lacking:
                    self._recv_data()
            else:
                self._inpbuf = view  # type: ignore[assignment]  # for this moment: see `_forget_parsed`
                self._recv_data()
            view = view[size:]

    def _takes_views(self) -> bool:
        """Whether input goes to our own way of packets, which leaves the buffer when it returns."""
        return self._opened_by is not None and self._recv_encryption is self._opened_for and not self._decompressor

    def _recv_data(self) -> None:
        if self._pieces:
            self._inpbuf = b"".join((self._inpbuf, *self._pieces)) if self._inpbuf else b"".join(self._pieces)
            self._pieces, self._pieces_size = [], 0
        self._lacking = 0
        super()._recv_data()
        self._forget_parsed()
        self._mind_backlog()

    def _forget_parsed(self) -> None:
        self._inpbuf = bytes(self._inpbuf[self._parsed :])
        self._parsed = 0

    def _mind_backlog(self) -> None:
        """Read no more while much waits for a decision; asyncssh would gather without end."""
        transport, much = self._transport, len(self._inpbuf) > BACKLOG
        if transport is not None and much is not self._stopped:
            self._stopped = much
            (transport.pause_reading if much else transport.resume_reading)()

    def _recv_pkthdr(self) -> bool:
        """Take the next packet, head and all; False while it is not whole."""
        if self._recv_encryption is not self._opened_for:
            self._opened_for = self._recv_encryption
            self._opened_by = take_over(self._recv_encryption)
        cipher = self._opened_by
        if cipher is None or self._decompressor:
            self._forget_parsed()
            return super()._recv_pkthdr()
        plain = self._next_packet(cipher)
        while (channel := self._channel_of_data(plain)) is not None:
            plain = self._take_run(cipher, channel, plain)
        if not plain:
            return False
        if plain[1] == MSG_CHANNEL_WINDOW_ADJUST and self._take_adjustment(plain):
            return True
        return self._take_message(plain)

    def _next_packet(self, cipher: PacketCipher) -> bytes:
        """Return the next whole packet, opened; empty while there is none. Raises ProtocolError and MACError."""
        if not self._transport:
            return b""
        begin, number = self._parsed, self._recv_seq
        head = self._inpbuf[begin : begin + LENGTH]
        if len(head) < LENGTH:
            self._lacking = LENGTH - len(head) if head else 0
            return b""
        length = cipher.length(number, head)
        if length > self._max_recv_pktlen or length < cipher.block or length % cipher.block:
            raise ProtocolError("A packet has a length that none has")
        end = begin + LENGTH + length + TAG
        if len(self._inpbuf) < end:
            self._lacking = end - len(self._inpbuf)
            return b""
        plain = cipher.open(number, head, memoryview(self._inpbuf)[begin + LENGTH : end])
        if plain is None:
            raise MACError("A packet is not genuine")
        if not PADDING <= plain[0] <= length - 2:
            raise ProtocolError("A packet has a padding that none has")
        self._parsed = end
        return plain

    def _channel_of_data(self, plain: bytes) -> PacketChannel | None:
        """Return whose data a packet has; None for other packets, and where asyncssh is to say what is wrong."""
        if len(plain) <= _DATA_HEAD or plain[1] != MSG_CHANNEL_DATA or not self._auth_complete:
            return None
        channel = self._channels.get(int.from_bytes(plain[2:6], "big"))
        whole = len(plain) - plain[0] - 1 - _DATA_HEAD == int.from_bytes(plain[6:10], "big")
        return channel if whole and isinstance(channel, PacketChannel) else None

    def _take_run(self, cipher: PacketCipher, channel: PacketChannel, plain: bytes) -> bytes:
        """Hand on data of a channel: that of all packets which are whole and have no other between them. Return the
        next packet, or nothing."""
        run, size, to, room = list[memoryview](), 0, plain[1:6], channel.room()
        try:
            while plain[1:6] == to and self._channel_of_data(plain) is channel:
                data = memoryview(plain)[1 + _DATA_HEAD : len(plain) - plain[0]]
                size += len(data)
                if size > room:
                    raise ProtocolError("Window exceeded")
                run.append(data)
                self._recv_seq = (self._recv_seq + 1) & 0xFFFFFFFF
                plain = self._next_packet(cipher)
        finally:
            self._auth_final = True
            channel.take_data(b"".join(run))
        return plain if self._transport else b""

    def _take_adjustment(self, plain: bytes) -> bool:
        """Open the window of a channel: OpenSSH's client does it for each three packets. False as in `_take_data`."""
        channel = self._channels.get(int.from_bytes(plain[2:6], "big"))
        if not self._auth_complete or not isinstance(channel, PacketChannel) or len(plain) - plain[0] != 1 + _DATA_HEAD:
            return False
        self._auth_final = True
        self._recv_seq = (self._recv_seq + 1) & 0xFFFFFFFF
        channel.take_adjustment(int.from_bytes(plain[6:10], "big"))
        return True

    def _take_message(self, plain: bytes) -> bool:
        """Hand a message to who waits for it, as asyncssh's `_recv_packet` does once encryption is on."""
        packet, number = SSHPacket(plain[1 : -plain[0]]), self._recv_seq
        kind = packet.get_byte()
        handler = self._handler_of(kind, packet)
        if handler is not None:
            try:
                result: Any = handler.process_packet(kind, number, packet)
            except PacketDecodeError as error:
                raise ProtocolError(str(error)) from None
            if inspect.isawaitable(result):
                self._recv_handler = _nothing_until_decided
                decided = functools.partial(self._finish_recv_packet, kind, number, is_async=True)
                self.create_task(result).add_done_callback(decided)
                return False
            if not result:
                self.send_packet(MSG_UNIMPLEMENTED, UInt32(number))
        self._finish_recv_packet(kind, number)
        return True

    def _handler_of(self, kind: int, packet: SSHPacket) -> Any:
        """Return who takes a message; None for one that is passed over. Raises ProtocolError where none may come."""
        if MSG_KEX_FIRST <= kind <= MSG_KEX_LAST:
            if self._kex is None:
                raise ProtocolError("Key exchange not in progress")
            skipped, self._ignore_first_kex = self._ignore_first_kex, False
            return None if skipped else self._kex
        if MSG_USERAUTH_FIRST <= kind <= MSG_USERAUTH_LAST:
            if self._auth is None:
                raise ProtocolError("Authentication not in progress")
            return self._auth
        if kind > MSG_USERAUTH_LAST and not self._auth_complete:
            raise ProtocolError("Invalid request before authentication was complete")
        if MSG_CHANNEL_FIRST <= kind <= MSG_CHANNEL_LAST:
            return self._channel_of(packet)
        return self

    def _channel_of(self, packet: SSHPacket) -> Any:
        try:
            return self._channels[packet.get_uint32()]
        except (PacketDecodeError, KeyError):
            raise ProtocolError("A message names no channel that is open") from None


def _nothing_until_decided() -> bool:
    return False


class PacketChannel(SSHServerChannel[bytes]):
    """A channel whose data takes that way."""

    log_sent_packet = PacketConnection.log_sent_packet
    log_received_packet = PacketConnection.log_received_packet

    def write(self, data: bytes, datatype: int | None = None) -> None:
        """Send data, or keep it until the client's window has room. Raises OSError on a channel that is not open."""
        if self._send_state != "open":
            raise BrokenPipeError("Channel not open for sending")
        if datatype is not None and datatype not in self._write_datatypes:
            raise OSError("Invalid extended data type")
        if data:
            self._send_buf.append((memoryview(data), datatype))  # type: ignore[arg-type]
            self._send_buf_len += len(data)
            self._flush_send_buf()

    def _flush_send_buf(self) -> None:
        """Send what the window takes, in one write; then what asyncssh does with an empty buffer."""
        connection = self._conn
        if self._send_buf and self._send_window and isinstance(connection, PacketConnection):
            connection.begin_burst()
            try:
                while self._send_buf and self._send_window:
                    self._send_front(connection)
            finally:
                connection.end_burst()
        if not self._send_buf or not self._send_window:
            super()._flush_send_buf()

    def _send_front(self, connection: PacketConnection) -> None:
        """Send what the window takes of the oldest data."""
        channel, (data, kind) = self._send_chan, self._send_buf[0]
        if channel is None:  # the client has closed it
            self._send_buf.clear()
            return
        view = memoryview(data)
        size = min(self._send_window, len(view))
        if size == len(view):
            del self._send_buf[0]
        else:
            self._send_buf[0] = (view[size:], kind)  # type: ignore[assignment]
        self._send_buf_len -= size
        self._send_window -= size
        connection.send_data(channel, kind, view[:size], self._send_pktsize)

    def take_adjustment(self, size: int) -> None:
        """The client takes so many bytes more. Raises ProtocolError behind its close."""
        if self._recv_state not in ("open", "eof_pending", "eof"):
            raise ProtocolError("Channel not open")
        self._send_window += size
        if self._send_buf:
            self._flush_send_buf()

    def room(self) -> int:
        """Return how much the client may send. Raises ProtocolError where it may send none."""
        if self._recv_state != "open":
            raise ProtocolError("Channel not open for sending")
        return self._recv_window

    def take_data(self, data: bytes) -> None:
        """Take data of the client, for which there is room."""
        self._accept_data(data)
