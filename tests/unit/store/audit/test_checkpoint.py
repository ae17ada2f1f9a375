"""Checkpoints: one chain, whoever makes them, over both drivers."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime as dt
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from teleport.base.audit_verify import CHECKPOINTS, START, canonical, is_signed
from teleport.base.clock import ManualClock
from teleport.base.errors import Unavailable
from teleport.store.audit.checkpoint import PLACE, Checkpoints, Signed, decode
from teleport.store.backend import Append, Put
from teleport.store.memory import MemoryBackend
from teleport.store.sqlite import SqliteBackend

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


async def sign(document: bytes) -> Signed:
    await asyncio.sleep(0)
    return Signed(PUBLIC, KEY.sign(document))


def maker(backend: Any) -> Checkpoints:
    return Checkpoints(backend, ManualClock(NOW), "example.com", sign)


@pytest.fixture(params=["memory", "sqlite"])
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Callable[[Any], Awaitable[None]]], None]:
    async def whole(body: Callable[[Any], Awaitable[None]]) -> None:
        clock = ManualClock(NOW)
        backend: Any = MemoryBackend(clock)
        if request.param == "sqlite":
            backend = await SqliteBackend.open(tmp_path / "store", clock)
        try:
            await body(backend)
        finally:
            await backend.close()

    return lambda body: asyncio.run(whole(body))


def test_a_checkpoint_says_where_every_log_ends(play: Any) -> None:
    async def body(backend: Any) -> None:
        checkpoints = maker(backend)
        assert await checkpoints.make() is None
        assert await checkpoints.newest() is None
        await backend.commit(Append("audit/a", b"x"), Append("audit/b", b"y"), Append("audit/a", b"z"))
        first = await checkpoints.make()
        assert first is not None
        assert await checkpoints.make() is None  # nothing was appended since
        heads = {head.log: head for head in await backend.logs()}
        assert first.document == {
            "cluster": "example.com", "number": 1, "time": "2030-01-01T00:00:00.000Z", "previous": START.hex(),
            "logs": {
                log: {"sequence": heads[log].sequence, "digest": heads[log].digest.hex()}
                for log in ("audit/a", "audit/b")
            },
        }  # fmt: skip
        await backend.commit(Append("audit/b", b"x"))
        second = await checkpoints.make()
        assert second is not None
        assert (second.number, second.document["previous"]) == (2, first.digest)
        assert await checkpoints.newest() == second
        assert [decode(record.data) for record in await backend.read_log(CHECKPOINTS)] == [first, second]
        assert second.copy()["checkpoint"] == second.document

    play(body)


def test_many_at_once_make_one_chain(play: Any) -> None:
    async def body(backend: Any) -> None:
        makers = [maker(backend) for _ in range(4)]  # as many processes would

        async def busy(own: Checkpoints, log: str) -> None:
            for _ in range(5):
                await backend.commit(Append(log, b"x"))
                with contextlib.suppress(Unavailable):  # it never had its turn
                    await own.make()

        await asyncio.gather(*(busy(own, f"audit/{i}") for i, own in enumerate(makers)), busy(makers[0], "audit/x"))
        await makers[0].make()
        stored = [decode(record.data) for record in await backend.read_log(CHECKPOINTS)]
        before = START.hex()
        for number, found in enumerate(stored, 1):
            assert found is not None
            assert (found.number, found.document["previous"]) == (number, before)
            before = found.digest

    play(body)


def test_whoever_never_gets_a_turn_says_so() -> None:
    class Rival(MemoryBackend):
        async def logs(self) -> Any:
            await self.commit(Put(PLACE, b"rival"))
            return await super().logs()

    async def body() -> None:
        backend = Rival(ManualClock(NOW))
        await backend.commit(Append("audit/a", b"x"))
        with pytest.raises(Unavailable) as caught:
            await maker(backend).make()
        assert caught.value.code == "STORE-AUDIT-BUSY"

    asyncio.run(body())


@pytest.mark.parametrize("data", [b"", b"{}", b'{"checkpoint":{},"key":"","signature":""}', b"\xff",
    b'{"checkpoint":{"number":1,"logs":3},"key":"","signature":""}'])  # fmt: skip
def test_what_is_no_checkpoint_is_none(data: bytes) -> None:
    assert decode(data) is None


def test_it_is_signed_in_canonical_form() -> None:
    async def body() -> None:
        backend = MemoryBackend(ManualClock(NOW))
        await backend.commit(Append("audit/a", b"x"))
        made = await maker(backend).make()
        assert made is not None
        assert is_signed(PUBLIC, base64.b64decode(made.signature), canonical(made.document))
        assert decode(made.encode()) == made

    asyncio.run(body())
