"""Standard input and output joined with a TLS connection, by blocking sockets and poll(2).

For `tsh proxy ssh`, which `ssh` starts for every connection: nothing here needs an event loop or is slow to
import. TLS runs in memory, so that one thread can read and write at once and end one direction alone.
"""

from __future__ import annotations

import os
import select
import stat

from teleport.base.errors import TeleportError, Unavailable
from teleport.base.lean import TYPE_CHECKING, Callable, Iterator, Mapping, Protocol, contextmanager, ssl, suppress
from teleport.net.tls_errors import is_end, tls_error
from teleport.wire.buffer import NeedMore

if TYPE_CHECKING:
    import socket

_CHUNK = 65536
_HELD = 262144
"""Bytes that may wait in each direction before its source is read again."""


class BlockingTls:
    """TLS over a connected socket, which it owns."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, address: str) -> None:
        """`address` is for errors. The context knows what name to check."""
        self.sock = sock
        self.address = address
        self.between: Mapping[str, str] = {}
        """Variables of the environment that changed the way here, for whoever explains a failure."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=False)
        self._say_end: Callable[[], object] = getattr(self._tls, "unwrap", None) or self._tls.shutdown  # type: ignore[attr-defined]
        self._received = b""
        self._established = False
        self._write_end = False
        self.ended = False
        """Whether the peer has said that it sends no more."""

    def begin(self) -> None:
        """Send the first message of the handshake: the peer is at work while we do something else. Raises as
        `handshake`."""
        self._step()
        self._send_all()

    def handshake(self) -> None:
        """Do the handshake. Raises NotAuthenticated (NET-TLS-*), Unavailable (NET-TLS-*, NET-RESET).

        What is left to send of it goes with what is asked."""
        while not self._step():
            self._send_all()
            self.fill()
        self._established = True

    def _step(self) -> bool:
        """Whether the handshake is done."""
        try:
            with self._named():
                self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    @property
    def protocol(self) -> str:
        """The application protocol that was agreed on; empty without one."""
        return self._tls.selected_alpn_protocol() or ""

    def ask(self, request: bytes) -> None:
        """Send a request, and what is left of the handshake. Raises Unavailable (NET-RESET)."""
        self.give(request)
        self._send_all()

    def answer(self, parse: Callable[[bytes], tuple[TeleportError | None, int]]) -> None:
        """Wait for the answer, which `parse` reads. Raises the error that it holds, and Unavailable (NET-*)."""
        while not self._received and not self.ended:
            self._more()
        while True:
            try:
                refusal, size = parse(self._received)
                break
            except NeedMore:
                if self.ended:
                    raise Unavailable("NET-TLS-TRUNCATED", address=self.address) from None
                self._more()
        self._received = self._received[size:]
        if refusal is not None:
            raise refusal

    def give(self, data: bytes) -> None:
        """Encrypt data for the peer; `pending` then says how much there is to send."""
        with self._named():
            self._tls.write(data)

    def give_end(self) -> None:
        """Say that no more follows; reading goes on."""
        if not self._write_end:
            self._write_end = True
            while self._decrypt():
                pass  # shutting down would lose what has arrived
            with self._named(), suppress(ssl.SSLWantReadError):
                self._say_end()

    def take(self) -> bytes:
        """Return what has arrived and was decrypted; `b""` if there is nothing now."""
        while len(self._received) < _HELD and self._decrypt():
            pass
        data, self._received = self._received, b""
        return data

    @property
    def pending(self) -> int:
        """Encrypted bytes that wait for `flush`."""
        return self._outgoing.pending

    @property
    def held(self) -> bool:
        """Whether more waits than should be read from local sources."""
        return self.pending > _HELD

    suspended = False
    """A connection that is lost is lost."""

    def drop(self) -> None:
        """Forget what waits for `flush`: the peer takes no more."""
        self._outgoing.read()
        self._write_end = True

    def flush(self) -> None:
        """Send as much as the socket takes. Raises Unavailable (NET-RESET)."""
        data = self._outgoing.read()
        sent = 0
        try:
            with suppress(BlockingIOError):
                sent = self.sock.send(data)
        except OSError as error:
            raise self._lost(error) from error
        if sent < len(data):
            rest = data[sent:] + self._outgoing.read()
            self._outgoing.write(rest)

    def fill(self) -> None:
        """Take what the socket has. Raises Unavailable (NET-RESET)."""
        try:
            data = self.sock.recv(_HELD)
        except BlockingIOError:
            return
        except OSError as error:
            raise self._lost(error) from error
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _more(self) -> None:
        """Decrypt what is there, or wait for bytes."""
        if not self._decrypt():
            self.fill()

    def _send_all(self) -> None:
        while self._outgoing.pending:
            self.flush()

    def _decrypt(self) -> bool:
        """Decrypt one piece; say whether there was one."""
        if self.ended:
            return False
        with self._named():
            try:
                data = self._tls.read(_CHUNK)
            except ssl.SSLWantReadError:
                return False
            except ssl.SSLZeroReturnError:
                data = b""
        self._received += data
        self.ended = not data
        return bool(data)

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            raise
        except ssl.SSLError as error:
            with suppress(OSError):
                self.sock.sendall(self._outgoing.read())  # the alert that tells the peer why
            if is_end(error):
                code = "NET-TLS-TRUNCATED" if self._established else "NET-TLS-EOF"
                raise Unavailable(code, address=self.address) from error
            raise tls_error(self.address, error) from error

    def _lost(self, error: OSError) -> Unavailable:
        if isinstance(error, TimeoutError):
            return Unavailable("CLIENT-UNREACHABLE", address=self.address, problem="no answer in time")
        return Unavailable("NET-RESET", address=self.address, reason=error.strerror or type(error).__name__)


class Joined(Protocol):
    """What `join` needs of a connection: BlockingTls, or `client.resumption.ResumableCarrier`."""

    sock: socket.socket
    ended: bool

    @property
    def pending(self) -> int:
        """Bytes that wait for `flush`."""

    @property
    def held(self) -> bool:
        """Whether more waits than should be read from local sources."""

    def give(self, data: bytes) -> None:
        """Add bytes to send."""

    def flush(self) -> None:
        """Send what the socket takes. Raises TeleportError."""

    def fill(self) -> None:
        """Receive what the socket has. Raises TeleportError."""

    def take(self) -> bytes | memoryview:
        """Return what has arrived; empty if nothing has."""

    def drop(self) -> None:
        """Forget what waits to be sent."""

    def give_end(self) -> None:
        """Say that no more follows; reading goes on."""


def join(tls: Joined, source: int, target: int) -> None:
    """Copy from descriptor `source` to the peer and from the peer to `target`, until the peer has ended.

    The end of `source` is passed on while the other direction goes on. Raises Unavailable (NET-*).
    """
    tls.sock.settimeout(0)
    with _unblocked(source, target):
        _Join(tls, source, target).run()
    with suppress(TeleportError):
        tls.give_end()
        tls.flush()
    tls.sock.close()


class _Join:
    """The loop of `join`."""

    def __init__(self, tls: Joined, source: int, target: int) -> None:
        self._tls = tls
        self._source: int | None = source
        self._target = target
        self._prompt = not os.get_blocking(target)
        """Whether trying to write costs no waiting. A terminal that was stopped would hold up the other direction."""
        self._out = tls.take()

    def run(self) -> None:
        while self._out or not self._tls.ended:
            for descriptor, _ in self._poll().poll():
                self._ready(descriptor)
            if not self._out:
                self._out = self._tls.take()
                if self._out and self._prompt:
                    self._write()

    def _poll(self) -> select.poll:
        """Ask only for what can be used: a full direction is not read."""
        poll, wanted = select.poll(), dict[int, int]()
        if self._source is not None and not self._tls.held:
            wanted[self._source] = select.POLLIN
        if self._out:
            wanted[self._target] = wanted.get(self._target, 0) | select.POLLOUT
        number = self._tls.sock.fileno()
        if not self._out:
            wanted[number] = select.POLLIN
        if self._tls.pending:
            wanted[number] = wanted.get(number, 0) | select.POLLOUT
        for descriptor, events in wanted.items():
            poll.register(descriptor, events)
        return poll

    def _ready(self, descriptor: int) -> None:
        if descriptor == self._tls.sock.fileno():
            if self._tls.pending:
                self._send()
            if not self._out:
                self._tls.fill()
            return
        if descriptor == self._target and self._out:
            self._write()
        if descriptor == self._source:
            self._read(descriptor)

    def _send(self) -> None:
        """A peer that takes no more may have said why: reading goes on."""
        try:
            self._tls.flush()
        except Unavailable:
            self._source = None
            self._tls.drop()

    def _read(self, source: int) -> None:
        try:
            data = os.read(source, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._tls.give(data)
            self._send()
        else:
            self._source = None
            self._tls.give_end()

    def _write(self) -> None:
        try:
            self._out = self._out[os.write(self._target, self._out) :]
        except BlockingIOError:
            return


@contextmanager
def _unblocked(*descriptors: int) -> Iterator[None]:
    """Let pipes and sockets not block for the time of the block; terminals and files are shared with others."""
    changed: list[int] = []
    for descriptor in descriptors:
        mode = os.fstat(descriptor).st_mode
        if (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)) and os.get_blocking(descriptor):
            os.set_blocking(descriptor, False)
            changed.append(descriptor)
    try:
        yield
    finally:
        for descriptor in changed:
            os.set_blocking(descriptor, True)
