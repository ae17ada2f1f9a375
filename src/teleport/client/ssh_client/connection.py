"""One SSH connection of tsh to one node: sign-in, sessions, streams, and ports forwarded either way.

    connection = Connection.over(carrier, host=..., user=..., key=..., trust=...)
    session = connection.open_session(Ends(), Wanted("uptime"))
    connection.run(lambda: session.done)
    status = session.result()

Everything is blocking and runs in one thread: `run` moves the bytes of all channels until its condition holds.
"""

from __future__ import annotations

from teleport.base.entropy import Entropy, SystemEntropy
from teleport.base.errors import AccessDenied, NotAuthenticated, TeleportError, Unavailable
from teleport.base.escape import escape
from teleport.base.lean import TYPE_CHECKING, Callable, Iterable, NamedTuple, suppress
from teleport.client.ssh_client.channel import Handler
from teleport.client.ssh_client.engine import Engine, State, port_of
from teleport.client.ssh_client.joint import SocketJoint
from teleport.client.ssh_client.loop import READ, Carrier, Loop
from teleport.client.ssh_client.session import Ends, Session, Wanted
from teleport.client.ssh_client.stream import ByteStream
from teleport.client.ssh_client.transport import Limits, Transport
from teleport.client.ssh_client.trust import HostTrust, UserKey
from teleport.wire import ssh_channel as wire
from teleport.wire.ssh_channel import Origin

if TYPE_CHECKING:
    import socket

LOGIN_TIMEOUT = 30.0
"""Seconds until somebody must have been let in."""
_REFUSED = "CLIENT-NODE-REFUSED"

Refused = Callable[[int, str], None]
"""Told reason and text of a channel that the server did not open."""


class _Listening(NamedTuple):
    """What a forwarded connection is for: address and port, or the path of a unix socket."""

    host: str
    port: int = 0


def engine_of(
    user: str, key: UserKey, trust: HostTrust, *, entropy: Entropy | None = None, limits: Limits | None = None
) -> Engine:  # fmt: skip
    """Return the engine of a connection as `user`; `take` of it returns what goes first."""
    return Engine(Transport(trust.verify, entropy or SystemEntropy(), limits), user, key)


class Connection(Loop):
    """A connection on which the user is signed in."""

    def __init__(self, carrier: Carrier, engine: Engine, host: str) -> None:
        super().__init__(carrier, engine, host)
        self._forwards: dict[_Listening, Callable[[Origin], socket.socket | None]] = {}

    @classmethod
    def over(cls, carrier: Carrier, *, user: str, key: UserKey, trust: HostTrust, entropy: Entropy | None = None,
             limits: Limits | None = None) -> Connection:  # fmt: skip
        """Speak SSH over a carrier that leads to the node, and sign in as `user`.

        Raises NotAuthenticated (CLIENT-HOST-KEY, CLIENT-NODE-REFUSED), Unavailable (CLIENT-SSH, NET-*)."""
        engine = engine_of(user, key, trust, entropy=entropy, limits=limits)
        return cls.begun(carrier, engine, trust.host)

    @classmethod
    def begun(cls, carrier: Carrier, engine: Engine, host: str) -> Connection:
        """As `over`, with an engine whose first bytes the node may have got already."""
        made = cls(carrier, engine, host)
        try:
            made._sign_in()
        except BaseException:
            made.close()
            raise
        return made

    def _sign_in(self) -> None:
        decided = (State.OPEN, State.REFUSED, State.CLOSED)
        self.catch_up()
        in_time = self.run(lambda: self.engine.state in decided, LOGIN_TIMEOUT)
        if self.error is not None:
            raise self.error if self.error.code.startswith("NET-") else _named(self.error, self.host)
        if not in_time:
            raise Unavailable("CLIENT-SSH", host=self.host, problem="no answer in time")
        if self.engine.state is not State.OPEN:
            said = self.engine.said.strip() or "nobody with this certificate may sign in"
            raise NotAuthenticated(_REFUSED, host=self.host, said=said)

    # -- what a connection is for -----------------------------------------------------------------------------

    def open_session(self, ends: Ends, wanted: Wanted) -> Session:
        """Run a command, shell or subsystem between descriptors, which stay the caller's."""
        if wanted.agent is not None:
            connect = wanted.agent
            self.engine.openers[wire.AGENT] = lambda body: self._joined(connect())
        session = Session(self, ends, wanted)
        self.engine.open(wire.SESSION, b"", session)
        return session

    def open_stream(self, *, subsystem: str = "", command: str = "") -> ByteStream:
        """Run a subsystem or command whose input and output the caller writes and reads.

        Raises AccessDenied (CLIENT-NODE-REFUSED) and what has ended the connection."""
        stream = ByteStream(self, subsystem=subsystem, command=command)
        self.engine.open(wire.SESSION, b"", stream)
        stream.start()
        return stream

    def open_direct(self, host: str, port: int, sock: socket.socket, *, origin: tuple[str, int] = ("127.0.0.1", 0),
                    refused: Refused | None = None) -> None:  # fmt: skip
        """Let the node connect to `host:port`, and join that with a connected socket, which is closed at the end."""
        body = wire.direct(host, port, *origin)
        self.engine.open(wire.DIRECT, body, SocketJoint(self, sock, refused))

    def open_streamlocal(self, path: str, sock: socket.socket, *, refused: Refused | None = None) -> None:
        """As `open_direct`, to a unix socket of the node."""
        self.engine.open(wire.DIRECT_LOCAL, wire.direct_local(path), SocketJoint(self, sock, refused))

    def listen_local(self, listening: socket.socket, accepted: Callable[[socket.socket], None]) -> None:
        """Call `accepted` with each connection to a listening socket of this machine, while the loop runs."""
        listening.setblocking(False)
        self.watched.append(_Accepting(listening, accepted))

    def listen_remote(self, host: str, port: int, callback: Callable[[Origin], socket.socket | None]) -> int:
        """Let the node listen; return its port (0 lets it choose). For each connection `callback` returns a connected
        socket, or None to refuse it. Raises AccessDenied (CLIENT-NODE-REFUSED) and what has ended the connection."""
        answer = self._ask(wire.LISTEN, wire.address(host, port), f"it does not listen on {host}:{port}")
        chosen = port_of(answer, port)
        self._forwards[_Listening(host, chosen)] = callback
        self.engine.openers[wire.FORWARDED] = self._forwarded
        return chosen

    def listen_remote_local(self, path: str, callback: Callable[[Origin], socket.socket | None]) -> None:
        """As `listen_remote`, on a unix socket of the node."""
        self._ask(wire.LISTEN_LOCAL, wire.text(path), f"it does not listen on {path}")
        self._forwards[_Listening(path)] = callback
        self.engine.openers[wire.FORWARDED_LOCAL] = self._forwarded_local

    def _ask(self, name: bytes, body: bytes, problem: str) -> bytes:
        """Make a global request and wait for its answer."""
        answers: list[bytes | None] = []
        self.engine.ask(name, body, answers.append)
        self.run(lambda: answers)
        if self.error is not None:
            raise self.error
        if answers[0] is None:
            raise AccessDenied(_REFUSED, host=self.host, said=problem)
        return answers[0]

    # -- what the node opens ------------------------------------------------------------------------------------

    def _forwarded(self, body: bytes) -> Handler | None:
        origin = wire.read_forwarded(body)
        return self._called(_Listening(origin.host, origin.port), origin)

    def _forwarded_local(self, body: bytes) -> Handler | None:
        path = wire.read_forwarded_local(body)
        return self._called(_Listening(path), Origin(path, 0))

    def _called(self, listening: _Listening, origin: Origin) -> Handler | None:
        callback = self._forwards.get(listening)
        return self._joined(callback(origin)) if callback is not None else None

    def _joined(self, sock: socket.socket | None) -> Handler | None:
        return SocketJoint(self, sock) if sock is not None else None


class _Accepting:
    """A local socket that listens."""

    def __init__(self, listening: socket.socket, accepted: Callable[[socket.socket], None]) -> None:
        self._listening, self._accepted = listening, accepted

    def wants(self) -> Iterable[tuple[int, int]]:
        return [(self._listening.fileno(), READ)] if self._listening.fileno() >= 0 else []

    def ready(self, descriptor: int, events: int) -> None:
        with suppress(OSError):  # whoever called is gone, or the socket is closed
            self._accepted(self._listening.accept()[0])


def _named(error: TeleportError, host: str) -> TeleportError:
    """Return what the user is told of an error of the connection."""
    if error.code.startswith("PKI-"):
        return NotAuthenticated("CLIENT-HOST-KEY", host=host, problem=str(error))
    if error.code == "CLIENT-SSH":
        return error
    said = error.fields["said"] if error.code == "CLIENT-SSH-ENDED" else str(error)
    return Unavailable("CLIENT-SSH", host=host, problem=escape(said))
