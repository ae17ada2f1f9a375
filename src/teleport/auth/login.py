"""Login: sign-up with a link, sign-in with a password.

Whoever may not sign in learns one thing: that it did not work. Unknown user, wrong password and a user
without a password give the same error at the same cost; only after the right password is there more
to learn. Certificates leave when the events that tell of them are durable.
"""

from __future__ import annotations

from collections.abc import Sequence

from teleport.api.messages import Invitation, LoginRequest, SignedIn
from teleport.auth.attempts import Attempts, Turn
from teleport.auth.authorities import Authorities, public
from teleport.auth.invites import Invites
from teleport.auth.passwords import Passwords
from teleport.auth.user_certs import PublicKeys, UserCertificates, address_of, read_keys
from teleport.base.clock import Clock
from teleport.base.errors import AlreadyExists, CompareFailed, LimitExceeded, NotAuthenticated, NotFound, TeleportError
from teleport.model.events.user import UserLogin, UserPasswordChange
from teleport.model.kinds.user import User
from teleport.store.audit.log import AuditLog
from teleport.store.backend import At, Backend, Check, Op, Present
from teleport.store.resources import info_of, key_of

_LONGEST_NAME = 256
_TRIES = 5


class Login:
    """Implements `api.services.login.Login`."""

    def __init__(
        self, backend: Backend, audit: AuditLog, clock: Clock, passwords: Passwords, attempts: Attempts,
        invites: Invites, certificates: UserCertificates, authorities: Authorities,
    ) -> None:  # fmt: skip
        self._backend = backend
        self._audit = audit
        self._clock = clock
        self._passwords = passwords
        self._attempts = attempts
        self._invites = invites
        self._certificates = certificates
        self._authorities = authorities

    async def describe_invite(self, token: str) -> Invitation:
        link = (await self._invites.find(token)).link
        return Invitation(link.user, link.purpose, link.expires)

    async def complete_invite(self, token: str, password: str, client_address: str) -> str:
        found = await self._invites.find(token)
        user = found.link.user
        ops: Sequence[Op] = (
            *found.burn,
            Check(key_of(info_of(User), user), Present()),
            await self._passwords.put_op(user, password),
            self._attempts.clear_op(user),
            self._audit.op(UserPasswordChange(user=user, user_kind=1, addr_remote=address_of(client_address))),
        )
        try:
            await self._backend.commit(*ops)
        except (NotFound, CompareFailed, AlreadyExists):
            raise NotFound("AUTH-INVITE") from None  # somebody else was first, or the user is gone
        return user

    async def login(self, request: LoginRequest) -> SignedIn:
        keys = read_keys(request.ssh_public_key, request.tls_public_key)
        try:
            async with self._attempts.attempt(request.user[: _LONGEST_NAME + 1]) as turn:
                user = turn.user
                known = user is not None and not user.is_expired(self._clock.now())
                if not await self._passwords.matches(user.name if user and known else "", request.password):
                    await self._failed(request, "invalid credentials", self._attempts.failure_ops(turn))
                    raise NotAuthenticated("AUTH-LOGIN")
                return await self._succeeded(request, keys, turn)
        except LimitExceeded as error:
            await self._failed(request, str(error), ())
            raise

    async def _failed(self, request: LoginRequest, why: str, ops: Sequence[Op]) -> None:
        event = UserLogin(
            user=request.user[:_LONGEST_NAME], success=False, error=why, addr_remote=address_of(request.client_address)
        )  # fmt: skip
        try:
            await self._backend.commit(self._audit.op(event), *ops)
        except (CompareFailed, NotFound):
            # The user was changed meanwhile. The count of failures stands, and refuses the next attempt.
            await self._backend.commit(self._audit.op(event))

    async def _succeeded(self, request: LoginRequest, keys: PublicKeys, turn: Turn) -> SignedIn:
        for _ in range(_TRIES):
            assert turn.user is not None  # noqa: S101 - its password matched
            try:
                return await self._issue(request, keys, turn, turn.user)
            except CompareFailed:
                turn = await self._attempts.again(turn)
        raise NotAuthenticated("AUTH-LOGIN")

    async def _issue(self, request: LoginRequest, keys: PublicKeys, turn: Turn, user: User) -> SignedIn:
        address = request.client_address
        try:
            identity = await self._certificates.identity(user, ttl=request.ttl, client_address=address)
            await self._certificates.check_locks(identity)
        except TeleportError as error:
            await self._failed(request, f"{error} ({error.code})", self._attempts.success_ops(turn))
            raise
        issued = await self._certificates.issue(identity, keys)
        event = UserLogin(
            user=user.name, user_kind=1, success=True, user_roles=identity.roles, addr_remote=address_of(address)
        )  # fmt: skip
        await self._backend.commit(
            Check(key_of(info_of(User), user.name), At(int(user.metadata.revision))),
            self._audit.op(event), self._audit.op(issued.event), *self._attempts.success_ops(turn),
        )  # fmt: skip
        return SignedIn(
            username=user.name, ssh_certificate=issued.ssh, tls_certificate=issued.tls, expires=identity.expires,
            hosts=public(await self._authorities.own("host")),
        )  # fmt: skip
