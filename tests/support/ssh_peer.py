"""The server's half of SSH for tests of a client: it does what a test says, also what no server may."""

from __future__ import annotations

import datetime as dt
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import mlkem, padding, rsa, x25519

from teleport.base.entropy import SeededEntropy
from teleport.client.ssh_client.ciphers import CIPHERS, Cipher, Plain
from teleport.client.ssh_client.engine import Engine
from teleport.client.ssh_client.exchange import Secrets, hash_of
from teleport.client.ssh_client.transport import OUR_VERSION, Limits, Transport
from teleport.client.ssh_client.trust import HostTrust, UserKey
from teleport.pki import keys
from teleport.pki import ssh as certificates
from teleport.pki.ssh_wire import mpint, string
from teleport.wire import ssh, ssh_auth
from teleport.wire.buffer import Reader, Writer
from teleport.wire.ssh import Offer

NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
AUTHORITY = keys.make_ed25519(SeededEntropy(71))
HOST_KEY = keys.make_ed25519(SeededEntropy(72))
USER_KEY = keys.make_ed25519(SeededEntropy(73))
VERSION = b"SSH-2.0-Peer"


def certificate(key: keys.PublicKey, *, authority: keys.PrivateKey = AUTHORITY, **changes: Any) -> bytes:
    """Return the blob of a certificate, as a stock tool would sign it."""
    fields: dict[str, Any] = {
        "key": keys.ssh_blob(key), "nonce": bytes(32), "serial": 1, "type": "host", "key_id": "node",
        "principals": ("node-1",), "valid_after": int(NOW.timestamp()) - 60,
        "valid_before": int(NOW.timestamp()) + 3600, "critical_options": {}, "extensions": {},
        "authority": keys.ssh_blob(authority.public_key()),
    }  # fmt: skip
    tbs = certificates.encode_tbs(certificates.Body(**{**fields, **changes}))
    return tbs + string(keys.ssh_signature(authority.public_key(), keys.sign(authority, tbs)))


def trust(host: str = "node-1") -> HostTrust:
    """Return the trust in AUTHORITY."""
    return HostTrust(host, frozenset({keys.ssh_blob(AUTHORITY.public_key())}), lambda: NOW)


def user_key() -> UserKey:
    return UserKey(USER_KEY, certificate(USER_KEY.public_key(), type="user", principals=("alice",)))


def engine(limits: Limits | None = None, **changes: Any) -> Engine:
    """Return a client's engine that trusts this peer."""
    transport = Transport(changes.pop("verify", trust().verify), SeededEntropy(1), limits, **changes)
    return Engine(transport, "alice", user_key())


class Peer:
    """A server. `say` and `hear` move bytes; `keys` does a key exchange; `let_in` also signs the user in."""

    def __init__(self, client: Engine, *, strict: bool = True, cipher: str = "aes128-gcm@openssh.com",
                 kex: str = "curve25519-sha256", host_key: str = "ssh-ed25519-cert-v01@openssh.com",
                 blob: bytes = b"") -> None:  # fmt: skip
        self.client = client
        self.messages: list[bytes] = []
        """What the client has sent, beside key exchanges."""
        self.entropy = SeededEntropy(5)
        self.strict, self.kex = strict, kex
        names = (kex, ssh.STRICT_SERVER) if strict else (kex,)
        self.offer = Offer(names, (host_key,), (cipher,), (cipher,))
        self.cipher, self.host_key = cipher, host_key
        self.blob = blob or certificate(HOST_KEY.public_key())
        self.rsa: rsa.RSAPrivateKey | None = None
        self.session_id = b""
        self.sign_with = keys.sign
        self.out: Cipher = Plain(self.entropy.token)
        self.incoming: Cipher = Plain(self.entropy.token)
        self.sent = self.got = 0
        self.own_offer = self.their_offer = b""
        self._buffer = b""
        self._greeted = False

    # -- bytes

    def say(self, *messages: bytes) -> None:
        """Send messages."""
        self.client.receive(b"".join(self.seal(message) for message in messages))

    def seal(self, message: bytes) -> bytes:
        packet = self.out.seal(message, self.sent)
        self.sent = (self.sent + 1) & 0xFFFFFFFF
        return packet

    def hear(self) -> list[bytes]:
        """Take what the client has sent; return new messages."""
        self._buffer += self.client.take()
        if not self._greeted and b"\n" in self._buffer:
            line, _, self._buffer = self._buffer.partition(b"\r\n")
            assert line == OUR_VERSION
            self._greeted = True
        found: list[bytes] = []
        while (message := self._packet()) is not None:
            found.append(message)
            if message[0] == ssh.NEWKEYS:
                self.incoming = self._cipher(b"A", b"C")
                self.got = 0 if self.strict else self.got
        self.messages += [message for message in found if message[0] not in (ssh.KEXINIT, ssh.NEWKEYS, ssh.KEX_INIT)]
        for message in found:
            if message[0] == ssh.KEXINIT:
                self.their_offer = message
        return found

    def _packet(self) -> bytes | None:
        if len(self._buffer) < 4:
            return None
        size = 4 + self.incoming.length(self._buffer[:4], self.got) + self.incoming.tag
        if len(self._buffer) < size:
            return None
        message = self.incoming.open(self._buffer[:size], self.got)
        self.got = (self.got + 1) & 0xFFFFFFFF
        self._buffer = self._buffer[size:]
        return message

    # -- keys

    def greet(self) -> None:
        self.client.receive(VERSION + b"\r\n")

    def offers(self) -> None:
        """Send KEXINIT."""
        self.own_offer = ssh.write_offer(self.offer, self.entropy.token(16))
        self.say(self.own_offer)

    def answer(self) -> bytes:
        """Return KEX_REPLY to what the client sent; the next keys are known then."""
        (init,) = [message for message in self.hear() if message[0] == ssh.KEX_INIT]
        public = Reader(init[1:]).vector32()
        answer, secret = self._exchange(public)
        signed = hash_of(versions=(OUR_VERSION, VERSION), offers=(self.their_offer, self.own_offer),
                         host_key=self.blob, public=public, answer=answer, secret=secret)  # fmt: skip
        self.session_id = self.session_id or signed
        self._secrets = Secrets(secret, signed, self.session_id)
        reply = Writer().u8(ssh.KEX_REPLY).vector32(self.blob).vector32(answer).vector32(self._signature(signed))
        return bytes(reply)

    def _signature(self, signed: bytes) -> bytes:
        if self.rsa is None:
            return keys.ssh_signature(HOST_KEY.public_key(), self.sign_with(HOST_KEY, signed))
        algorithm = self.host_key.removesuffix("-cert-v01@openssh.com")
        chosen = hashes.SHA512() if algorithm.endswith("512") else hashes.SHA256()
        return string(algorithm.encode()) + string(self.rsa.sign(signed, padding.PKCS1v15(), chosen))

    def _exchange(self, public: bytes) -> tuple[bytes, bytes]:
        own = x25519.X25519PrivateKey.from_private_bytes(self.entropy.token(32))
        mine = own.public_key().public_bytes_raw()
        if self.kex.startswith("curve"):
            shared = own.exchange(x25519.X25519PublicKey.from_public_bytes(public))
            return mine, mpint(int.from_bytes(shared, "big"))
        inner, ciphertext = mlkem.MLKEM768PublicKey.from_public_bytes(public[:1184]).encapsulate()
        shared = own.exchange(x25519.X25519PublicKey.from_public_bytes(public[1184:]))
        digest = hashes.Hash(hashes.SHA256())
        digest.update(inner + shared)
        return ciphertext + mine, string(digest.finalize())

    def _cipher(self, iv: bytes, key: bytes) -> Cipher:
        kind = CIPHERS[self.cipher]
        secrets = self._secrets
        return kind.make(secrets.derive(key, kind.key), secrets.derive(iv, kind.iv), self.entropy.token)

    def newkeys(self) -> None:
        """Send NEWKEYS and use the new keys."""
        self.say(bytes([ssh.NEWKEYS]))
        self.use_keys()

    def use_keys(self) -> None:
        self.out = self._cipher(b"B", b"D")
        self.sent = 0 if self.strict else self.sent

    def keys(self) -> None:
        """Do a whole key exchange; the first begins with the version."""
        if not self.session_id:
            self.greet()
        self.hear()
        self.offers()
        self.say(self.answer())
        self.hear()
        self.newkeys()
        self.hear()

    def let_in(self) -> None:
        """Exchange keys and accept the sign-in."""
        self.keys()
        self.say(b"\x06" + string(b"ssh-userauth"), bytes([ssh_auth.SUCCESS]))
        self.messages.clear()
