"""The transport of SSH, client's side, without a socket: bytes in, messages out (RFC 4253).

An explicit state decides which message may come: anything else ends the connection. In the first key exchange
nothing but the exchange itself may come, whatever its number, and packets are counted anew with each key when the
server can (strict key exchange, OpenSSH PROTOCOL 1.10), which takes away what CVE-2023-48795 and CVE-2023-46445/6
need. ChaCha20-Poly1305 is not used with a server that cannot; AES-GCM counts by itself.

What is here: versions, key exchange and its repetition by either side, sealing. What is not: whom the host key belongs
to (`trust`), sign-in and channels (`engine`).
"""

from __future__ import annotations

from teleport.base.entropy import Entropy
from teleport.base.errors import Unavailable
from teleport.base.escape import escape
from teleport.base.lean import Callable, NamedTuple, deque, partial
from teleport.client.ssh_client.ciphers import CIPHERS, Cipher, Plain
from teleport.client.ssh_client.exchange import EXCHANGES, Exchange, Secrets, hash_of
from teleport.version import VERSION
from teleport.wire import ssh
from teleport.wire.buffer import NeedMore, Reader, Writer
from teleport.wire.ssh import Agreement, Offer, bad

OUR_VERSION = f"SSH-2.0-Teleport_{VERSION}".encode()
HOST_KEYS = (
    "ssh-ed25519-cert-v01@openssh.com", "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com", "rsa-sha2-256-cert-v01@openssh.com",
)  # fmt: skip
"""Certificates only: a host that shows a plain key has nothing in common with us."""
_QUEUED = 4096
"""Messages that may wait for the end of a key exchange: windows hold back data long before."""

Verify = Callable[[str, bytes, bytes, bytes], None]
"""Told the agreed algorithm, the host key, the signature and what must be signed; raises to refuse."""


class Limits(NamedTuple):
    """After how much in one direction keys are exchanged anew. RFC 4344 §3 and OpenSSH; AES-GCM may not do more."""

    size: int = 1 << 30
    packets: int = 1 << 31


class State:
    """What may come next. No Enum: importing that takes longer than a key exchange."""

    VERSION = "version line"
    OFFER = "first key exchange"
    REPLY = "answer of the key exchange"
    NEWKEYS = "end of the key exchange"
    OPEN = "messages"


class _Side:
    """One direction: its cipher, and what went under its key."""

    def __init__(self, cipher: Cipher) -> None:
        self.cipher = cipher
        self.sequence = self.size = self.packets = 0

    def count(self, size: int) -> None:
        self.sequence = (self.sequence + 1) & 0xFFFFFFFF
        self.packets += 1
        self.size += size

    def renew(self, cipher: Cipher, *, strict: bool) -> None:
        self.cipher, self.size, self.packets = cipher, 0, 0
        if strict:
            self.sequence = 0

    def worn(self, limits: Limits) -> bool:
        return self.size >= limits.size or self.packets >= limits.packets


class Transport:
    """One connection. `feed` it what arrives, take messages with `next`, and send what `take` returns."""

    def __init__(self, verify: Verify, entropy: Entropy, limits: Limits | None = None,
                 ciphers: tuple[str, ...] = tuple(CIPHERS)) -> None:  # fmt: skip
        self.state = State.VERSION
        self.session_id = b""
        """Hash of the first key exchange; empty before."""
        self.agreed: Agreement | None = None
        """Algorithms of the latest exchange."""
        self.strict = False
        self.exchanges = 0
        """Key exchanges that are complete."""
        self._verify, self._entropy, self._limits = verify, entropy, limits or Limits()
        self._offer = Offer((*EXCHANGES, ssh.STRICT_CLIENT), HOST_KEYS, ciphers, ciphers)
        self._in, self._out = _Side(Plain(entropy.token)), _Side(Plain(entropy.token))
        self._buffer, self._position, self._length = bytearray(), 0, -1
        self._ready: list[bytes] = []
        self._waiting: deque[bytes] | None = None  # messages that rest while keys are exchanged
        self._offers = (b"", b"")
        self._server = b""
        self._next: Callable[[bytes], None] = self._offered
        self._skip = False
        self._ready.append(OUR_VERSION + b"\r\n")
        self.renew()

    # -- bytes --------------------------------------------------------------------------------------------

    def feed(self, data: bytes | memoryview) -> None:
        """Add what has arrived."""
        if self._position:
            del self._buffer[: self._position]
            self._position = 0
        self._buffer += data

    def take(self) -> bytes:
        """Return what is to be sent."""
        data = b"".join(self._ready)
        self._ready.clear()
        return data

    @property
    def exchanging(self) -> bool:
        """Whether messages wait for the end of a key exchange."""
        return self._waiting is not None

    def send(self, message: bytes) -> None:
        """Send a message of sign-in or channels, once keys allow it. Raises ProtocolError (WIRE-SSH)."""
        if self._waiting is not None:
            if len(self._waiting) >= _QUEUED:
                raise bad("the server does not finish a key exchange")
            self._waiting.append(message)
            return
        self._seal(message)
        if self.state is State.OPEN and self._out.worn(self._limits):
            self.renew()

    def disconnect(self, reason: int, text: str) -> None:
        """Say goodbye, at once."""
        self._seal(ssh.write_disconnect(reason, text))

    def renew(self) -> None:
        """Begin a key exchange unless there is one."""
        if self._waiting is None:
            self._waiting = deque()
            own = ssh.write_offer(self._offer, self._entropy.token(16))
            self._offers = (own, b"")
            self._seal(own)

    def _seal(self, message: bytes) -> None:
        packet = self._out.cipher.seal(message, self._out.sequence)
        self._out.count(len(packet))
        self._ready.append(packet)

    # -- messages -----------------------------------------------------------------------------------------

    def next(self) -> bytes | None:
        """Return the next message for sign-in and channels; None until more has arrived.

        Raises ProtocolError (WIRE-SSH, WIRE-SHORT, WIRE-TRAILING), Unavailable (SSH-CLIENT-ENDED) when the server says
        goodbye, and what `verify` raises.
        """
        if self.state is State.VERSION and not self._read_version():
            return None
        while (message := self._packet()) is not None:
            if message[0] >= ssh.FIRST_OF_SERVICES or message[0] == ssh.SERVICE_ACCEPT:
                if self.state is not State.OPEN:
                    raise self._unwanted(message[0])
                return message
            self._own(message)
        return None

    def _read_version(self) -> bool:
        if not self._buffer:
            return False
        try:
            self._server, self._position = ssh.read_version(bytes(self._buffer[:8192]))
        except NeedMore:
            return False
        self.state = State.OFFER
        return True

    def _packet(self) -> bytes | None:
        """Open the next packet, if the whole of it is there."""
        side, buffer, start = self._in, self._buffer, self._position
        if len(buffer) - start < 4:
            return None
        if self._length < 0:
            self._length = side.cipher.length(bytes(buffer[start : start + 4]), side.sequence)
        end = start + 4 + self._length + side.cipher.tag
        if len(buffer) < end:
            return None
        message = side.cipher.open(bytes(buffer[start:end]), side.sequence)
        side.count(end - start)
        self._position, self._length = end, -1
        if self.state is State.OPEN and side.worn(self._limits):
            self.renew()
        return message

    def _own(self, message: bytes) -> None:
        """A message of the transport itself."""
        kind = message[0]
        if kind == ssh.DISCONNECT:
            raise Unavailable("CLIENT-SSH-ENDED", said=escape(ssh.read_disconnect(message)[1]) or "nothing")
        if kind in (ssh.IGNORE, ssh.DEBUG, ssh.UNIMPLEMENTED) and self.exchanges:
            return
        if self._skip and self.state is State.REPLY and kind >= ssh.KEX_INIT:
            self._skip = False  # the first message of an exchange that does not take place
            return
        expected = {State.OFFER: ssh.KEXINIT, State.OPEN: ssh.KEXINIT, State.REPLY: ssh.KEX_REPLY,
                    State.NEWKEYS: ssh.NEWKEYS}  # fmt: skip
        if kind != expected[self.state]:
            raise self._unwanted(kind)
        self._next(message)

    def _unwanted(self, kind: int) -> Exception:
        return bad(f"message {kind} in place of the {self.state}")

    # -- key exchange -------------------------------------------------------------------------------------

    def _offered(self, message: bytes) -> None:
        theirs = ssh.read_offer(message)
        self.renew()
        agreed = ssh.agree(self._offer, theirs)
        if not self.session_id:
            self.strict = ssh.STRICT_SERVER in theirs.kex
        for name in (agreed.cipher_out, agreed.cipher_in):
            if CIPHERS[name].needs_strict and not self.strict:
                raise bad(f"{name} without strict key exchange (CVE-2023-48795)")
        self._offers = (self._offers[0], message)
        self.agreed, self._skip = agreed, agreed.wrong_guess
        exchange = EXCHANGES[agreed.kex](self._entropy)
        self._seal(bytes(Writer().u8(ssh.KEX_INIT).vector32(exchange.public)))
        self.state, self._next = State.REPLY, partial(self._replied, agreed, exchange)

    def _replied(self, agreed: Agreement, exchange: Exchange, message: bytes) -> None:
        reader = Reader(message)
        reader.u8()
        host_key, answer, signature = reader.vector32(), reader.vector32(), reader.vector32()
        reader.expect_end()
        secret = exchange.secret(answer)
        signed = hash_of(
            versions=(OUR_VERSION, self._server), offers=self._offers, host_key=host_key,
            public=exchange.public, answer=answer, secret=secret,
        )  # fmt: skip
        self._verify(agreed.host_key, host_key, signature, signed)
        self.session_id = self.session_id or signed
        secrets = Secrets(secret, signed, self.session_id)
        self._seal(bytes([ssh.NEWKEYS]))
        self._out.renew(self._cipher(agreed.cipher_out, secrets, b"A", b"C"), strict=self.strict)
        incoming = self._cipher(agreed.cipher_in, secrets, b"B", b"D")
        self.state, self._next = State.NEWKEYS, partial(self._renewed, incoming)
        waiting, self._waiting = self._waiting or (), None
        for queued in waiting:
            self._seal(queued)

    def _renewed(self, incoming: Cipher, message: bytes) -> None:
        if len(message) != 1:
            raise bad("more than the end of a key exchange")
        self._in.renew(incoming, strict=self.strict)
        self.exchanges += 1
        self.state, self._next = State.OPEN, self._offered

    def _cipher(self, name: str, secrets: Secrets, iv: bytes, key: bytes) -> Cipher:
        kind = CIPHERS[name]
        return kind.make(secrets.derive(key, kind.key), secrets.derive(iv, kind.iv), self._entropy.token)
