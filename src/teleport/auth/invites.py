"""Invites: links with which a person sets a password, the first one or a new one.

A token is 256 random bits; only its SHA-256 is stored, at `/web/invites/<hash>`, and the user's current
one at `/web/users/<name>/invite`. Looking at a link changes nothing. Using it deletes it under the
condition that it is still there, in the commit that writes the password, so of two who use it at the
same time one wins.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter, NotFound
from teleport.base.struct import Duration
from teleport.store.backend import Absent, At, Backend, Delete, Op, Put

Purpose = Literal["invite", "reset"]

_TOKEN = 32
_SEED = 32
_SHORTEST = 60.0
DEFAULTS = {"invite": Duration(3600), "reset": Duration(8 * 3600)}
MAXIMA = {"invite": Duration(48 * 3600), "reset": Duration(24 * 3600)}


class Stored(msgspec.Struct, frozen=True):
    """What is kept of a link."""

    user: str
    purpose: Purpose
    expires: dt.datetime
    seed: bytes = b""
    """From which `auth.second_factor` derives what a browser is offered to enrol. It never leaves the store."""


@dataclass(frozen=True, slots=True)
class Found:
    """A valid link, and the operations that use it up."""

    link: Stored
    burn: tuple[Op, ...]


@dataclass(frozen=True, slots=True)
class Made:
    """A link before it is stored: the token for the person, the operations for the store."""

    token: str
    link: Stored
    ops: tuple[Op, ...]


class Invites:
    """Makes and finds links; commits nothing by itself."""

    def __init__(self, backend: Backend, clock: Clock, entropy: Entropy) -> None:
        self._backend = backend
        self._clock = clock
        self._entropy = entropy

    async def make(self, user: str, purpose: Purpose, ttl: float) -> Made:
        """Make a link that replaces earlier ones; `ttl` in seconds, 0 for the default.

        Raises BadParameter (AUTH-INVITE-TTL).
        """
        seconds = ttl or DEFAULTS[purpose]
        if not _SHORTEST <= seconds <= MAXIMA[purpose]:
            raise BadParameter("AUTH-INVITE-TTL", asked=Duration(seconds), maximum=MAXIMA[purpose])
        token = self._entropy.token(_TOKEN).hex()
        digest = _digest(token)
        expires = self._clock.now().replace(microsecond=0) + dt.timedelta(seconds=seconds)
        link = Stored(user, purpose, expires, self._entropy.token(_SEED))
        earlier = await self.forget_ops(user)
        ops = (
            Put(_link_key(digest), msgspec.json.encode(link), expires, Absent()),
            Put(_current_key(user), digest.encode(), expires),
        )
        return Made(token, link, (*(op for op in earlier if op.key != _current_key(user)), *ops))

    async def find(self, token: str) -> Found:
        """Return the link of a token. Raises NotFound (AUTH-INVITE), whatever is wrong with it."""
        digest = _digest(token)
        try:
            item = await self._backend.get(_link_key(digest))
            current = await self._backend.get(_current_key(_user_of(item.value)))
        except NotFound:
            raise NotFound("AUTH-INVITE") from None
        link = msgspec.json.decode(item.value, type=Stored)
        if link.expires <= self._clock.now() or current.value != digest.encode():
            raise NotFound("AUTH-INVITE")
        burn = (Delete(item.key, At(item.revision)), Delete(current.key, At(current.revision)))
        return Found(link, burn)

    async def forget_ops(self, user: str) -> Sequence[Delete]:
        """Return the operations that end the user's present link, if there is one."""
        try:
            digest = (await self._backend.get(_current_key(user))).value.decode()
        except NotFound:
            return ()
        return (Delete(_link_key(digest)), Delete(_current_key(user)))


def _user_of(value: bytes) -> str:
    return msgspec.json.decode(value, type=Stored).user


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _link_key(digest: str) -> str:
    return f"/web/invites/{digest}"


def _current_key(user: str) -> str:
    return f"/web/users/{user}/invite"
