"""How two sides of SSH agree that their connection may outlive its carrier, without a stock peer noticing.

    node:   teleport-resume-v1 <host> <token>CRLF  SSH-2.0-...CRLF  KEXINIT  MARK  frames ...
    client: SSH-2.0-...CRLF  KEXINIT  MARK  frames ...
    resume: SSH-2.0- NUL teleport-resume-v1  statement and signature;  then the node's answer, and frames

A server may send other lines before its version (RFC 4253 §4.2), and a packet does not begin like MARK: before
encryption its first byte is the highest of its length. So a client says what it has to say at once, and marks the
change behind its first packet, when it has read the line: nobody waits for anybody. Each carrier has another token.
That of the first one names the connection; that of a later one is signed, which makes a statement good there and
nowhere else. Docs: docs/adr/0019-resumption.md.
"""

from __future__ import annotations

from teleport.base.lean import NamedTuple
from teleport.wire.buffer import NeedMore, ProtocolError, Reader, Writer
from teleport.wire.resumption import bad

NAME = b"teleport-resume-v1"
GREETING = b"teleport-resume-"
"""How a node begins that offers this, in whatever version."""
MARK = NAME + b"\n"
START = b"SSH-2.0-"
RESUME = START + b"\0" + NAME
TOKEN = 16
"""Bytes of a token."""
_LINE = 255
_PACKET = 256 * 1024
"""Longest packet before encryption; RFC 4253 §6.1 asks for 35,000."""
_REQUEST = 8192
_YES, _NO = 1, 0


class Greeting(NamedTuple):
    """What a node says first on each carrier."""

    host: str
    """Id of the node."""
    token: bytes


class Request(NamedTuple):
    """What a client says on a later carrier."""

    connection: bytes
    """Token of the first carrier."""
    received: int
    """Bytes that it has."""
    signature: bytes
    """Over `statement`, by the key of the certificate that it signed in with: an SSH signature blob."""


def write_greeting(greeting: Greeting) -> bytes:
    """Return the line."""
    return b"%s %s %s\r\n" % (NAME, greeting.host.encode(), greeting.token.hex().encode())


def read_greeting(data: bytes) -> tuple[Greeting | None, int]:
    """Read the first line of a server; return what it offers and how many bytes it takes: None and 0 where it offers
    nothing that we know. Raises NeedMore."""
    end = data.find(b"\n", 0, _LINE)
    if not GREETING.startswith(data[: len(GREETING)]) or (end < 0 and len(data) >= _LINE):
        return None, 0
    if end < 0:
        raise NeedMore(1)
    words = data[:end].split()
    try:
        name, host, token = words[0], words[1].decode("ascii"), bytes.fromhex(words[2].decode("ascii"))
    except (IndexError, ValueError):
        return None, 0
    if name != NAME or len(token) != TOKEN:
        return None, 0
    return Greeting(host, token), end + 1


def statement(greeting: Greeting, certificate: bytes, connection: bytes, received: int) -> bytes:
    """Return what a client signs: for this carrier of this node, this certificate (its digest) and connection. It
    cannot be taken for a request to sign in, which begins with a length (RFC 4252 §7)."""
    body = Writer().raw(NAME + b"\0").vector16(greeting.host.encode()).raw(greeting.token)
    return bytes(body.vector16(certificate).raw(connection).u64(received))


def write_request(request: Request) -> bytes:
    """Return what a client says on a later carrier."""
    return bytes(Writer().raw(RESUME + request.connection).u64(request.received).vector16(request.signature))


def write_answer(received: int | None) -> bytes:
    """Return a node's answer: how many bytes it has, or None: it does not go on."""
    return bytes(Writer().u8(_NO) if received is None else Writer().u8(_YES).u64(received))


def read_answer(data: bytes) -> tuple[int | None, int]:
    """Read a node's answer behind its version line; return that and the size of both. Raises NeedMore, ProtocolError
    (WIRE-RESUME)."""
    clear, at = _Clear(), 0
    while not clear.boundary:
        size = clear.follow(memoryview(data)[at:])
        at += size
        if not size:
            raise NeedMore(1)
    reader = Reader(data[at : at + 9], complete=False)
    kind = reader.u8()
    if kind not in (_YES, _NO):
        raise bad("neither yes nor no")
    answer = reader.u64() if kind == _YES else None
    return answer, at + reader.position


class _Clear:
    """Follows one direction of SSH before encryption: lines up to the version, then packets."""

    def __init__(self) -> None:
        self.packets = 0
        """Packets that are complete."""
        self._line: bytes | None = b""
        self._read = 0
        self._head = b""
        self._left = 0

    @property
    def boundary(self) -> bool:
        """Whether the version line or a packet has just ended."""
        return self._line is None and not self._head and not self._left

    def follow(self, data: memoryview) -> int:
        """Go on, at most to the next boundary; return by how many bytes. Raises ProtocolError (WIRE-RESUME) for what
        is not SSH."""
        if self._line is not None:
            return self._follow_line(self._line, bytes(data[:_PACKET]))
        head = 0
        if not self._left:
            head = min(4 - len(self._head), len(data))
            self._head += bytes(data[:head])
            if len(self._head) < 4:
                return head
            self._left = int.from_bytes(self._head, "big")
            if not 0 < self._left <= _PACKET:
                raise bad(f"a packet of {self._left} bytes before encryption")
        self._head = b""
        size = min(self._left, len(data) - head)
        self._left -= size
        self.packets += not self._left
        return head + size

    def _follow_line(self, seen: bytes, data: bytes) -> int:
        end = data.find(b"\n")
        size = end + 1 or len(data)
        self._read += size
        if self._read > _REQUEST:
            raise bad("no version line")
        begin = (seen + data[:size])[:4]
        self._line = begin if end < 0 else None if begin == b"SSH-" else b""
        return size


class ClientOpening:
    """The client's half: what goes plain, and when both directions change to frames."""

    def __init__(self) -> None:
        self.greeting: Greeting | None = None
        self.plain = False
        """Whether everything stays as it is: the server offers nothing."""
        self.marked = False
        """Whether the node has changed to frames; what came behind is `rest`."""
        self.held = bytearray()
        """What of ours waits until the node's first line has come."""
        self.rest = b""
        self._out, self._in = _Clear(), _Clear()
        self._said_mark = False

    def send(self, data: bytes | memoryview) -> bytes:
        """Return what of our bytes goes out as it is, now; the rest is `held`."""
        view = memoryview(data)
        at = 0
        while at < len(view) and not self._out.packets and not self.held:
            try:
                at += self._out.follow(view[at:])
            except ProtocolError:
                self.plain = True
                at = len(view)
        self.held += view[at:]
        return bytes(view[:at])

    @property
    def ready(self) -> bool:
        """Whether the change is to be marked now, once, by `mark`."""
        return self.greeting is not None and self._out.packets == 1 and not (self._said_mark or self.plain)

    def mark(self) -> bytes:
        """Return MARK; frames follow, with what is `held` first."""
        self._said_mark = True
        return MARK

    def receive(self, data: bytes) -> bytes:
        """Return what is SSH of the node's bytes before the change. Raises ProtocolError (WIRE-RESUME)."""
        data, self.rest = self.rest + data, b""
        if self.greeting is None and not self.plain:
            try:
                self.greeting, size = read_greeting(data)
            except NeedMore:
                self.rest = data
                return b""
            self.plain = self.greeting is None
            data = data[size:]
        if self.plain:
            return data
        at = 0
        while at < len(data):
            if self._in.boundary and data[at] == MARK[0]:
                self._find_mark(data[at:])
                break
            at += self._in.follow(memoryview(data)[at:])
        return data[:at]

    def _find_mark(self, data: bytes) -> None:
        if data[: len(MARK)] != MARK[: len(data)] or not self._said_mark:
            raise bad("neither a packet nor the change to frames")
        self.marked = len(data) >= len(MARK)
        self.rest = data[len(MARK) :] if self.marked else data


class NodeOpening:
    """The node's half: what a client's first bytes come to."""

    def __init__(self) -> None:
        self.decided = False
        self.resumable = False
        """Whether the client has changed to frames; what came behind is `rest`."""
        self.request: Request | None = None
        """What a client says that has been here before."""
        self.rest = b""
        self._clear = _Clear()
        self._started = False

    def receive(self, data: bytes | memoryview) -> bytes:
        """Return what is SSH of a client's bytes. Once `decided`, what follows is all SSH, all frames, or nothing.

        Raises ProtocolError (WIRE-RESUME) for a request that cannot be read."""
        data, self.rest = self.rest + bytes(data), b""
        if not self._started:
            seen = data[: len(RESUME)]
            if RESUME.startswith(seen):
                self.rest = data
                if seen == RESUME:
                    self._read_request(data)
                return b""
            self._started = True
        at = 0
        while at < len(data):
            if self._clear.packets:
                return data[:at] + self._after_packet(data[at:])
            try:
                at += self._clear.follow(memoryview(data)[at:])
            except ProtocolError:  # whatever it is, it is for SSH to say so
                self.decided = True
                break
        return data

    def _after_packet(self, data: bytes) -> bytes:
        if not MARK.startswith(data[: len(MARK)]):
            self.decided = True
            return data
        if len(data) >= len(MARK):
            self.decided = self.resumable = True
            data = data[len(MARK) :]
        self.rest = data
        return b""

    def _read_request(self, data: bytes) -> None:
        reader = Reader(data[len(RESUME) : _REQUEST], complete=len(data) >= _REQUEST)
        try:
            request = Request(reader.take(TOKEN), reader.u64(), reader.vector16())
        except NeedMore:
            return
        except ProtocolError:
            raise bad("a request without end") from None
        if reader.remaining:
            raise bad("more than a request")
        self.decided, self.request, self.rest = True, request, b""
