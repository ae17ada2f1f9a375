"""Devices in the store: where they stand, that a code is used up once, that they go when they should."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable

import pytest

from teleport.auth.mfa_devices import MOST, Device, Devices
from teleport.base.clock import ManualClock
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import CompareFailed, NotFound
from teleport.store.memory import MemoryBackend

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


def run(story: Callable[[Devices, MemoryBackend], Awaitable[None]]) -> None:
    async def body() -> None:
        backend = MemoryBackend(ManualClock(NOW))
        await story(Devices(backend, SeededEntropy(1)), backend)

    asyncio.run(body())


async def add(devices: Devices, backend: MemoryBackend, user: str, name: str = "phone") -> Device:
    device, put = devices.new(user, name=name, secret=b"s" * 20, step=7, now=NOW)
    await backend.commit(put)
    return device


def test_a_device_stands_among_the_secrets_of_its_user() -> None:
    async def story(devices: Devices, backend: MemoryBackend) -> None:
        device = await add(devices, backend, "alice")
        (held,) = await devices.of("alice")
        assert held.device == device
        assert (device.name, device.type, device.added, device.last_used, device.last_step) == (
            "phone", "TOTP", NOW, NOW, 7,
        )  # fmt: skip
        assert held.key == f"/web/users/alice/mfa/{device.id}"
        assert await devices.of("bob") == await devices.of("alic") == await devices.of("") == ()

    run(story)


def test_of_two_who_use_a_code_one_wins() -> None:
    async def story(devices: Devices, backend: MemoryBackend) -> None:
        await add(devices, backend, "alice")
        (held,) = await devices.of("alice")
        later = NOW + dt.timedelta(seconds=30)
        await backend.commit(held.used_op(8, later))
        with pytest.raises(CompareFailed):
            await backend.commit(held.used_op(8, later))
        (now,) = await devices.of("alice")
        assert (now.device.last_step, now.device.last_used, now.device.added) == (8, later, NOW)

    run(story)


def test_a_code_of_a_device_that_is_gone_is_not_used() -> None:
    async def story(devices: Devices, backend: MemoryBackend) -> None:
        await add(devices, backend, "alice")
        (held,) = await devices.of("alice")
        await backend.commit(held.delete_op())
        with pytest.raises(NotFound):
            await backend.commit(held.used_op(8, NOW))
        assert await devices.of("alice") == ()

    run(story)


def test_all_devices_of_a_user_go_and_no_others() -> None:
    async def story(devices: Devices, backend: MemoryBackend) -> None:
        for name in ("one", "two"):
            await add(devices, backend, "alice", name)
        await add(devices, backend, "alice2")
        await backend.commit(*await devices.delete_ops("alice"))
        assert await devices.of("alice") == ()
        assert len(await devices.of("alice2")) == 1

    run(story)


def test_no_more_devices_are_looked_at_than_a_user_may_have() -> None:
    async def story(devices: Devices, backend: MemoryBackend) -> None:
        for number in range(MOST + 3):
            await add(devices, backend, "alice", str(number))
        assert len(await devices.of("alice")) == MOST

    run(story)
