"""Join method bound_keypair: a key of this machine, to which the token is bound.

Keys and what the server gave to keep stand in one file that nobody else may read. A new key is written before the
server hears of it: whatever happens then, the key that the server knows is among those that are kept.
"""

from __future__ import annotations

import base64
import posixpath

import msgspec

from teleport.api.join_messages import Accepted
from teleport.api.join_proofs import BoundAsk, BoundInit, BoundKeepsake, BoundSolution, read, write
from teleport.base.disk import Disk
from teleport.base.entropy import Entropy
from teleport.base.errors import AccessDenied, BadParameter, NotFound, NotSupported, TeleportError
from teleport.base.struct import Struct, decode, encode
from teleport.pki import jws, keys

FILE = "bound_keypair.json"
KEPT = 10
"""Keys that are kept, the newest first."""
_LIMIT = 256 * 1024


class _Kept(Struct, frozen=True, kw_only=True):
    keys: tuple[str, ...] = ()
    """PKCS#8, PEM; the newest first."""
    join_state: str = ""


class BoundKeypairMethod:
    """Implements `client.joining.join.Method`."""

    name = "bound_keypair"

    def __init__(self, disk: Disk, folder: str, entropy: Entropy, secret: str = "", static_key: str = "") -> None:
        """`folder` is where the file stands. `secret` is the registration secret, for the first join. With a
        `static_key` (PEM in base64) that one is used, and the file has no keys."""
        self._disk = disk
        self._path = posixpath.join(folder, FILE)
        self._entropy = entropy
        self._secret = secret
        self._static_key = static_key

    def public_key(self) -> str:
        """Return the public key in use, as a line of authorized_keys; empty: there is none yet. Raises BadParameter
        (CLIENT-JOIN-KEPT, CLIENT-JOIN-STATIC)."""
        known = self._keys(self._read())
        return public_line(known[0]) if known else ""

    def create(self) -> str:
        """Make a key, forget the ones before and what the server gave to keep, and return the public key."""
        key = keys.make_ed25519(self._entropy)
        self._write(_Kept(keys=(keys.private_pem(key).decode(),)))
        return public_line(key)

    async def first(self, accepted: Accepted) -> bytes:
        """Return what this machine has kept of its last join, and the secret, as long as there was none."""
        kept = self._read()
        secret = "" if kept.join_state else self._secret
        return write(BoundInit(initial_join_secret=secret, previous_join_state=kept.join_state))

    async def solve(self, challenge: bytes) -> bytes:
        """Sign what the server says with the key that it means, or make a new key."""
        asked = read(challenge, BoundAsk)
        if asked.challenge is None:
            return write(BoundSolution(public_key=public_line(self._make())))
        for key in self._keys(self._read()):
            if keys.fingerprint(keys.ssh_blob(key.public_key())) == asked.challenge.sub:
                said = f"{jws.encode_part(_HEADER)}.{jws.encode_part(encode(asked.challenge))}"
                return write(BoundSolution(signed=f"{said}.{jws.encode_part(keys.sign(key, said.encode()))}"))
        raise AccessDenied("CLIENT-JOIN-KEY", key=asked.challenge.sub[:80], path=self._path)

    async def keep(self, keepsake: bytes) -> None:
        """Keep what the server wants to see the next time."""
        self._write(msgspec.structs.replace(self._read(), join_state=read(keepsake, BoundKeepsake).join_state))

    def _keys(self, kept: _Kept) -> list[keys.PrivateKey]:
        if self._static_key:
            return [static_key(self._static_key)]
        return [keys.load_private(pem.encode()) for pem in kept.keys]

    def _make(self) -> keys.PrivateKey:
        if self._static_key:
            raise NotSupported("CLIENT-JOIN-ROTATE")
        key, kept = keys.make_ed25519(self._entropy), self._read()
        made = (keys.private_pem(key).decode(), *kept.keys)[:KEPT]
        self._write(msgspec.structs.replace(kept, keys=made))
        return key

    def _read(self) -> _Kept:
        try:
            return decode(self._disk.read(self._path, limit=_LIMIT, private=True), _Kept)
        except NotFound:
            return _Kept()
        except msgspec.MsgspecError:
            raise BadParameter("CLIENT-JOIN-KEPT", path=self._path) from None

    def _write(self, kept: _Kept) -> None:
        self._disk.make_dir(posixpath.dirname(self._path))
        self._disk.write(self._path, encode(kept))


def public_line(key: keys.PrivateKey) -> str:
    """Return the public key as a line of authorized_keys."""
    return keys.ssh_line(keys.ssh_blob(key.public_key()))


def static_key(text: str) -> keys.PrivateKey:
    """Read a key that stays as it is: PEM in base64. Raises BadParameter (CLIENT-JOIN-STATIC)."""
    try:
        return keys.load_private(base64.b64decode(text, validate=True))
    except (ValueError, TeleportError):
        raise BadParameter("CLIENT-JOIN-STATIC") from None


_HEADER = b'{"alg":"EdDSA","typ":"JWT"}'
