"""Join state: what a client of bound_keypair keeps of its last join, signed, so that a copy of it is recognised.

It has no end: it is good until the next join, which makes another one. The authority `bound_keypair` signs it and
nothing else.
"""

from __future__ import annotations

import datetime as dt

from cryptography.hazmat.primitives.asymmetric import ed25519

from teleport.auth.authorities import Authorities
from teleport.base.clock import Clock
from teleport.base.errors import NotFound, TeleportError
from teleport.base.struct import Struct, encode
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.pki import jws, keys
from teleport.pki.signer import Signer

_BACKDATE = dt.timedelta(minutes=1)


class JoinState(Struct, frozen=True, kw_only=True):
    """What is said of the join that it was made in. The last two are for people who read it."""

    host_id: str = ""
    bot_name: str = ""
    bot_instance_id: str = ""
    recovery_sequence: int
    recovery_mode: str = ""
    recovery_limit: int = 0


class _Header(Struct, frozen=True, kw_only=True):
    alg: str
    kid: str
    typ: str


class _Claims(Struct, frozen=True, kw_only=True):
    iss: str
    aud: str
    sub: str
    iat: int
    nbf: int
    host_id: str
    bot_instance_id: str
    recovery_sequence: int
    recovery_mode: str
    recovery_limit: int


class StateKeeper:
    """Signs join states, and compares those that come back."""

    def __init__(self, authorities: Authorities, signer: Signer, clock: Clock, cluster: str) -> None:
        self._authorities = authorities
        self._signer = signer
        self._clock = clock
        self._cluster = cluster

    async def sign(self, state: JoinState) -> str:
        """Return a state as a signed token. Raises NotFound (PKI-NO-SIGNING-KEY) and what `Signer.sign` raises."""
        key_id, public = _active(await self._authorities.own("bound_keypair"))
        now = self._clock.now()
        claims = _Claims(
            iss=self._cluster, aud=self._cluster, sub=state.bot_name or state.host_id, iat=int(now.timestamp()),
            nbf=int((now - _BACKDATE).timestamp()), host_id=state.host_id, bot_instance_id=state.bot_instance_id,
            recovery_sequence=state.recovery_sequence, recovery_mode=state.recovery_mode,
            recovery_limit=state.recovery_limit,
        )  # fmt: skip
        header = _Header(alg="EdDSA", kid=_name(public), typ="JWT")
        said = f"{jws.encode_part(encode(header))}.{jws.encode_part(encode(claims))}"
        return f"{said}.{jws.encode_part(await self._signer.sign(key_id, said.encode()))}"

    async def problem(self, text: str, wanted: JoinState) -> str:
        """Return what is wrong with a state that should tell of this host or bot and this join; empty: nothing."""
        if not text:
            return "previous join state is required but was not provided"
        trusted = (await self._authorities.own("bound_keypair")).trusted_jwt()
        known = [
            jws.SigningKey(_name(key.public_key), _key(key.public_key), frozenset({"EdDSA"}))
            for key in trusted
        ]  # fmt: skip
        try:
            token = jws.read(text)
            if not token.key_id:
                return "join state could not be verified"
            jws.check_signature(token, known)
        except TeleportError:
            return "join state could not be verified"
        claims = token.claims
        if claims.get("iss") != self._cluster or claims.get("aud") != self._cluster:
            return "join state could not be verified"
        if claims.get("recovery_sequence") != wanted.recovery_sequence:
            return "recovery counter mismatch"
        if claims.get("bot_instance_id", "") != wanted.bot_instance_id:
            return "bot instance mismatch"
        return "" if claims.get("host_id") == wanted.host_id else "host id mismatch"


def _active(authority: CertAuthority) -> tuple[str, str]:
    for pair in authority.spec.active_keys.jwt:
        if pair.key_id:
            return pair.key_id, pair.public_key
    raise NotFound("PKI-NO-SIGNING-KEY", type=authority.spec.type, cluster=authority.spec.cluster_name, form="JWT")


def _name(public: str) -> str:
    return keys.fingerprint(keys.ssh_blob(_key(public)))


def _key(public: str) -> ed25519.Ed25519PublicKey:
    return ed25519.Ed25519PublicKey.from_public_bytes(keys.raw_ed25519(public))
