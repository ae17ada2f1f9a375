"""Tokens: finding the one that is shown, and knowing why it is not there any more.

Those of the configuration file are looked at first and compared in constant time, then those that were made at run
time. Of one that is not there it is known whether it has ended, was removed, was used up or never was: for that a mark
stands under a digest of the name, for a month longer than the token.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from teleport.auth.hooks import Hooks
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.errors import AccessDenied, BadParameter, TeleportError
from teleport.base.struct import Secret, Struct, decode, encode
from teleport.model.identity import Identity
from teleport.model.kinds.token import Token, TokenSpec
from teleport.model.resource import Metadata, Resource, Time
from teleport.model.token_methods.bound_keypair import BoundKeypairStatus, TokenStatus
from teleport.store.backend import Backend, Delete, Op, Present, Put
from teleport.store.resources import Resources, info_of, key_of

_SECRET = 16
"""Bytes of a registration secret that is made here."""
REMEMBERED = dt.timedelta(days=30)
"""How long it is known of a token what became of it."""
ASKED_AGAIN = dt.timedelta(hours=1)
"""How long a bot whose first answer was lost may ask again with a token that it has used up."""
_MAKE = {"Bot": "tctl bots instances add NAME"}
"""How who joins in a role gets a token; all others are hosts."""
_NOT_THERE = ("STORE-RESOURCE-NOT-FOUND", "STORE-RESOURCE-NAME")


class _Mark(Struct, frozen=True, kw_only=True):
    """What is known of a token by its digest."""

    expires: Time | None = None
    gone: str = ""
    """`used` or `removed`, where it was before its end."""
    at: Time | None = None
    """When that was."""
    keys: str = ""
    """Of a bot's token that was used: digest of the public keys that were certified."""
    bot: str = ""
    instance: str = ""
    """The instance that has them."""


@dataclass(frozen=True, slots=True)
class Use:
    """How a bot has used its token up."""

    bot: str
    instance: str
    keys: str = field(repr=False)
    """Digest of the public keys that were certified."""

    def token(self, name: str) -> Token:
        """Return the token as far as it matters to who asks again."""
        return Token(
            version="v2", metadata=Metadata(name=name), spec=TokenSpec(roles=("Bot",), bot_name=self.bot)
        )  # fmt: skip

    def is_of(self, keys: str) -> bool:
        """Whether these are the keys, by their digest."""
        return hmac.compare_digest(self.keys, keys)


@dataclass(frozen=True, slots=True)
class Missing:
    """Why no token was found."""

    reason: str
    fate: str = ""
    """`expired`, `used`, `removed`; empty: there was none."""
    use: Use | None = None
    """By whom it was used a while ago, if that was a bot which may ask again."""

    def refusal(self, host: str, role: str) -> AccessDenied:
        """Return the error for who showed the name. What became of a token is told to them: they know its name, which
        mostly is a secret, and the marks end a month after the token."""
        make = _MAKE.get(role, "tctl tokens add --type=node")
        if self.fate == "expired":
            return AccessDenied("AUTH-TOKEN-EXPIRED", host=host, role=role, reason=self.reason, make=make)
        if self.fate == "used":
            return AccessDenied("AUTH-TOKEN-USED", host=host, role=role, reason=self.reason, make=make)
        if self.fate == "removed":
            return AccessDenied("AUTH-TOKEN-REMOVED", host=host, role=role, reason=self.reason, make=make)
        return AccessDenied("AUTH-JOIN-TOKEN", host=host, role=role, make=make)


class Tokens:
    """Finds tokens. `static` are those of the configuration file."""

    def __init__(self, backend: Backend, resources: Resources, clock: Clock, static: Sequence[Token] = ()) -> None:
        self._backend = backend
        self._resources = resources
        self._clock = clock
        self._static = tuple(static)

    async def find(self, name: str) -> Token | Missing:
        """Return the token of that name, or why there is none. Raises what the store raises."""
        wanted, found = _digest(name), None
        for token in self._static:
            if hmac.compare_digest(_digest(token.name), wanted):
                found = token
        if found is not None:
            return found
        try:
            token = await self._resources.get(Token, name)
        except TeleportError as error:
            if error.code not in _NOT_THERE:
                raise
            return await self._missing(name)
        if token.is_static:
            return Missing("it stood in a configuration file")
        return token

    async def _missing(self, name: str) -> Missing:
        try:
            mark = decode((await self._backend.get(_mark_key(name))).value, _Mark)
        except TeleportError:
            return Missing("no token has this name")
        if mark.gone and mark.at:
            lately = bool(mark.keys) and self._clock.now() < mark.at + ASKED_AGAIN
            use = Use(mark.bot, mark.instance, mark.keys) if lately else None
            return Missing(f"it was {mark.gone} at {mark.at.isoformat()}", mark.gone, use)
        if mark.expires and mark.expires <= self._clock.now():
            return Missing(f"it expired at {mark.expires.isoformat()}", "expired")
        return Missing("no token has this name")

    def use_up_ops(self, token: Token, use: Use | None = None) -> tuple[Op, ...]:
        """Return the operations that remove a token which is good for one join, if it is still there."""
        key = key_of(info_of(Token), token.name)
        return (Delete(key, Present()), self.mark_op(token, "used", use))

    def mark_op(self, token: Token, gone: str = "", use: Use | None = None) -> Put:
        """Return the operation that notes what is known of a token; `gone`: that it is used or removed now, `use`: by
        which bot it is used."""
        end, now, by = token.metadata.expires, self._clock.now(), use or Use("", "", "")
        mark = _Mark(
            expires=end, gone=gone, at=now if gone else None, keys=by.keys, bot=by.bot, instance=by.instance
        )  # fmt: skip
        return Put(_mark_key(token.name), encode(mark), expires=max(end or now, now) + REMEMBERED)

    async def publish(self) -> None:
        """Show the tokens of the configuration file in lists, and take away those that are not in it any more."""
        for found in await self._resources.list(Token):
            if found.is_static and found.name not in {t.name for t in self._static}:
                await self._resources.delete(Token, found.name)
        for token in self._static:
            await self._resources.upsert(token)


class TokenHooks(Hooks):
    """Tokens of the configuration file are written there alone; of the others it is noted what becomes of them."""

    def __init__(self, tokens: Tokens, clock: Clock, entropy: Entropy) -> None:
        self._tokens = tokens
        self._clock = clock
        self._entropy = entropy

    async def prepare(
        self, new: Resource[Any], old: Resource[Any] | None, by: Identity
    ) -> tuple[Resource[Any], Sequence[Op]]:
        assert isinstance(new, Token)  # noqa: S101 - the table of hooks pairs kind and hooks
        for token in (new, old):
            _check_origin(token)
        noted = self._status(new, old if isinstance(old, Token) else None)
        return noted, (self._tokens.mark_op(new),) if new.metadata.expires else ()

    def _status(self, new: Token, old: Token | None) -> Token:
        """Return the token with what the Auth Service has noted of it; a secret is made where one is needed."""
        status, wanted = old.status if old else None, new.spec.bound_keypair
        if wanted is not None and (status is None or status.bound_keypair is None):
            given = wanted.onboarding.registration_secret
            made = given or Secret("" if wanted.onboarding.initial_public_key else self._entropy.token(_SECRET).hex())
            status = TokenStatus(bound_keypair=BoundKeypairStatus(registration_secret=made))
        return msgspec.structs.replace(new, status=status)

    async def before_delete(self, old: Resource[Any]) -> Sequence[Op]:
        assert isinstance(old, Token)  # noqa: S101 - the table of hooks pairs kind and hooks
        _check_origin(old)
        return (self._tokens.mark_op(old, "removed"),)


def _check_origin(token: Resource[Any] | None) -> None:
    if isinstance(token, Token) and token.is_static:
        raise BadParameter("AUTH-TOKEN-STATIC", token=token.safe_name())


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def _mark_key(name: str) -> str:
    return f"/token_marks/{_digest(name).hex()}"
