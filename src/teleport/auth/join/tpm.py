"""Join method tpm: a machine opens what only the chip inside of it can open.

The challenge is a random secret, made for this conversation, so no answer is good for a second one. Whoever cannot
open it, and whoever no rule names, is told so after the same steps: a stranger does not learn which chips are known.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from teleport.api import join_proofs
from teleport.auth.join.method import Proven, Request
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.errors import TeleportError
from teleport.model.token_methods.tpm import Tpm, TpmRule
from teleport.pki import tpm
from teleport.wire import tpm2


@dataclass(frozen=True, slots=True)
class _Chip:
    key_hash: str
    serial: str
    """Empty: it has no certificate."""
    credential: tpm.Credential


class TpmJoin:
    """Implements `auth.join.method.Prove`."""

    def __init__(self, clock: Clock, entropy: Entropy) -> None:
        self._clock = clock
        self._entropy = entropy

    async def __call__(self, request: Request) -> Proven:
        """Find out which chip it is, have it open a secret, and find a rule for it."""
        wanted = request.token.spec.tpm
        assert wanted is not None  # noqa: S101 - `Token.check` demands it
        said, secret = join_proofs.read(request.start.proof, join_proofs.TpmInit), self._entropy.token(32)
        if wanted.ekcert_allowed_cas and not said.ek_cert:
            raise request.refuse("the chip has no certificate, which the token demands (ekcert_allowed_cas)")
        try:
            chip = self._chip(said, wanted, secret)
        except TeleportError as error:
            raise request.refuse(error.what) from None
        ask = join_proofs.TpmAsk(blob=chip.credential.blob, secret=chip.credential.secret)
        solution = join_proofs.read(await request.ask(join_proofs.write(ask)), join_proofs.TpmSolution)
        if not hmac.compare_digest(solution.secret, secret):
            raise request.refuse("the chip did not open the credential: it does not hold this endorsement key")
        if not any(_matches(rule, chip) for rule in wanted.allow):
            raise request.no_rule(f"the TPM with the ek_public_hash {chip.key_hash}")
        return Proven(attributes={"ek_public_hash": chip.key_hash, "ek_certificate_serial": chip.serial})

    def _chip(self, said: join_proofs.TpmInit, wanted: Tpm, secret: bytes) -> _Chip:
        """Return what is said of a chip, as far as its certificate proves it. Raises BadParameter (PKI-TPM, WIRE-*)."""
        key, serial = tpm.load_key(said.ek_key), ""
        if said.ek_cert:
            certificate, certified = tpm.load_certificate(said.ek_cert)
            key, serial = certified, tpm.serial_text(certificate)
            if wanted.ekcert_allowed_cas:
                tpm.check_issued(certificate, wanted.ekcert_allowed_cas, now=self._clock.now())
        name = tpm2.ak_name(said.ak_public)
        return _Chip(tpm.key_hash(key), serial, tpm.make_credential(key, name, secret, self._entropy))


def _matches(rule: TpmRule, chip: _Chip) -> bool:
    key = not rule.ek_public_hash or rule.ek_public_hash == chip.key_hash
    return key and (not rule.ek_certificate_serial or rule.ek_certificate_serial == chip.serial)
