"""Web sessions: a browser that has signed in, and what it may see.

The proxy that serves the browser holds no identity of the user and could make none: it hands on the
token that the browser sent, and what the session asks for is decided and done here, with the rights that
the user has at that moment. No key and no certificate belongs to a session.

A token is 256 random bits; only its SHA-256 is stored, at `/web/sessions/<hash>`. A session ends with its
time, when it is not used for a while, when the user signs out, gets another password or is deleted, and
at the first use under a lock.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from teleport.api.caller import Caller
from teleport.api.messages import Credentials, Page, Selection, WebSession
from teleport.auth.passwords import Passwords
from teleport.auth.sign_in import HandedOut, Person, SignIn
from teleport.auth.user_certs import UserCertificates, address_of
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.errors import AccessDenied, BadParameter, CompareFailed, NotAuthenticated, NotFound
from teleport.base.struct import Duration
from teleport.model.identity import Identity
from teleport.model.kinds.user import User
from teleport.store.backend import Absent, At, Backend, Delete, Item, Put
from teleport.store.resources import Resources as Store

IDLE = Duration(600)
"""Seconds after which a session that is not used ends."""
_NOTED = 30.0
"""Use is noted at most this often (seconds), oftener for a short idle time: a session may end this much early."""
_TOKEN = 32
_FORM = re.compile(r"[0-9a-f]{64}")


class _Stored(msgspec.Struct, frozen=True, kw_only=True):
    user: str
    password: int
    """Revision of the password with which the session began."""
    expires: dt.datetime
    used: dt.datetime
    ip: str = ""
    """Address from which the user signed in."""


@dataclass(frozen=True, slots=True)
class _Found:
    item: Item
    session: _Stored
    identity: Identity


class Lister(Protocol):
    """Lists resources for a caller, as `auth.resources` does."""

    async def list(self, caller: Caller, selection: Selection) -> Page: ...


class WebSessions:
    """Implements `api.services.web_sessions.WebSessions`."""

    def __init__(
        self, backend: Backend, store: Store, clock: Clock, entropy: Entropy, sign_in: SignIn, passwords: Passwords,
        certificates: UserCertificates, resources: Lister, *, idle: float = IDLE,
    ) -> None:  # fmt: skip
        """`idle`: seconds after which a session that is not used ends; 0: not before its time."""
        self._backend = backend
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._sign_in = sign_in
        self._passwords = passwords
        self._certificates = certificates
        self._resources = resources
        self._idle = dt.timedelta(seconds=idle) if idle else None
        self._noted = min(_NOTED, idle / 20) if idle else _NOTED

    async def sign_in(self, who: Credentials, former: str) -> tuple[str, WebSession]:
        """See `api.services.web_sessions`. Raises what `auth.sign_in` raises."""

        async def begin(person: Person) -> HandedOut[tuple[str, WebSession]]:
            identity = await self._certificates.identity(person.user, client_address=who.client_address)
            await self._certificates.check_locks(identity)
            token, now = self._entropy.token(_TOKEN).hex(), self._clock.now()
            session = _Stored(
                user=person.user.name, password=person.password, expires=identity.expires, used=now,
                ip=identity.login_ip,
            )  # fmt: skip
            put = Put(_key(token), msgspec.json.encode(session), self._ends(session), Absent())
            # A browser begins anew: whoever planted the former token in it has nothing of this session.
            ops = (put, Delete(_key(former))) if _FORM.fullmatch(former) else (put,)
            return HandedOut((token, _public(identity)), identity, ops)

        return await self._sign_in.run(who, begin)

    async def describe(self, token: str, client_address: str) -> WebSession:
        """See `api.services.web_sessions`. Raises NotAuthenticated (AUTH-SESSION), AccessDenied (POL-LOCKED)."""
        return _public((await self._use(token, client_address)).identity)

    async def sign_out(self, token: str) -> None:
        """See `api.services.web_sessions`."""
        if _FORM.fullmatch(token):
            await self._backend.commit(Delete(_key(token)))

    async def list(self, token: str, client_address: str, selection: Selection) -> Page:
        """See `api.services.web_sessions`. Raises as `describe`, and what listing raises."""
        found = await self._use(token, client_address)
        return await self._resources.list(Caller(found.identity, _caller_address(client_address)), selection)

    async def _use(self, token: str, client_address: str) -> _Found:
        """Return the session of a token with the user's identity as it is now, and note that it was used."""
        found = await self._find(token, client_address)
        try:
            await self._certificates.check_locks(found.identity)
        except AccessDenied:
            await self._backend.commit(Delete(found.item.key))
            raise
        now = self._clock.now()
        if (now - found.session.used).total_seconds() >= self._noted:
            used = msgspec.structs.replace(found.session, used=now)
            noted = Put(found.item.key, msgspec.json.encode(used), self._ends(used), At(found.item.revision))
            try:
                await self._backend.commit(noted)
            except (CompareFailed, NotFound):
                pass  # another request noted it, or ended the session: the next use will see
        return found

    async def _find(self, token: str, client_address: str) -> _Found:
        if not _FORM.fullmatch(token):
            raise NotAuthenticated("AUTH-SESSION")
        try:
            item = await self._backend.get(_key(token))
            session = msgspec.json.decode(item.value, type=_Stored)
            user = await self._store.get(User, session.user)
        except NotFound:
            raise NotAuthenticated("AUTH-SESSION") from None
        identity = await self._identity(user, session)
        now, ip = self._clock.now(), address_of(client_address)
        holds = (
            now < self._ends(session)
            and now < identity.expires
            and not user.is_expired(now)
            and await self._passwords.revision(user.name) == session.password
            and identity.pinned_ip in ("", ip)
        )
        if not holds:
            await self._backend.commit(Delete(item.key))
            raise NotAuthenticated("AUTH-SESSION")
        return _Found(item, session, identity)

    async def _identity(self, user: User, session: _Stored) -> Identity:
        """Return whom the session acts as: the user with the roles of now, until the session's end."""
        try:
            identity = await self._certificates.identity(user, client_address=session.ip)
        except BadParameter:  # roles that do not exist any more
            raise NotAuthenticated("AUTH-SESSION") from None
        changes: dict[str, Any] = {"expires": min(session.expires, identity.expires)}
        return msgspec.structs.replace(identity, **changes)

    def _ends(self, session: _Stored) -> dt.datetime:
        return session.expires if self._idle is None else min(session.expires, session.used + self._idle)


def _caller_address(client_address: str) -> str:
    """Write an address in the form of `Caller.address`; the port is not known here."""
    ip = address_of(client_address)
    return f"[{ip}]:0" if ":" in ip else f"{ip}:0"


def _public(identity: Identity) -> WebSession:
    return WebSession(user=identity.name, roles=identity.roles, expires=identity.expires)


def _key(token: str) -> str:
    return f"/web/sessions/{hashlib.sha256(token.encode()).hexdigest()}"
