"""The client of SSH without a socket: signs in, then opens channels and answers what the server asks.

Every state has a list of messages that may come (`_ALLOWED`); anything else ends the connection with an error that
says so. What the server may open is only what was asked of it: ports that it listens on for us, and an agent or display
once a session has asked for one. Source: RFC 4252, RFC 4254, OpenSSH's PROTOCOL.

What is here: who may say what when. What is not: keys (`transport`), windows (`channel`), descriptors (`connection`).
"""

from __future__ import annotations

from teleport.base.errors import TeleportError
from teleport.base.lean import TYPE_CHECKING, Callable, deque
from teleport.client.ssh_client.channel import PACKET, WINDOW, Channel, Handler
from teleport.client.ssh_client.transport import Transport
from teleport.wire import ssh, ssh_auth
from teleport.wire import ssh_channel as wire
from teleport.wire.buffer import Reader
from teleport.wire.ssh import bad

if TYPE_CHECKING:
    from teleport.client.ssh_client.trust import UserKey

CHANNELS = 256
"""Channels at one time, both sides' together."""
_BANNERS = 16
"""Lines that a server may say before it lets somebody in."""
_ASKED = 1024
"""Global requests of ours that may wait for an answer."""

Opener = Callable[[bytes], Handler | None]
"""From the body of an opening to what takes the channel; None refuses."""


class State:
    """How far a connection is."""

    KEYS = "key exchange"
    SERVICE = "sign-in"
    SIGN_IN = "answer to the sign-in"
    OPEN = "open connection"
    REFUSED = "refused sign-in"
    CLOSED = "closed connection"


_CHANNEL = frozenset(range(wire.OPEN_CONFIRMATION, wire.FAILURE + 1))
_ALLOWED: dict[str, frozenset[int]] = {
    State.KEYS: frozenset(),
    State.SERVICE: frozenset({ssh.SERVICE_ACCEPT}),
    State.SIGN_IN: frozenset({ssh_auth.FAILURE, ssh_auth.SUCCESS, ssh_auth.BANNER}),
    State.OPEN: frozenset({wire.GLOBAL_REQUEST, wire.REQUEST_SUCCESS, wire.REQUEST_FAILURE, wire.OPEN, *_CHANNEL}),
    State.REFUSED: frozenset(),
    State.CLOSED: frozenset(),
}
"""Messages that may come in each state, beside those of the transport."""


class Engine:
    """One connection. `receive` what arrives, send what `take` returns."""

    def __init__(self, transport: Transport, user: str, key: UserKey) -> None:
        self.state = State.KEYS
        self.said = ""
        """What the server said before it let anybody in."""
        self.failure: ssh_auth.Failure | None = None
        """Why sign-in was refused, in the words of the protocol."""
        self.openers: dict[bytes, Opener] = {}
        """Types of channels that the server may open now."""
        self.channels: dict[int, Channel] = {}
        self.error: TeleportError | None = None
        """What has ended the connection."""
        self._transport, self._user, self._key = transport, user, key
        self._numbers = 0
        self._replies: deque[Callable[[bytes | None], None]] = deque()
        self._banners = 0

    # -- bytes --------------------------------------------------------------------------------------------

    def receive(self, data: bytes | memoryview) -> None:
        """Take what has arrived. Raises what has ended the connection: ProtocolError (WIRE-*), Unavailable
        (CLIENT-SSH-ENDED), NotAuthenticated and AccessDenied (PKI-*) for a host that is not believed."""
        self._transport.feed(data)
        try:
            while (message := self._transport.next()) is not None:
                self._begin()
                self._take(message)
            self._begin()
        except TeleportError as error:
            self._fail(error)
            raise

    def take(self) -> bytes:
        """Return what is to be sent."""
        return self._transport.take()

    @property
    def held(self) -> bool:
        """Whether no data should be written now: keys are being exchanged."""
        return self._transport.exchanging

    def close(self) -> None:
        """Say goodbye."""
        if self.state is not State.CLOSED:
            self._transport.disconnect(ssh.BY_APPLICATION, "done")
            self.state = State.CLOSED

    def lose(self, error: TeleportError) -> None:
        """The connection is gone: everybody who waits hears why."""
        self.state, self.error = State.CLOSED, self.error or error
        channels, self.channels = list(self.channels.values()), {}
        for channel in channels:
            channel.receive_close(error)
        while self._replies:
            self._replies.popleft()(None)

    def _fail(self, error: TeleportError) -> None:
        if self.state is not State.CLOSED and error.code.startswith(("WIRE", "PKI")):
            reason = ssh.PROTOCOL_ERROR if error.code.startswith("WIRE") else ssh.HOST_KEY_NOT_VERIFIABLE
            self._transport.disconnect(reason, "")
        self.lose(error)

    # -- states -------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Ask to sign in as soon as there are keys: both messages at once save a round trip."""
        if self.state is State.KEYS and self._transport.exchanges:
            request = ssh_auth.key_request(self._user, self._key.algorithm, self._key.certificate)
            signed = len(self._transport.session_id).to_bytes(4, "big") + self._transport.session_id + request
            self._transport.send(ssh_auth.write_service_request())
            self._transport.send(ssh_auth.with_signature(request, self._key.sign(signed)))
            self.state = State.SERVICE

    def _take(self, message: bytes) -> None:
        kind = message[0]
        if kind not in _ALLOWED[self.state]:
            raise bad(f"message {kind} in the state: {self.state}")
        if kind == wire.DATA or kind == wire.EXTENDED_DATA:
            number, extended, data = wire.read_data(message)
            self._channel(number).receive(data, extended)
        elif kind in _CHANNEL:
            self._on_channel(kind, message)
        else:
            self._ANSWERS[kind](self, message)

    def _accepted(self, message: bytes) -> None:
        ssh_auth.read_service_accept(message)
        self.state = State.SIGN_IN

    def _refused(self, message: bytes) -> None:
        self.failure = ssh_auth.read_failure(message)
        self.state = State.REFUSED

    def _let_in(self, message: bytes) -> None:
        if len(message) != 1:
            raise bad("more than a success")
        self.state = State.OPEN

    def _banner(self, message: bytes) -> None:
        self._banners += 1
        if self._banners > _BANNERS:
            raise bad("too many banners")
        self.said += ssh_auth.read_banner(message)

    # -- requests to the whole connection -------------------------------------------------------------------

    def ask(self, name: bytes, body: bytes, reply: Callable[[bytes | None], None]) -> None:
        """Make a global request; `reply` gets the body of a success, None for a refusal.

        Raises ProtocolError (WIRE-SSH) when too many wait for their answer."""
        if len(self._replies) >= _ASKED:
            raise bad("the server answers no requests")
        self._replies.append(reply)
        self._transport.send(wire.write_global(name, body, wants_reply=True))

    def keep_alive(self) -> None:
        """Ask whether the server is there; any answer will do."""
        self.ask(wire.KEEP_ALIVE, b"", lambda answer: None)

    def _asked(self, message: bytes) -> None:
        """Nothing is granted. New host keys are not learnt: authorities vouch for hosts."""
        asked = wire.read_request(message)
        if asked.wants_reply:
            self._transport.send(bytes([wire.REQUEST_FAILURE]))

    def _answered(self, message: bytes) -> None:
        if not self._replies:
            raise bad("an answer to a request that was not made")
        self._replies.popleft()(message[1:] if message[0] == wire.REQUEST_SUCCESS else None)

    # -- channels -----------------------------------------------------------------------------------------

    def open(self, kind: bytes, body: bytes, handler: Handler) -> Channel:
        """Open a channel; the handler hears how it went. Raises ProtocolError (WIRE-SSH) beyond CHANNELS, and
        what has ended the connection."""
        if self.error is not None:
            raise self.error
        if len(self.channels) >= CHANNELS:
            raise bad(f"more than {CHANNELS} channels")
        channel = self._new(handler)
        self._transport.send(wire.write_open(kind, channel.number, WINDOW, PACKET, body))
        return channel

    def _new(self, handler: Handler) -> Channel:
        channel = Channel(self._transport.send, self._numbers, handler)
        self.channels[channel.number] = channel
        self._numbers = (self._numbers + 1) & 0x7FFFFFFF
        return channel

    def _opening(self, message: bytes) -> None:
        opening = wire.read_open(message)
        opener = self.openers.get(opening.kind)
        handler = opener(opening.body) if opener and len(self.channels) < CHANNELS else None
        if handler is None:
            refusal = wire.write_refusal(opening.sender, wire.PROHIBITED, "nobody has asked for this")
            self._transport.send(refusal)
            return
        channel = self._new(handler)
        channel.accept(opening)
        handler.opened(channel)

    def _channel(self, number: int, *, is_open: bool = True) -> Channel:
        channel = self.channels.get(number)
        if channel is None or channel.is_open is not is_open:
            raise bad(f"a message for channel {number}, which is not {'open' if is_open else 'being opened'}")
        return channel

    def _on_channel(self, kind: int, message: bytes) -> None:
        if kind == wire.OPEN_CONFIRMATION:
            opened = wire.read_confirmation(message)
            channel = self._channel(opened.channel, is_open=False)
            channel.confirm(opened.sender, opened.window, opened.packet)
            channel.handler.opened(channel)
        elif kind == wire.OPEN_FAILURE:
            number, reason, text = wire.read_refusal(message)
            channel = self._channel(number, is_open=False)
            del self.channels[number]
            channel.handler.refused(reason, text)
        elif kind == wire.WINDOW_ADJUST:
            number, size = wire.read_adjust(message)
            self._channel(number).adjust(size)
        elif kind == wire.REQUEST:
            asked = wire.read_request(message)
            self._channel(asked.channel).receive_request(asked)
        else:
            self._on_short(kind, self._channel(wire.read_short(message)))

    def _on_short(self, kind: int, channel: Channel) -> None:
        if kind == wire.EOF:
            channel.receive_end()
        elif kind == wire.CLOSE:
            channel.receive_close()
            del self.channels[channel.number]
        else:
            channel.receive_reply(kind == wire.SUCCESS)

    _ANSWERS: dict[int, Callable[[Engine, bytes], None]] = {
        ssh.SERVICE_ACCEPT: _accepted,
        ssh_auth.FAILURE: _refused,
        ssh_auth.SUCCESS: _let_in,
        ssh_auth.BANNER: _banner,
        wire.GLOBAL_REQUEST: _asked,
        wire.REQUEST_SUCCESS: _answered,
        wire.REQUEST_FAILURE: _answered,
        wire.OPEN: _opening,
    }


def port_of(answer: bytes, asked: int) -> int:
    """Return the port that a server listens on: the one asked for, or the one it chose for 0. Raises ProtocolError."""
    return asked or Reader(answer).u32()
