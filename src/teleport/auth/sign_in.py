"""Signing in: from what a person typed to a user, for whatever is handed out then.

Whoever may not sign in learns one thing: that it did not work. Unknown user, wrong password, wrong or
used code and a user without any of them give the same error at the same cost, and each counts as a
failure; only after all of it was right is there more to learn. What is handed out leaves when the events
that tell of it are durable, in the commit that uses the code up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from teleport.api.messages import Credentials
from teleport.auth.attempts import Attempts, Turn
from teleport.auth.passwords import Passwords
from teleport.auth.passwords import key_of as password_key
from teleport.auth.second_factor import Proof, SecondFactor
from teleport.auth.user_certs import address_of
from teleport.base.clock import Clock
from teleport.base.errors import BadParameter, CompareFailed, LimitExceeded, NotAuthenticated, NotFound, TeleportError
from teleport.model.events.user import UserLogin
from teleport.model.identity import Identity
from teleport.model.kinds.user import User
from teleport.store.audit.log import AuditLog
from teleport.store.backend import At, Backend, Check, Op
from teleport.store.resources import info_of, key_of

T = TypeVar("T")

_LONGEST_NAME = 256
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Person:
    """Who has signed in."""

    user: User
    password: int
    """Revision of the password that was right: with another one, it is not the same password any more."""


@dataclass(frozen=True, slots=True)
class HandedOut(Generic[T]):
    """What a person gets, before it leaves."""

    value: T
    identity: Identity
    ops: Sequence[Op]


@dataclass(frozen=True, slots=True)
class _Evidence:
    password: int
    proof: Proof


class SignIn:
    """Checks credentials, counts and records attempts."""

    def __init__(
        self, backend: Backend, audit: AuditLog, clock: Clock, passwords: Passwords, attempts: Attempts,
        factors: SecondFactor,
    ) -> None:  # fmt: skip
        self._backend = backend
        self._audit = audit
        self._clock = clock
        self._passwords = passwords
        self._attempts = attempts
        self._factors = factors

    async def run(self, who: Credentials, hand_out: Callable[[Person], Awaitable[HandedOut[T]]]) -> T:
        """Return what `hand_out` made for the person.

        Raises NotAuthenticated (AUTH-LOGIN, AUTH-LOGIN-MFA), LimitExceeded (AUTH-LOCKED-OUT), BadParameter
        (AUTH-MFA-REQUIRED) to anybody who shows no code where one is asked for, and what `hand_out` raises.
        """
        if self._factors.required and not who.code:
            raise BadParameter("AUTH-MFA-REQUIRED")
        try:
            async with self._attempts.attempt(who.user[: _LONGEST_NAME + 1]) as turn:
                evidence = await self._evidence(who, turn.user)
                if evidence is None:
                    raise await self._refused(who, self._attempts.failure_ops(turn))
                return await self._finish(who, turn, evidence, hand_out)
        except LimitExceeded as error:
            await self._failed(who, str(error), ())
            raise

    async def _evidence(self, who: Credentials, user: User | None) -> _Evidence | None:
        """Look at password and code, at both always."""
        name = user.name if user is not None and not user.is_expired(self._clock.now()) else ""
        password = await self._passwords.revision(name)
        matches = await self._passwords.matches(name, who.password)
        proof = await self._factors.prove(name, who.code)
        if not matches or password is None or proof is None:
            return None
        return _Evidence(password, proof)

    async def _finish(
        self, who: Credentials, turn: Turn, evidence: _Evidence, hand_out: Callable[[Person], Awaitable[HandedOut[T]]]
    ) -> T:
        for _ in range(_TRIES):
            assert turn.user is not None  # noqa: S101 - its password matched
            try:
                made = await hand_out(Person(turn.user, evidence.password))
            except TeleportError as error:
                ops = (*self._attempts.success_ops(turn), *evidence.proof.ops)
                await self._failed(who, f"{error} ({error.code})", ops)
                raise
            try:
                await self._commit(who, turn, turn.user, evidence, made)
            except (CompareFailed, NotFound):  # user, password or device were changed meanwhile
                turn = await self._attempts.again(turn)
                again = await self._evidence(who, turn.user)
                if again is None:
                    break
                evidence = again
            else:
                return made.value
        raise await self._refused(who, ())

    async def _commit(
        self, who: Credentials, turn: Turn, user: User, evidence: _Evidence, made: HandedOut[T]
    ) -> None:  # fmt: skip
        event = UserLogin(
            user=user.name, user_kind=1, success=True, user_roles=made.identity.roles,
            addr_remote=address_of(who.client_address),
        )  # fmt: skip
        await self._backend.commit(
            Check(key_of(info_of(User), user.name), At(int(user.metadata.revision))),
            Check(password_key(user.name), At(evidence.password)), *evidence.proof.ops,
            self._audit.op(event), *made.ops, *self._attempts.success_ops(turn),
        )  # fmt: skip

    async def _refused(self, who: Credentials, ops: Sequence[Op]) -> NotAuthenticated:
        """Record a failure and return the one error for all of them."""
        if self._factors.required:
            await self._failed(who, "invalid username, password or second factor", ops)
            return NotAuthenticated("AUTH-LOGIN-MFA")
        await self._failed(who, "invalid credentials", ops)
        return NotAuthenticated("AUTH-LOGIN")

    async def _failed(self, who: Credentials, why: str, ops: Sequence[Op]) -> None:
        event = UserLogin(
            user=who.user[:_LONGEST_NAME], success=False, error=why, addr_remote=address_of(who.client_address)
        )  # fmt: skip
        try:
            await self._backend.commit(self._audit.op(event), *ops)
        except (CompareFailed, NotFound):
            # The user was changed meanwhile. The count of failures stands, and refuses the next attempt.
            await self._backend.commit(self._audit.op(event))
