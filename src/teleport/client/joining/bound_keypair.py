"""Join method bound_keypair: a key of this machine, to which the token is bound.

Keys and what the server gave to keep stand in one file that nobody else may read. A new key is written before the
server hears of it: whatever happens then, the key that the server knows is among those that are kept.
"""

from __future__ import annotations

import posixpath

import msgspec

from teleport.api.join_messages import Accepted
from teleport.api.join_proofs import BoundAsk, BoundInit, BoundKeepsake, BoundSolution, read, write
from teleport.base.disk import Disk
from teleport.base.entropy import Entropy
from teleport.base.errors import AccessDenied, BadParameter, NotFound
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

    def __init__(self, disk: Disk, folder: str, entropy: Entropy, secret: str = "") -> None:
        """`folder` is where the file stands. `secret` is the registration secret, for the first join."""
        self._disk = disk
        self._path = posixpath.join(folder, FILE)
        self._entropy = entropy
        self._secret = secret

    async def first(self, accepted: Accepted) -> bytes:
        """Return what this machine has kept of its last join, and the secret, as long as there was none."""
        kept = self._read()
        secret = "" if kept.join_state else self._secret
        return write(BoundInit(initial_join_secret=secret, previous_join_state=kept.join_state))

    async def solve(self, challenge: bytes) -> bytes:
        """Sign what the server says with the key that it means, or make a new key."""
        asked = read(challenge, BoundAsk)
        if asked.challenge is None:
            return write(BoundSolution(public_key=keys.ssh_line(keys.ssh_blob(self._make().public_key()))))
        for pem in self._read().keys:
            key = keys.load_private(pem.encode())
            if keys.fingerprint(keys.ssh_blob(key.public_key())) == asked.challenge.sub:
                said = f"{jws.encode_part(_HEADER)}.{jws.encode_part(encode(asked.challenge))}"
                return write(BoundSolution(signed=f"{said}.{jws.encode_part(keys.sign(key, said.encode()))}"))
        raise AccessDenied("CLIENT-JOIN-KEY", key=asked.challenge.sub[:80], path=self._path)

    async def keep(self, keepsake: bytes) -> None:
        """Keep what the server wants to see the next time."""
        self._write(msgspec.structs.replace(self._read(), join_state=read(keepsake, BoundKeepsake).join_state))

    def _make(self) -> keys.PrivateKey:
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


_HEADER = b'{"alg":"EdDSA","typ":"JWT"}'
