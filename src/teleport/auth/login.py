"""Login: sign-up with a link, and certificates for a person who signs in.

Not here: whether somebody may sign in (`auth.sign_in`), browsers (`auth.web_sessions`).
"""

from __future__ import annotations

from collections.abc import Sequence

from teleport.api.messages import Invitation, LoginRequest, SignedIn, SignUp
from teleport.auth.attempts import Attempts
from teleport.auth.authorities import Authorities, public
from teleport.auth.invites import Invites
from teleport.auth.passwords import Passwords
from teleport.auth.second_factor import SecondFactor
from teleport.auth.sign_in import HandedOut, Person, SignIn
from teleport.auth.user_certs import UserCertificates, address_of, read_keys
from teleport.base.errors import AlreadyExists, CompareFailed, NotFound
from teleport.model.events.user import UserPasswordChange
from teleport.model.kinds.user import User
from teleport.store.audit.log import AuditLog
from teleport.store.backend import Backend, Check, Op, Present
from teleport.store.resources import info_of, key_of


class Login:
    """Implements `api.services.login.Login`."""

    def __init__(
        self, backend: Backend, audit: AuditLog, passwords: Passwords, attempts: Attempts, invites: Invites,
        factors: SecondFactor, sign_in: SignIn, certificates: UserCertificates, authorities: Authorities,
    ) -> None:  # fmt: skip
        self._backend = backend
        self._audit = audit
        self._passwords = passwords
        self._attempts = attempts
        self._invites = invites
        self._factors = factors
        self._sign_in = sign_in
        self._certificates = certificates
        self._authorities = authorities

    async def describe_invite(self, token: str, browser: str) -> Invitation:
        link = (await self._invites.find(token)).link
        offered = self._factors.offer(link.user, link.seed, browser)
        return Invitation(link.user, link.purpose, link.expires, offered)

    async def complete_invite(self, request: SignUp) -> str:
        found = await self._invites.find(request.token)
        user, address = found.link.user, address_of(request.client_address)
        password = await self._passwords.put_op(user, request.password)
        enrol = await self._factors.enrol_ops(
            user, found.link.seed, request.browser, request.code, name=request.device_name, client_ip=address
        )  # fmt: skip
        ops: Sequence[Op] = (
            *found.burn,
            Check(key_of(info_of(User), user), Present()),
            password,
            *enrol,
            self._attempts.clear_op(user),
            self._audit.op(UserPasswordChange(user=user, user_kind=1, addr_remote=address)),
        )
        try:
            await self._backend.commit(*ops)
        except (NotFound, CompareFailed, AlreadyExists):
            raise NotFound("AUTH-INVITE") from None  # somebody else was first, or the user is gone
        return user

    async def login(self, request: LoginRequest) -> SignedIn:
        keys = read_keys(request.ssh_public_key, request.tls_public_key)

        async def issue(person: Person) -> HandedOut[SignedIn]:
            identity = await self._certificates.identity(
                person.user, ttl=request.ttl, client_address=request.client_address
            )  # fmt: skip
            await self._certificates.check_locks(identity)
            issued = await self._certificates.issue(identity, keys)
            signed = SignedIn(
                username=identity.name, ssh_certificate=issued.ssh, tls_certificate=issued.tls,
                expires=identity.expires, hosts=public(await self._authorities.own("host")),
            )  # fmt: skip
            return HandedOut(signed, identity, (self._audit.op(issued.event),))

        return await self._sign_in.run(request, issue)
