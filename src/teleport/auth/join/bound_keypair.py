"""Join method bound_keypair: a client that holds a key, which nobody else holds.

The order is the protection: first the key proves itself, then locks are looked at, then what the client has kept of
its last join, then its key is replaced if that is due. Who has not the key learns nothing and changes nothing. Who has
it and not what was kept - a copy of the client - makes the token lock itself: of two who hold one key, one is a thief.

Every change of what is known of the token goes into the commit of the join, over the revision that was read.
"""

from __future__ import annotations

import datetime as dt
import hmac
from collections.abc import Sequence

import msgspec
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from teleport.api import join_proofs
from teleport.auth.join.join_state import JoinState, StateKeeper
from teleport.auth.join.method import Proven, Request
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy, new_uuid
from teleport.base.errors import AccessDenied, TeleportError
from teleport.base.log import logger
from teleport.base.struct import Secret
from teleport.model.kinds.lock import Lock, LockTarget
from teleport.model.kinds.token import Token
from teleport.model.token_methods.bound_keypair import BoundKeypair, BoundKeypairStatus, TokenStatus
from teleport.pki import jws, keys
from teleport.store.backend import At, Op
from teleport.store.resources import Resources

log = logger("AUTH")

CHALLENGE_LIFE = dt.timedelta(minutes=1)
_LOCKED = (
    'The join token "{token}" has been locked by {who} after a client failed to verify its join state, '
    "possibly indicating a stolen keypair."
)


class BoundKeypairJoin:
    """Implements `auth.join.method.Prove`."""

    def __init__(
        self, resources: Resources, states: StateKeeper, clock: Clock, entropy: Entropy, cluster: str
    ) -> None:  # fmt: skip
        self._resources = resources
        self._states = states
        self._clock = clock
        self._entropy = entropy
        self._cluster = cluster

    async def __call__(self, request: Request) -> Proven:
        """Let the client prove its key, and note what follows."""
        said = join_proofs.read(request.start.proof, join_proofs.BoundInit)
        wanted, status = _parts(request.token)
        if not status.bound_public_key:
            return await self._first(request, said, wanted, status)
        bound = _bound_to(request, status)
        if not bound:
            raise request.refuse("bad backend state, please recreate the join token")
        await self._challenge(request, status.bound_public_key)
        recovers = not _asking(request)
        if recovers and wanted.mode == "standard" and status.recovery_count >= wanted.recovery.limit:
            raise request.refuse("no rejoins remaining")
        await request.unlocked(status.bound_host_id)
        await self._check_state(request, said.previous_join_state, wanted, status)
        if not recovers and _asking(request) != bound:
            raise request.refuse("bot instance mismatch" if request.bot_name else "host id mismatch")
        if _rotation_due(wanted, status, self._clock.now()):
            status = await self._rotate(request, status)
        return await self._proven(request, wanted, status, recovers=recovers)

    async def _first(
        self, request: Request, said: join_proofs.BoundInit, wanted: BoundKeypair, status: BoundKeypairStatus
    ) -> Proven:
        if _asking(request):
            raise request.refuse("cannot perform first bound keypair join with existing credentials")
        if wanted.mode == "standard" and status.recovery_count >= wanted.recovery.limit:
            raise request.refuse("no recovery attempts remaining")
        key = wanted.onboarding.initial_public_key
        if key:
            await self._challenge(request, key)
        else:
            self._check_secret(request, said.initial_join_secret, wanted, status)
            key = await self._new_key(request)
        await request.unlocked("")
        bound = msgspec.structs.replace(
            status, bound_public_key=key, registration_secret=Secret(""), last_rotated_at=self._clock.now(),
            bound_host_id="" if request.bot_name else new_uuid(self._entropy),
        )  # fmt: skip
        return await self._proven(request, wanted, bound, recovers=True)

    def _check_secret(self, request: Request, said: str, wanted: BoundKeypair, status: BoundKeypairStatus) -> None:
        known, before = status.registration_secret.reveal(), wanted.onboarding.must_register_before
        same = hmac.compare_digest(said.encode(), known.encode())
        if not known or not same or (before is not None and self._clock.now() >= before):
            raise request.refuse("a valid registration secret is required")

    async def _challenge(self, request: Request, line: str) -> None:
        """Let the holder of a key sign a challenge. Raises AccessDenied (AUTH-JOIN-PROOF)."""
        key = _key(line)
        nonce = jws.encode_part(self._entropy.token(32))
        claims = join_proofs.BoundClaims(
            nonce=nonce, iss=self._cluster, aud=self._cluster, sub=keys.fingerprint(keys.ssh_blob(key.key)),
            exp=int((self._clock.now() + CHALLENGE_LIFE).timestamp()),
        )  # fmt: skip
        answer = await request.ask(join_proofs.write(join_proofs.BoundAsk(challenge=claims)))
        try:
            signed = jws.read(join_proofs.read(answer, join_proofs.BoundSolution).signed)
            said = jws.verify(signed, [key], issuer=self._cluster, audience=self._cluster, now=self._clock.now())
        except TeleportError:
            raise request.refuse("failed to complete challenge") from None
        if not hmac.compare_digest(str(said.get("nonce", "")).encode(), nonce.encode()):
            raise request.refuse("failed to complete challenge")

    async def _new_key(self, request: Request) -> str:
        """Let the client make a key, and prove that it holds it."""
        answer = await request.ask(join_proofs.write(join_proofs.BoundAsk(rotate=True)))
        line = join_proofs.read(answer, join_proofs.BoundSolution).public_key
        try:
            _key(line)
        except TeleportError as error:
            raise request.refuse(error.what) from None
        await self._challenge(request, line)
        return keys.ssh_line(keys.load_ssh_line(line))

    async def _rotate(self, request: Request, status: BoundKeypairStatus) -> BoundKeypairStatus:
        line = await self._new_key(request)
        if keys.load_ssh_line(line) == keys.load_ssh_line(status.bound_public_key):
            raise request.refuse("public key may not be reused after rotation")
        return msgspec.structs.replace(status, bound_public_key=line, last_rotated_at=self._clock.now())

    async def _check_state(
        self, request: Request, state: str, wanted: BoundKeypair, status: BoundKeypairStatus
    ) -> None:
        """Compare what the client has kept with what is known. Raises AccessDenied after locking the token."""
        if wanted.mode == "insecure" or status.recovery_count == 0:
            return
        problem = await self._states.problem(state, _state(request, wanted, status))
        if not problem:
            return
        log.warn("A client failed to verify its join state", token_name=request.token.safe_name(),
                 host_id=status.bound_host_id, bot=request.bot_name, problem=problem)  # fmt: skip
        await self._lock(request, status)
        raise request.refuse("join state verification failed")

    async def _lock(self, request: Request, status: BoundKeypairStatus) -> None:
        who = f'bot "{request.bot_name}"' if request.bot_name else f'host "{status.bound_host_id}"'
        token, name = request.token.name, new_uuid(self._entropy)
        message = _LOCKED.format(token=token, who=who)
        lock = Lock.against(LockTarget(join_token=token), message, name=name, at=self._clock.now(), by="Auth")
        await self._resources.create(lock)

    async def _proven(
        self, request: Request, wanted: BoundKeypair, status: BoundKeypairStatus, *, recovers: bool
    ) -> Proven:
        previous = status.bound_bot_instance_id if recovers else ""
        if recovers:
            status = msgspec.structs.replace(
                status, recovery_count=status.recovery_count + 1, last_recovered_at=self._clock.now(),
                bound_bot_instance_id=new_uuid(self._entropy) if request.bot_name else "",
            )  # fmt: skip
        state = await self._states.sign(_state(request, wanted, status))
        kept = join_proofs.BoundKeepsake(join_state=state, bound_public_key=status.bound_public_key)
        return Proven(
            attributes={"key": keys.fingerprint(keys.load_ssh_line(status.bound_public_key)),
                        "recovery_count": str(status.recovery_count), "recovery_mode": wanted.mode},
            host_id=status.bound_host_id, instance_id=status.bound_bot_instance_id, previous_id=previous,
            ops=self._ops(request.token, status), keepsake=join_proofs.write(kept),
        )  # fmt: skip

    def _ops(self, token: Token, status: BoundKeypairStatus) -> Sequence[Op]:
        changed = msgspec.structs.replace(token, status=TokenStatus(bound_keypair=status))
        return (self._resources.put_op(changed, At(int(token.metadata.revision))),)


def _parts(token: Token) -> tuple[BoundKeypair, BoundKeypairStatus]:
    wanted = token.spec.bound_keypair
    assert wanted is not None  # noqa: S101 - `Token.check` demands it
    known = token.status.bound_keypair if token.status else None
    return wanted, known or BoundKeypairStatus()


def _asking(request: Request) -> str:
    """Return the id that who asks has proven by a certificate; empty: none."""
    return request.instance_id if request.bot_name else request.host_id


def _bound_to(request: Request, status: BoundKeypairStatus) -> str:
    return status.bound_bot_instance_id if request.bot_name else status.bound_host_id


def _state(request: Request, wanted: BoundKeypair, status: BoundKeypairStatus) -> JoinState:
    """Return the join state of the last join that is known."""
    return JoinState(
        host_id=status.bound_host_id, bot_name=request.bot_name, bot_instance_id=status.bound_bot_instance_id,
        recovery_sequence=status.recovery_count, recovery_mode=wanted.mode, recovery_limit=wanted.recovery.limit,
    )  # fmt: skip


def _key(line: str) -> jws.SigningKey:
    """Return a key as one that verifies. Raises AccessDenied or BadParameter for what cannot be bound."""
    key = keys.load_ssh_blob(keys.load_ssh_line(line.strip()))
    if isinstance(key, rsa.RSAPublicKey):
        raise AccessDenied("AUTH-JOIN-KEY", algorithm="RSA")
    algorithm = "EdDSA" if isinstance(key, ed25519.Ed25519PublicKey) else "ES256"
    return jws.SigningKey("", key, frozenset({algorithm}))


def _rotation_due(wanted: BoundKeypair, status: BoundKeypairStatus, now: dt.datetime) -> bool:
    after, last = wanted.rotate_after, status.last_rotated_at
    return after is not None and now >= after and (last is None or last < after)
