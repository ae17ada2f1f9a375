"""Passwords: how they are stored and compared.

A password is kept as an argon2id hash (RFC 9106) beside the user, not in it: at
`/web/users/<name>/pwd`. Comparing costs the same whether the user exists or not. Hashing takes a tenth
of a second and 64 MiB, so it runs in threads, two at a time at most.

Not here: how often one may try (`auth.attempts`), links that set a password (`auth.invites`).
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar, TypeVarTuple, Unpack

import msgspec
from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter, NotFound
from teleport.store.backend import Backend, Delete, Put

T = TypeVar("T")
A = TypeVarTuple("A")

MINIMUM = 12
MAXIMUM = 128
"""Characters of a password."""
_AT_ONCE = 2
_SALT = 16
_LENGTH = 32


@dataclass(frozen=True, slots=True)
class Cost:
    """What one comparison costs. The default is the second recommendation of RFC 9106, section 4."""

    memory_kib: int = 65536
    passes: int = 3
    lanes: int = 4


class _Stored(msgspec.Struct):
    hash: str
    """PHC string: it carries salt and cost, so that both can change."""


def key_of(user: str) -> str:
    """Return where the password of a user stands. `user` is a checked name."""
    return f"/web/users/{user}/pwd"


class Passwords:
    """Makes and compares hashes; stores nothing by itself."""

    def __init__(self, backend: Backend, entropy: Entropy, *, cost: Cost | None = None) -> None:
        self._backend = backend
        self._entropy = entropy
        self._cost = cost or Cost()
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="argon2")
        self._decoy = ""

    async def put_op(self, user: str, password: str) -> Put:
        """Return the operation that stores a new password. Raises BadParameter (AUTH-PASSWORD-LENGTH)."""
        if not MINIMUM <= len(password) <= MAXIMUM:
            raise BadParameter("AUTH-PASSWORD-LENGTH", minimum=MINIMUM, maximum=MAXIMUM)
        return Put(key_of(user), msgspec.json.encode(_Stored(await self._hash(password))))

    def delete_op(self, user: str) -> Delete:
        """Return the operation that removes the password."""
        return Delete(key_of(user))

    async def exists(self, user: str) -> bool:
        """Say whether the user has a password."""
        return await self._stored(user) is not None

    async def revision(self, user: str) -> int | None:
        """Return the revision of the user's password, None for one who has none: a new password is another one."""
        try:
            return (await self._backend.get(key_of(user))).revision
        except NotFound:
            return None

    async def matches(self, user: str, password: str) -> bool:
        """Compare. An empty `user`, one without a password and a wrong password cost the same."""
        stored = await self._stored(user) if user else None
        if stored is None and not self._decoy:
            self._decoy = await self._hash("there is no such user")
        same = await self._in_thread(_same, password[: MAXIMUM + 1], stored or self._decoy)
        return same and stored is not None

    async def warm_up(self) -> None:
        """Make the hash that stands in for unknown users, so that the first of them is as quick as any."""
        self._decoy = await self._hash("there is no such user")

    def close(self) -> None:
        """Release the threads."""
        self._threads.shutdown(wait=True)

    async def _stored(self, user: str) -> str | None:
        try:
            return msgspec.json.decode((await self._backend.get(key_of(user))).value, type=_Stored).hash
        except NotFound:
            return None

    async def _hash(self, password: str) -> str:
        return await self._in_thread(_derive, password, self._entropy.token(_SALT), self._cost)

    async def _in_thread(self, work: Callable[[Unpack[A]], T], *arguments: *A) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)


def _derive(password: str, salt: bytes, cost: Cost) -> str:
    kdf = Argon2id(
        salt=salt, length=_LENGTH, iterations=cost.passes, lanes=cost.lanes, memory_cost=cost.memory_kib
    )  # fmt: skip
    return kdf.derive_phc_encoded(_bytes_of(password))


def _same(password: str, stored: str) -> bool:
    try:
        Argon2id.verify_phc_encoded(_bytes_of(password), stored)
    except InvalidKey:
        return False
    return True


def _bytes_of(password: str) -> bytes:
    """One spelling per password: keyboards compose letters and marks differently (RFC 8265, section 4.2)."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
