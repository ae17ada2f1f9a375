"""The way of a service's events, against a real Auth Service on a real store that is stopped in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from teleport.api.audit_query_calls import AuditQueryCalls
from teleport.api.client import AuthClient
from teleport.api.event_outbox import EventOutbox
from teleport.base import tasks
from teleport.base.append import SystemFolder
from teleport.base.clock import SystemClock
from teleport.base.entropy import SeededEntropy
from teleport.base.errors import Unavailable
from teleport.model.events.base import document
from teleport.model.events.session import Exec
from teleport.process.control_plane import ControlPlane
from teleport.process.event_spool import event_spool, service_journal
from teleport.store.audit.log import AuditLog
from teleport.store.audit.search import Query
from teleport.store.journal import Journal
from teleport.store.sqlite import SqliteBackend
from teleport.store.turns import Turns
from tests.support import one_process
from tests.support.until import until


def ran(number: int) -> Exec:
    return Exec(command=str(number), exit_code="0", user="alice", login="root")


async def stored(data: Path) -> list[str]:
    backend = await SqliteBackend.open(data / "backend", SystemClock())
    try:
        log = AuditLog(backend, "reader", SystemClock(), SeededEntropy(1), "c.example")
        page = await log.search(Query(types=frozenset({"exec"}), newest_first=False, limit=10_000))
        return [document(entry.event)["command"] for entry in page.entries]
    finally:
        await backend.close()


def test_events_outlive_auth_services_that_stop_in_the_middle(tmp_path: Path) -> None:
    async def story() -> None:
        settings, world = one_process.settings(tmp_path, proxy="no", ssh="no"), one_process.world()
        present: list[AuthClient] = []

        async def deliver(
            writer: str, first: int, events: Sequence[dict[str, Any]], *, after_gap: bool = False
        ) -> None:
            if not present:
                raise Unavailable("API-UNAVAILABLE", problem="stopped")
            await AuditQueryCalls(present[0]).deliver(writer, first, events, after_gap=after_gap)

        journal = Journal(SystemFolder(str(tmp_path / "spool")), segment=2000)
        outbox = EventOutbox(deliver, Turns(journal), clock=world.clock, entropy=world.entropy)
        sending = tasks.spawn(outbox.run(), name="sending", on_error=lambda _: None)
        done = 0

        async def emit() -> None:
            nonlocal done
            for number in range(600):
                await outbox.emit(ran(number))
                done = number + 1

        emitting = tasks.spawn(emit(), name="emitting", on_error=lambda _: None)
        for share in (100, 250, 600):
            plane = ControlPlane(
                settings, world.clock, world.entropy, world.network, world.signer, world.host_uuid
            )  # fmt: skip
            async with one_process.running(plane):
                present.append(plane.client("Node"))
                await until(lambda share=share: done >= share, seconds=60)  # type: ignore[misc]
                if share == 600:
                    await until(lambda: not outbox.behind, seconds=120)
            present.clear()
        await emitting
        await tasks.cancel(sending)
        await outbox.close()
        assert await stored(tmp_path) == [str(number) for number in range(600)]

    asyncio.run(story())


def test_the_spool_of_a_service_stands_in_the_data_directory(tmp_path: Path) -> None:
    async def story() -> None:
        async def never(_: object) -> Any:
            raise ConnectionRefusedError

        entropy = SeededEntropy(3)
        async with (
            AuthClient(never) as client,
            event_spool(
                client, service_journal(tmp_path, "node"), "node", clock=SystemClock(), entropy=entropy
            ) as outbox,
        ):
            await outbox.emit(ran(1))
        (file,) = (tmp_path / "log" / "spool" / "events" / "node").iterdir()
        assert b'"command":"1"' in file.read_bytes()
        assert file.stat().st_mode & 0o777 == 0o600

    asyncio.run(story())
