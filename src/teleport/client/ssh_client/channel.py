"""One channel: its windows, and which messages it may get in which state (RFC 4254 §5).

What is here: numbers and states. What is not: messages of other channels (`engine`), or where the bytes go (a
`Handler`).
"""

from __future__ import annotations

from teleport.base.errors import TeleportError
from teleport.base.lean import Callable, Protocol, deque
from teleport.wire import ssh_channel as wire
from teleport.wire.ssh import bad

WINDOW = 2 << 20
"""Bytes that the other side may send before the handler has taken them."""
PACKET = 32768
"""Largest payload of one message, both ways."""
_MOST = (1 << 32) - 1


class Handler(Protocol):
    """Where the bytes of a channel go. Called by the engine; must not block."""

    def opened(self, channel: Channel) -> None:
        """The channel can be used."""

    def refused(self, reason: int, text: str) -> None:
        """The other side did not open it; nothing else follows."""

    def data(self, data: bytes, is_error: bool) -> None:
        """Bytes came, of standard error or not. `Channel.taken` lets more come."""

    def ended(self) -> None:
        """No more bytes come."""

    def requested(self, name: bytes, body: bytes) -> bool:
        """A request came; say whether it is granted. May raise ProtocolError."""

    def writable(self) -> None:
        """There is room for more bytes."""

    def closed(self, error: TeleportError | None) -> None:
        """The channel is gone, by the error if the whole connection is. Also after `refused`'s opposite: once."""


class Channel:
    """One side of a channel: ours."""

    def __init__(self, send: Callable[[bytes], None], number: int, handler: Handler) -> None:
        self.number = number
        self.handler = handler
        self.room = 0
        """Bytes that may be written now."""
        self.is_open = False
        self.closing = False
        """Whether CLOSE was sent: nothing more is."""
        self.end_sent = False
        self._send = send
        self._remote = self._packet = 0
        self._window, self._untaken = WINDOW, 0
        self._end_received = False
        self._replies: deque[Callable[[bool], None]] = deque()

    # -- ours ---------------------------------------------------------------------------------------------

    def write(self, data: bytes | memoryview) -> int:
        """Send as much as there is room for; return how much."""
        view = memoryview(data)[: self.room] if self._writes else memoryview(b"")
        for at in range(0, len(view), self._packet or 1):
            self._send(wire.write_data(self._remote, view[at : at + self._packet]))
        self.room -= len(view)
        return len(view)

    @property
    def _writes(self) -> bool:
        return self.is_open and not self.end_sent and not self.closing

    def end(self) -> None:
        """Say that no more bytes follow."""
        if self._writes:
            self.end_sent = True
            self._send(wire.write_short(wire.EOF, self._remote))

    def close(self) -> None:
        """Close the channel; it is gone when the other side has said the same."""
        if self.is_open and not self.closing:
            self.closing = True
            self._send(wire.write_short(wire.CLOSE, self._remote))

    def request(self, name: bytes, body: bytes = b"", reply: Callable[[bool], None] | None = None) -> None:
        """Ask for something; `reply` is told the answer, False when the channel closes first."""
        if not self.is_open or self.closing:
            return
        if reply is not None:
            self._replies.append(reply)
        self._send(wire.write_request(self._remote, name, body, wants_reply=reply is not None))

    def taken(self, size: int) -> None:
        """The handler has done with bytes that it was given: as many may follow."""
        self._untaken += size
        if self._untaken >= WINDOW // 2 and self.is_open and not self.closing and not self._end_received:
            self._send(wire.write_adjust(self._remote, self._untaken))
            self._window += self._untaken
            self._untaken = 0

    # -- theirs; called by the engine ---------------------------------------------------------------------

    def confirm(self, sender: int, window: int, packet: int) -> None:
        """The other side has opened its end. Raises ProtocolError (WIRE-SSH)."""
        if self.is_open:
            raise bad("a channel is opened twice")
        if not packet:
            raise bad("a channel that takes no bytes")
        self._remote, self.room, self._packet, self.is_open = sender, window, min(packet, PACKET), True

    def accept(self, opening: wire.Opening) -> None:
        """Open our end of a channel that the other side opens. Raises ProtocolError (WIRE-SSH)."""
        self.confirm(opening.sender, opening.window, opening.packet)
        self._send(wire.write_confirmation(self._remote, self.number, WINDOW, PACKET))

    def adjust(self, size: int) -> None:
        """Raises ProtocolError (WIRE-SSH) for a window beyond what a number holds."""
        self.room += size
        if self.room > _MOST:
            raise bad("a window of more than 4 GiB")
        if self._writes:
            self.handler.writable()

    def receive(self, data: bytes, kind: int) -> None:
        """Raises ProtocolError (WIRE-SSH) for bytes without leave."""
        if self._end_received:
            raise bad("bytes follow the end of a channel")
        if len(data) > self._window or len(data) > PACKET:
            raise bad("more bytes than the window of a channel has")
        self._window -= len(data)
        if self.closing or kind not in (0, wire.STDERR):
            self.taken(len(data))  # nobody wants them, but they are counted
            return
        self.handler.data(data, kind == wire.STDERR)

    def receive_end(self) -> None:
        """Raises ProtocolError (WIRE-SSH) for a second end."""
        if self._end_received:
            raise bad("a channel ends twice")
        self._end_received = True
        if not self.closing:
            self.handler.ended()

    def receive_request(self, asked: wire.Asked) -> None:
        """A request of the other side."""
        granted = not self.closing and self.handler.requested(asked.name, asked.body)
        if asked.wants_reply and not self.closing:
            self._send(wire.write_short(wire.SUCCESS if granted else wire.FAILURE, self._remote))

    def receive_reply(self, granted: bool) -> None:
        """Raises ProtocolError (WIRE-SSH) for an answer to nothing."""
        if not self._replies:
            raise bad("an answer to a request that was not made")
        self._replies.popleft()(granted)

    def receive_close(self, error: TeleportError | None = None) -> None:
        """The other side has closed, or the connection is gone."""
        if error is None:
            self.close()
        self.is_open, self.closing = False, True
        while self._replies:
            self._replies.popleft()(False)
        self.handler.closed(error)
