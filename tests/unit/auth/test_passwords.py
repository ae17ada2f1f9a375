"""Password hashes: one cost for everybody, nothing readable in the store."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable

import pytest

from teleport.auth.passwords import MAXIMUM, MINIMUM, Cost, Passwords, key_of
from teleport.base.clock import ManualClock
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import BadParameter
from teleport.store.memory import MemoryBackend

CHEAP = Cost(memory_kib=64, passes=1, lanes=1)
GOOD = "correct horse battery"


def run(story: Callable[[Passwords, MemoryBackend], Awaitable[None]]) -> None:
    async def body() -> None:
        backend = MemoryBackend(ManualClock(dt.datetime(2030, 1, 1, tzinfo=dt.UTC)))
        passwords = Passwords(backend, SeededEntropy(1), cost=CHEAP)
        try:
            await story(passwords, backend)
        finally:
            passwords.close()
            await backend.close()

    asyncio.run(body())


def test_only_the_same_password_matches() -> None:
    async def story(passwords: Passwords, backend: MemoryBackend) -> None:
        await backend.commit(await passwords.put_op("alice", GOOD))
        assert await passwords.matches("alice", GOOD)
        for wrong in ("", GOOD + "x", GOOD.upper(), "x" * 10_000):
            assert not await passwords.matches("alice", wrong)
        assert await passwords.exists("alice")
        assert not await passwords.exists("bob")
        await backend.commit(passwords.delete_op("alice"))
        assert not await passwords.matches("alice", GOOD)

    run(story)


def test_the_stored_form_is_a_hash_with_its_own_salt() -> None:
    async def story(passwords: Passwords, backend: MemoryBackend) -> None:
        values = []
        for name in ("alice", "bob"):
            await backend.commit(await passwords.put_op(name, GOOD))
            values.append((await backend.get(key_of(name))).value)
        assert values[0] != values[1]
        assert all(b"$argon2id$" in value and GOOD.encode() not in value for value in values)

    run(story)


def test_a_name_without_a_password_is_compared_with_a_decoy() -> None:
    async def story(passwords: Passwords, backend: MemoryBackend) -> None:
        await passwords.warm_up()
        decoy = passwords._decoy
        assert decoy.startswith("$argon2id$")
        assert not await passwords.matches("nobody", GOOD)
        assert not await passwords.matches("", "there is no such user")
        assert passwords._decoy == decoy

    run(story)


@pytest.mark.parametrize(
    ("size", "fits"), [(MINIMUM - 1, False), (MINIMUM, True), (MAXIMUM, True), (MAXIMUM + 1, False)]
)
def test_the_length_is_bounded(size: int, fits: bool) -> None:
    async def story(passwords: Passwords, backend: MemoryBackend) -> None:
        if fits:
            await passwords.put_op("alice", "ü" * size)
            return
        with pytest.raises(BadParameter) as caught:
            await passwords.put_op("alice", "ü" * size)
        assert caught.value.code == "AUTH-PASSWORD-LENGTH"

    run(story)


def test_composed_and_decomposed_spellings_are_one_password() -> None:
    async def story(passwords: Passwords, backend: MemoryBackend) -> None:
        await backend.commit(await passwords.put_op("alice", "pässwörter-sind-lang"))
        assert await passwords.matches("alice", "pa\u0308sswo\u0308rter-sind-lang")

    run(story)


def test_the_default_cost_is_that_of_the_rfc() -> None:
    assert Cost() == Cost(memory_kib=65536, passes=3, lanes=4)
