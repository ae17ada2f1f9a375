"""The account of a connection: admitted once, and while the client still says what its session is for."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from teleport.agents.ssh.local_account import LocalAccount
from teleport.base.errors import NotAuthenticated

LAUNCH: Any = SimpleNamespace(command="true", terminal=None)


class Spawner:
    """Notes what it is asked; admissions end when `admitting` is set."""

    def __init__(self, refusal: Exception | None = None) -> None:
        self.told: list[object] = []
        self.admitting = asyncio.Event()
        self._refusal = refusal

    async def admit(self, proof: object, *, source: str) -> int:
        self.told.append(("admit", proof, source))
        await self.admitting.wait()
        if self._refusal is not None:
            raise self._refusal
        return 7

    async def start(self, grant: object, *, admission: int, **wanted: object) -> str:
        self.told.append(("start", admission, wanted["login"]))
        return "process"

    async def dismiss(self, admission: int) -> None:
        self.told.append(("dismiss", admission))


def account(spawner: Spawner | None, proof: object = "proof") -> LocalAccount:
    async def made(wanted: object) -> None:
        raise AssertionError

    ssh: Any = SimpleNamespace(proof=proof, client_ip="192.0.2.1", client="192.0.2.1:1", login="root")
    given: Any = spawner
    return LocalAccount(given, ssh, lambda: None, made)


def test_a_login_is_checked_before_the_command_is_known() -> None:
    async def story() -> list[object]:
        spawner = Spawner()
        own = account(spawner)
        own.begin()
        own.begin()
        await asyncio.sleep(0)
        assert spawner.told == [("admit", "proof", "192.0.2.1")]
        grant: Any = "grant"
        spawner.admitting.set()
        assert await own.start(grant, LAUNCH, {}, "") == "process"
        await own.close()
        return spawner.told

    assert asyncio.run(story()) == [("admit", "proof", "192.0.2.1"), ("start", 7, "root"), ("dismiss", 7)]


def test_a_refused_login_is_refused_when_something_is_to_start() -> None:
    async def story() -> list[object]:
        spawner = Spawner(NotAuthenticated("SSH-ADMIT-PROOF", problem="p"))
        spawner.admitting.set()
        own = account(spawner)
        own.begin()
        await asyncio.sleep(0)
        grant: Any = "grant"
        with pytest.raises(NotAuthenticated):
            await own.start(grant, LAUNCH, {}, "")
        await own.close()
        return spawner.told

    assert asyncio.run(story()) == [("admit", "proof", "192.0.2.1")]


@pytest.mark.parametrize(("spawner", "proof"), [(False, "proof"), (True, None)])
def test_where_there_is_no_account_nothing_begins(spawner: bool, proof: object) -> None:
    async def story() -> list[object]:
        made = Spawner()
        own = account(made if spawner else None, proof)
        own.begin()
        await own.close()
        return made.told

    assert asyncio.run(story()) == []
