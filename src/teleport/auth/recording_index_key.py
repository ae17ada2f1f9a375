"""The key of the indexes of recordings: made once, wrapped to a recording key, in the clear in memory alone.

/recordings/index-key   id of the recording key, then the wrapped key (`pki.envelope`)

The signer unwraps it once in the life of a process. Rotation of recording keys does not touch it: the older
private keys stay with the signer, and so indexes stay readable as recordings do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from teleport.base.entropy import Entropy
from teleport.base.errors import AlreadyExists, NotFound, Unavailable
from teleport.pki.signer import Signer
from teleport.store.backend import Absent, Backend, Put
from teleport.store.recordings.index_file import KEY_BYTES

_PLACE = "/recordings/index-key"


class IndexKey:
    """Keeps the key."""

    def __init__(
        self, backend: Backend, signer: Signer, entropy: Entropy, active: Callable[[], Awaitable[tuple[str, bytes]]]
    ) -> None:  # fmt: skip
        """`active`: returns id and public key (SubjectPublicKeyInfo, DER) of the active recording key."""
        self._backend, self._signer, self._entropy, self._active = backend, signer, entropy, active
        self._key: bytes | None = None
        self._making = asyncio.Lock()

    async def get(self) -> bytes:
        """Return the key. Raises NotFound (PKI-NO-KEY), BadParameter (PKI-RECORDING), Unavailable (PKI-SIGNER-GONE)."""
        async with self._making:
            if self._key is None:
                self._key = await self._read()
            return self._key

    async def _read(self) -> bytes:
        from teleport.pki import envelope  # an Auth Service that searches nothing does without

        for _ in range(2):
            try:
                part = (await self._backend.get(_PLACE)).value
            except NotFound:
                await self._make()
                continue
            key_id, wrapped = envelope.split_key_part(part)
            return await self._signer.decipher(key_id, wrapped)
        raise Unavailable("INDEX-NO-KEY")

    async def _make(self) -> None:
        from teleport.pki import envelope

        key_id, spki = await self._active()
        wrapped = envelope.wrap(self._entropy.token(KEY_BYTES), envelope.load_public(spki))
        try:
            await self._backend.commit(Put(_PLACE, envelope.key_part(key_id, wrapped), when=Absent()))
        except AlreadyExists:
            return  # another process was first: its key is everybody's
