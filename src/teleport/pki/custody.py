"""Custody of authority keys: made here, used here, never handed out.

`Custody` runs in the signer process (`pki.signer_process`) over a folder, and inside simulations over
memory. It decides nothing about who may have something signed; it does refuse to sign anything that
is not what the key is for (`pki.purpose`), and checks each signature before it leaves. A key for recordings signs
nothing: it unwraps data keys (`pki.envelope`).
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from teleport.base.disk import map_errors
from teleport.base.entropy import Entropy
from teleport.base.errors import AccessDenied, BadParameter, Internal, NotFound, NotSupported
from teleport.pki import keys
from teleport.pki.purpose import PURPOSES, RECORDING, check
from teleport.pki.ssh_wire import Malformed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

_KEY_ID = re.compile(r"[0-9a-f]{32}")
_FILE_LIMIT = 4096
_HEAD = "purpose: "
X25519 = "x25519"
_MAKERS: dict[str, Callable[[Entropy], keys.PrivateKey]] = {
    keys.ED25519: keys.make_ed25519,
    keys.ECDSA_P256: keys.make_p256,
}


class KeyHandle(NamedTuple):
    """A key of an authority, as seen from outside: all but the private part."""

    key_id: str
    """32 hexadecimal digits, random."""
    algorithm: str
    """`ed25519`, `ecdsa-p256` or `x25519`."""
    purpose: str
    """`ssh`, `x509`, `jwt` or `audit`: what it may sign; `recording`: it unwraps data keys."""
    spki: bytes
    """Public key, SubjectPublicKeyInfo in DER."""


class Shelf(Protocol):
    """Where the bytes of private keys lie."""

    def put(self, key_id: str, data: bytes) -> None:
        """Keep `data`; returns when it would survive a crash of the machine."""
        ...

    def get(self, key_id: str) -> bytes | None:
        """Return what was put, or None."""
        ...

    def drop(self, key_id: str) -> None:
        """Forget it, if it is there."""
        ...


class MemoryShelf:
    """Keys that live as long as the object."""

    def __init__(self) -> None:
        self._items: dict[str, bytes] = {}

    def put(self, key_id: str, data: bytes) -> None:
        self._items[key_id] = data

    def get(self, key_id: str) -> bytes | None:
        return self._items.get(key_id)

    def drop(self, key_id: str) -> None:
        self._items.pop(key_id, None)


class FolderShelf:
    """One file a key, mode 0600, in a folder of mode 0700.

    Raises BadParameter (PKI-KEY-STORE) and, when something is to be kept or dropped, Unavailable (DISK-FULL, DISK-IO).
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = os.fspath(folder)
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        self._demand_private(os.stat(folder, follow_symlinks=False), stat.S_ISDIR)

    def put(self, key_id: str, data: bytes) -> None:
        target, draft = self._path(key_id), self._path(f".{key_id}.new")
        with map_errors(target):
            try:
                self._write(draft, data)
                os.rename(draft, target)
            except BaseException:
                with contextlib.suppress(OSError):  # a part of a private key has no business here
                    os.unlink(draft)
                raise
            self._sync()

    def get(self, key_id: str) -> bytes | None:
        try:
            fd = os.open(self._path(key_id), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._bad(error.strerror or "") from None
        try:
            self._demand_private(os.fstat(fd), stat.S_ISREG)
            return os.read(fd, _FILE_LIMIT)
        finally:
            os.close(fd)

    def drop(self, key_id: str) -> None:
        with map_errors(self._path(key_id)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path(key_id))
            self._sync()

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, name)

    @staticmethod
    def _write(path: str, data: bytes) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            while data:  # write(2) may take a part, for example what is left of a quota
                data = data[os.write(fd, data) :]
            os.fsync(fd)
        finally:
            os.close(fd)

    def _sync(self) -> None:
        """Make renames and removals in the folder durable."""
        fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def _demand_private(self, facts: os.stat_result, right_type: object) -> None:
        if right_type is stat.S_ISREG and not stat.S_ISREG(facts.st_mode):
            raise self._bad("a key is not a regular file")
        if right_type is stat.S_ISDIR and not stat.S_ISDIR(facts.st_mode):
            raise self._bad("it is not a folder")
        if facts.st_mode & 0o077 or facts.st_uid != os.geteuid():
            raise self._bad("others can read it, or it belongs to another user")

    def _bad(self, problem: str) -> BadParameter:
        return BadParameter("PKI-KEY-STORE", path=self._folder, problem=problem)


class _Key(NamedTuple):
    purpose: str
    private: keys.PrivateKey
    public: keys.PublicKey


class Custody:
    """Makes keys and signs with them. Keys are read from the shelf when first needed."""

    def __init__(self, shelf: Shelf, entropy: Entropy) -> None:
        self._shelf = shelf
        self._entropy = entropy
        self._loaded: dict[str, _Key] = {}
        self._openers: dict[str, X25519PrivateKey] = {}

    def generate(self, algorithm: str, purpose: str) -> KeyHandle:
        """Make a key for one purpose and keep it. Raises NotSupported (PKI-ALGORITHM)."""
        if (algorithm, purpose) == (X25519, RECORDING):
            return self._generate_recording()
        if algorithm not in _MAKERS or purpose not in PURPOSES:
            raise NotSupported("PKI-ALGORITHM", algorithm=algorithm[:40], purpose=purpose[:40])
        private = _MAKERS[algorithm](self._entropy)
        key_id = self._entropy.token(16).hex()
        self._shelf.put(key_id, f"{_HEAD}{purpose}\n".encode() + keys.private_pem(private))
        public = private.public_key()
        self._loaded[key_id] = _Key(purpose, private, public)
        return KeyHandle(key_id, algorithm, purpose, keys.spki(public))

    def _generate_recording(self) -> KeyHandle:
        from teleport.pki import envelope  # a signer that opens no recording does without

        private, key_id = envelope.make_key(self._entropy), self._entropy.token(16).hex()
        self._shelf.put(key_id, f"{_HEAD}{RECORDING}\n".encode() + envelope.private_pem(private))
        self._openers[key_id] = private
        return KeyHandle(key_id, X25519, RECORDING, envelope.spki(private))

    def decipher(self, key_id: str, wrapped: bytes) -> bytes:
        """Unwrap the data key of a recording: 32 bytes.

        Raises NotFound (PKI-NO-KEY), AccessDenied (PKI-SIGN-REFUSED), BadParameter (PKI-RECORDING).
        """
        from teleport.pki import envelope

        private = self._openers.get(key_id)
        if private is None:
            purpose, pem = self._read(key_id)
            if purpose != RECORDING:
                raise AccessDenied("PKI-SIGN-REFUSED", key_id=key_id, problem="the key opens no recordings")
            private = self._openers[key_id] = envelope.load_private(pem)
        return envelope.unwrap(wrapped, private)

    def sign(self, key_id: str, tbs: bytes) -> bytes:
        """Sign a document of the key's kind: 64 bytes for Ed25519, DER for ECDSA P-256 with SHA-256.

        Raises NotFound (PKI-NO-KEY), AccessDenied (PKI-SIGN-REFUSED), Internal (PKI-SIGN-FAULT)."""
        key = self._loaded.get(key_id) or self._load(key_id)
        try:
            check(key.purpose, key.public, tbs)
        except Malformed as error:
            raise AccessDenied("PKI-SIGN-REFUSED", key_id=key_id, problem=error) from None
        signature = keys.sign(key.private, tbs)
        # A single faulty Ed25519 signature gives the private key away: none leaves unchecked.
        if not keys.verify(key.public, signature, tbs):
            raise Internal("PKI-SIGN-FAULT", key_id=key_id)
        return signature

    def retire(self, key_id: str) -> None:
        """Destroy a key. Retiring one that is not there is allowed."""
        if _KEY_ID.fullmatch(key_id):
            self._loaded.pop(key_id, None)
            self._openers.pop(key_id, None)
            self._shelf.drop(key_id)

    def _load(self, key_id: str) -> _Key:
        purpose, pem = self._read(key_id)
        if purpose == RECORDING:
            raise AccessDenied("PKI-SIGN-REFUSED", key_id=key_id, problem="a key for recordings signs nothing")
        private = keys.load_private(pem)
        self._loaded[key_id] = key = _Key(purpose, private, private.public_key())
        return key

    def _read(self, key_id: str) -> tuple[str, bytes]:
        """Return purpose and PEM of a key on the shelf."""
        data = self._shelf.get(key_id) if _KEY_ID.fullmatch(key_id) else None
        if data is None:
            raise NotFound("PKI-NO-KEY", key_id=key_id[:40])
        head, _, pem = data.partition(b"\n")
        wanted = head.decode(errors="replace").removeprefix(_HEAD)
        if wanted not in (*PURPOSES, RECORDING):
            raise BadParameter("PKI-KEY", thing=f"key {key_id} of the signer", problem="it does not say its purpose")
        return wanted, pem
