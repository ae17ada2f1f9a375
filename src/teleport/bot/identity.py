"""OwnIdentity: how a bot comes to its own certificates, keeps them fresh, and never loses its place.

The Auth Service counts the generations of a secret token's certificates and locks a bot whose certificates are not the
last ones (`access.generation`). So the next key pair is stored before it is asked for, and asked for again until there
is an answer: whatever is lost on the way - a reply, the power, room on the disk - the repetition is the same request.
Not here: connections and join methods (`Door`), when it is time (`bot.loop`), and the files (`bot.storage`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter, Internal, NotAuthenticated, NotFound, TeleportError
from teleport.base.log import logger
from teleport.bot.held import described, make_key, stamp
from teleport.bot.parts import Destination, Held
from teleport.bot.storage import Found, Next, Storage, hash_of, position

log = logger("TBOT")

SECRET = "token"  # noqa: S105 - a join method
"""The join method whose certificates renew themselves, and whose tokens are good for one join."""


class Door(Protocol):
    """The way to the Auth Service. Methods raise `base.errors`; an answer may be lost after it was given."""

    async def join(self, key: str, former: Held | None) -> Held:
        """Prove anew who this is, and have a key (PEM) certified; `former`: over a connection that shows it."""
        ...

    async def renew(self, held: Held, key: str) -> Held:
        """Have a key (PEM) certified over a connection that shows `held`."""
        ...


class OwnIdentity:
    """The bot's own identity. One at a time works with a storage: who makes this holds its lock."""

    def __init__(
        self, storage: Destination, door: Door, *, token: Callable[[], str], method: str, clock: Clock,
        entropy: Entropy, legacy: bool = False,
    ) -> None:  # fmt: skip
        """`token` returns the value of the join token, empty where none is configured, and raises where it cannot be
        read. With `legacy`, nothing is stored before it is there, as the original has it: what is lost between answer
        and storage locks the bot."""
        self._storage = Storage(storage)
        self._door = door
        self._token = token
        self._method = method
        self._clock = clock
        self._entropy = entropy
        self._legacy = legacy
        self._held: Held | None = None
        self._token_hash = ""
        self._next: Next | None = None
        self._settled = True
        self._turn = asyncio.Lock()

    @property
    def current(self) -> Held:
        """The identity in use. Raises Internal (BOT-IDENTITY-NONE) before there is one."""
        if self._held is None:
            raise Internal("BOT-IDENTITY-NONE")
        return self._held

    @property
    def known(self) -> bool:
        """Whether there is an identity to go on with, fresh or not."""
        return self._held is not None

    async def begin(self) -> Held:
        """Take what is stored and renew it, or join.

        Raises BadParameter (BOT-STORAGE-*), NotFound (BOT-NO-TOKEN), and what token, storage and door raise. Where an
        identity was stored that may still serve, it is `current` even so."""
        async with self._turn:
            await self._storage.prepare()
            configured = self._configured()
            found = await self._load(configured)
            self._next = found.next
            if found.held is None:
                return await self._join()
            loaded = f"Successfully loaded bot identity, {described(found.held)}"
            log.info(loaded)
            if _differ(configured, found.token_hash):
                log.info("Bot identity loaded from store does not match configured token")
                return await self._join()
            self._held, self._token_hash, self._settled = found.held, found.token_hash, found.settled
            return await self._go_on(found.held, configured)

    async def renew(self) -> Held:
        """Replace the identity with the next one. Raises what storage and door raise; the former stays `current` then,
        unless only storing the new one has failed, and the next attempt repeats what was not answered."""
        async with self._turn:
            return await self._renew()

    async def _load(self, configured: str) -> Found:
        try:
            return await self._storage.load()
        except BadParameter as error:
            damaged = error.code.startswith("BOT-STORAGE-")
            if not damaged or not _differ(configured, await self._storage.token_hash()):
                raise
            log.warn("The stored identity is damaged and belongs to another token: joining anew", error=error)
            return Found()

    def _configured(self) -> str:
        """Return the hash of the configured token; empty where there is none, or it cannot be read, which matters only
        to who has to join."""
        try:
            token = self._token()
        except TeleportError as error:
            log.warn("The join token was not read: only a stored identity can be used", error=error)
            return ""
        return hash_of(token) if token else ""

    async def _go_on(self, held: Held, configured: str) -> Held:
        now = self._clock.now()
        if held.expires <= now:
            if self._method != SECRET:
                log.info("The bot's identity has expired, it joins again", expires=stamp(held.expires))
                return await self._join()
            when = f"(expires: {stamp(held.expires)}, current time: {stamp(now)})"
            expired = f"Identity has expired. The renewal is likely to fail. {when}"
            log.error(expired)
        if configured:
            log.warn("Note: onboarding config ignored as identity was loaded from persistent storage")
        return await self._renew()

    async def _join(self) -> Held:
        token = self._token()
        if not token:
            raise NotFound("BOT-NO-TOKEN")
        token_hash = hash_of(token)
        key = await self._key("", token_hash)
        return await self._take(await self._door.join(key, None), key, token_hash)

    async def _renew(self) -> Held:
        held = self.current
        await self._storage.check()
        key = await self._key(position(held), self._token_hash)
        made = await (self._door.renew(held, key) if held.identity.renewable else self._prove(held, key))
        return await self._take(made, key, self._token_hash)

    async def _prove(self, held: Held, key: str) -> Held:
        """Join again as the same instance; as a new one where the certificates that show it have ended."""
        if self._clock.now() < held.expires:
            try:
                return await self._door.join(key, held)
            except NotAuthenticated as error:  # by the clock over there they have, or their authority has gone
                log.warn("The bot's identity was not recognised, it joins as a new instance", error=error)
        return await self._door.join(key, None)

    async def _key(self, follows: str, token_hash: str) -> str:
        """Return the key to ask for, which is stored: the one that was asked for before, where that fits."""
        if self._legacy:
            return make_key(self._entropy)
        kept = self._next
        if kept is None or (kept.follows, kept.token_hash) != (follows, token_hash):
            kept = Next(key=make_key(self._entropy), follows=follows, token_hash=token_hash)
            await self._storage.expect(kept, None if self._settled else self._held, self._token_hash)
            self._next = kept
        return kept.key

    async def _take(self, made: Held, key: str, token_hash: str) -> Held:
        """Use a new identity, and store it. Where that fails, what was expected is still stored: nothing is lost."""
        self._storage.accept(made, key)
        self._held, self._token_hash, self._settled = made, token_hash, False
        if self._legacy:
            await self._storage.overwrite(made, token_hash)
        else:
            await self._storage.save(made, token_hash)
        self._settled = True
        self._next = None
        return made


def _differ(configured: str, stored: str) -> bool:
    """Whether two hashes are known to be of different tokens."""
    return bool(configured and stored) and configured != stored
