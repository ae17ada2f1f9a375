"""Join method tpm: the chip of this machine says which one it is, by opening what is made for it alone.

The endorsement key of a chip never changes and decrypts, but signs nothing; a second key of the same chip gives the
credential the name that it is bound to (`pki.tpm`). The chip derives both from what it has kept since it was made, the
same each time; they are loaded while they are needed and taken out again, for there is room for three.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from teleport.api.join_messages import Accepted
from teleport.api.join_proofs import TpmAsk, TpmInit, TpmSolution, read, write
from teleport.base.entropy import Entropy
from teleport.base.errors import TeleportError, Unavailable
from teleport.net.tpm_device import TpmDevice
from teleport.pki import tpm
from teleport.wire import tpm2

VARIABLE = "TELEPORT_TPM"
"""Names the device or the Unix socket of the chip, where it is not the usual one."""

_AGAIN, _PAUSE = 50, 0.1
"""How often a chip that is busy is asked again, and after how many seconds."""


class Chip(Protocol):
    """Carries commands."""

    async def exchange(self, command: bytes) -> bytes:
        """Return the answer to a command."""
        ...


@dataclass(frozen=True, slots=True)
class Endorsement:
    """Which chip it is."""

    key: bytes
    """SubjectPublicKeyInfo."""
    certificate: bytes
    """DER; empty where its maker has put none into it."""

    @property
    def key_hash(self) -> str:
        """See `pki.tpm.key_hash`."""
        return tpm.key_hash(tpm.load_key(self.key))

    @property
    def serial(self) -> str:
        """Serial number of the certificate; empty without one."""
        return tpm.serial_text(tpm.load_certificate(self.certificate)[0]) if self.certificate else ""


class TpmMethod:
    """Implements `client.joining.join.Method`."""

    name = "tpm"

    def __init__(self, device: Callable[[], TpmDevice], entropy: Entropy) -> None:
        self._device = device
        self._entropy = entropy
        self._ak = b""

    async def first(self, accepted: Accepted) -> bytes:
        """Return which chip this is, and the key that a credential shall be bound to."""
        async with self._device() as chip:
            told = await identify(chip)
            async with _loaded(chip, tpm2.create_ak()) as ak:
                self._ak = ak.public
        return write(TpmInit(ek_key=told.key, ek_cert=told.certificate, ak_public=self._ak))

    async def solve(self, challenge: bytes) -> bytes:
        """Have the chip open the credential. Raises Unavailable (CLIENT-JOIN-PROOF)."""
        asked = read(challenge, TpmAsk)
        async with (
            self._device() as chip,
            _loaded(chip, tpm2.create_ek()) as ek,
            _loaded(chip, tpm2.create_ak()) as ak,
        ):
            if ak.public != self._ak:
                raise Unavailable("CLIENT-JOIN-PROOF", method=self.name, problem="the chip was reset during the join")
            secret = await _open(chip, ek, ak, asked, self._entropy.token(16))
        return write(TpmSolution(secret=secret))

    async def keep(self, keepsake: bytes) -> None:
        """There is nothing to keep."""


async def identify(chip: Chip) -> Endorsement:
    """Ask a chip which one it is. Raises Unavailable (NET-TPM*), ProtocolError (WIRE-*), BadParameter (PKI-TPM)."""
    async with _loaded(chip, tpm2.create_ek()) as ek:
        key = tpm.key_der(tpm.rsa_key(tpm2.read_rsa(ek.public)))
    return Endorsement(key, await _certificate(chip))


async def _certificate(chip: Chip) -> bytes:
    """Return what stands where makers put the certificate, if it is one for the endorsement key."""
    try:
        size = tpm2.read_nv_size(await _say(chip, tpm2.nv_read_public(tpm2.EK_CERTIFICATE)))
    except Unavailable:  # nothing stands there
        return b""
    found = b""
    while len(found) < size:
        part = min(tpm2.CHUNK, size - len(found))
        read_now = tpm2.read_bytes(await _say(chip, tpm2.nv_read(tpm2.EK_CERTIFICATE, part, len(found))))
        found += read_now or bytes(part)
    return tpm.cut(found)


@asynccontextmanager
async def _loaded(chip: Chip, command: bytes) -> AsyncIterator[tpm2.Primary]:
    made = tpm2.read_primary(await _say(chip, command))
    try:
        yield made
    finally:
        await _flush(chip, made.handle)


async def _open(chip: Chip, ek: tpm2.Primary, ak: tpm2.Primary, asked: TpmAsk, nonce: bytes) -> bytes:
    session = tpm2.read_session(await _say(chip, tpm2.start_policy(nonce)))
    try:
        tpm2.read_done(await _say(chip, tpm2.policy_secret(session)))
        opened = tpm2.activate(ak.handle, ek.handle, session, asked.blob, asked.secret)
        return tpm2.read_bytes(await _say(chip, opened))
    except TeleportError:
        await _flush(chip, session)  # its use in the last command has ended it otherwise
        raise


async def _flush(chip: Chip, handle: int) -> None:
    tpm2.read_done(await _say(chip, tpm2.flush(handle)))


async def _say(chip: Chip, command: bytes) -> bytes:
    answer = await chip.exchange(command)
    for _ in range(_AGAIN):
        if not tpm2.is_busy(answer):
            break
        await asyncio.sleep(_PAUSE)
        answer = await chip.exchange(command)
    return answer
