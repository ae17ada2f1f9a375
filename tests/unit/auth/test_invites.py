"""Links: looked at as often as one likes, used once, gone when replaced or late."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from collections.abc import Awaitable, Callable

import pytest

from teleport.auth.invites import Invites
from teleport.base.clock import ManualClock
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import BadParameter, NotFound
from teleport.store.memory import MemoryBackend


def run(story: Callable[[Invites, MemoryBackend, ManualClock], Awaitable[None]]) -> None:
    async def body() -> None:
        clock = ManualClock(dt.datetime(2030, 1, 1, tzinfo=dt.UTC))
        backend = MemoryBackend(clock)
        await story(Invites(backend, clock, SeededEntropy(1)), backend, clock)
        await backend.close()

    asyncio.run(body())


async def make(invites: Invites, backend: MemoryBackend, user: str = "alice", ttl: float = 0) -> str:
    made = await invites.make(user, "invite", ttl)
    await backend.commit(*made.ops)
    return made.token


async def is_valid(invites: Invites, token: str) -> bool:
    try:
        await invites.find(token)
    except NotFound as error:
        assert (error.code, error.fields) == ("AUTH-INVITE", {})  # noqa: PT017 - every call looks at it
        return False
    return True


def test_a_token_has_256_bits_and_only_its_hash_is_stored() -> None:
    async def story(invites: Invites, backend: MemoryBackend, clock: ManualClock) -> None:
        token = await make(invites, backend)
        assert len(bytes.fromhex(token)) == 32
        stored = [(item.key, item.value) async for item in backend.scan("/")]
        assert len(stored) == 2
        assert not any(token in key or token.encode() in value for key, value in stored)
        assert any(hashlib.sha256(token.encode()).hexdigest() in key for key, _ in stored)

    run(story)


def test_looking_never_uses_a_link_up() -> None:
    async def story(invites: Invites, backend: MemoryBackend, clock: ManualClock) -> None:
        token = await make(invites, backend)
        for _ in range(10):
            assert (await invites.find(token)).link.user == "alice"

    run(story)


def test_of_two_who_use_a_link_one_wins() -> None:
    async def story(invites: Invites, backend: MemoryBackend, clock: ManualClock) -> None:
        token = await make(invites, backend)
        first, second = await invites.find(token), await invites.find(token)
        results = await asyncio.gather(
            backend.commit(*first.burn), backend.commit(*second.burn), return_exceptions=True
        )  # fmt: skip
        assert sorted(isinstance(result, Exception) for result in results) == [False, True]
        assert not await is_valid(invites, token)
        assert [item async for item in backend.scan("/")] == []

    run(story)


def test_a_newer_link_ends_the_older_one() -> None:
    async def story(invites: Invites, backend: MemoryBackend, clock: ManualClock) -> None:
        old = await make(invites, backend)
        other = await make(invites, backend, "bob")
        new = await make(invites, backend)
        assert [await is_valid(invites, token) for token in (old, other, new)] == [False, True, True]

    run(story)


def test_of_two_made_at_once_one_is_valid() -> None:
    async def story(invites: Invites, backend: MemoryBackend, clock: ManualClock) -> None:
        made = [await invites.make("alice", "invite", 0) for _ in range(2)]
        for link in made:
            await backend.commit(*link.ops)
        assert [await is_valid(invites, link.token) for link in made] == [False, True]

    run(story)


def test_a_link_ends_in_time() -> None:
    async def story(invites: Invites, backend: MemoryBackend, clock: ManualClock) -> None:
        token = await make(invites, backend, ttl=600)
        clock.advance(dt.timedelta(seconds=599))
        assert await is_valid(invites, token)
        clock.advance(dt.timedelta(seconds=1))
        assert not await is_valid(invites, token)

    run(story)


def test_forgetting_ends_the_link_of_that_user() -> None:
    async def story(invites: Invites, backend: MemoryBackend, clock: ManualClock) -> None:
        token, other = await make(invites, backend), await make(invites, backend, "bob")
        await backend.commit(*await invites.forget_ops("alice"))
        assert [await is_valid(invites, t) for t in (token, other)] == [False, True]
        assert list(await invites.forget_ops("alice")) == []

    run(story)


@pytest.mark.parametrize(
    ("purpose", "ttl", "seconds"),
    [("invite", 0, 3600), ("invite", 48 * 3600, 48 * 3600), ("reset", 0, 8 * 3600), ("reset", 24 * 3600, 24 * 3600)],
)
def test_links_live_as_long_as_they_may(purpose: str, ttl: float, seconds: float) -> None:
    async def story(invites: Invites, backend: MemoryBackend, clock: ManualClock) -> None:
        made = await invites.make("alice", purpose, ttl)  # type: ignore[arg-type]
        assert made.link.expires == clock.now() + dt.timedelta(seconds=seconds)

    run(story)


@pytest.mark.parametrize(
    ("purpose", "ttl"), [("invite", 48 * 3600 + 1), ("reset", 24 * 3600 + 1), ("invite", -5), ("invite", 1)]
)
def test_links_live_no_longer(purpose: str, ttl: float) -> None:
    async def story(invites: Invites, backend: MemoryBackend, clock: ManualClock) -> None:
        with pytest.raises(BadParameter) as caught:
            await invites.make("alice", purpose, ttl)  # type: ignore[arg-type]
        assert caught.value.code == "AUTH-INVITE-TTL"

    run(story)


@pytest.mark.parametrize("token", ["", "x", "../../users/alice", "0" * 64, "\ud800", "a" * 10_000])
def test_strange_tokens_are_simply_not_valid(token: str) -> None:
    async def story(invites: Invites, backend: MemoryBackend, clock: ManualClock) -> None:
        await make(invites, backend)
        assert not await is_valid(invites, token)

    run(story)
