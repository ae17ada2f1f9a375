"""The proof of the audit log over the API: who may ask, what is made by itself, and that it goes on after an end."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
from collections.abc import Iterator

import pytest

from teleport.api.client import AuthClient
from teleport.auth import audit_proof
from teleport.base import audit_verify, errors, log, tasks
from teleport.base.audit_verify import CHECKPOINTS
from teleport.pki import keys
from teleport.store.audit.checkpoint import decode
from tests.support.auth_cluster import Cluster, role, run
from tests.support.until import until


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    level = log.get_level()
    log.setup(stream=stream)
    yield stream
    log.setup(level=level)


def test_only_those_who_may_read_events_ask_and_only_those_who_may_delete_them_prune() -> None:
    async def story(cluster: Cluster) -> None:
        auditor, editor = (cluster.client(cluster.user("eve", name)) for name in ("auditor", "editor"))
        assert (await auditor.audit_proof.head()).copy["number"] == 1
        assert (await auditor.audit_proof.check())["intact"]
        assert [piece async for piece in auditor.audit_proof.export()]
        for call in (
            editor.audit_proof.head(), editor.audit_proof.check(), anext(editor.audit_proof.export()),
            auditor.audit_proof.prune(cluster.clock.now()),
            auditor.audit_proof.prune(cluster.clock.now(), dry_run=True),
        ):  # fmt: skip
            with pytest.raises(errors.AccessDenied) as caught:
                await call
            assert caught.value.id  # of the decision: for `tctl access explain`

    run(story)


def test_each_checkpoint_is_a_line_of_the_log_from_which_a_copy_is_read(lines: io.StringIO) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.service.proof.note()
        await cluster.service.proof.note()  # nothing new
        await cluster.admin.create(role("dev"))
        head = await cluster.admin.audit_proof.head()
        copies = audit_verify.copies(lines.getvalue())
        assert [copy["number"] for copy in copies] == [1, 2]
        assert {name: copies[1][name] for name in head.copy} == head.copy
        assert (await cluster.admin.audit_proof.check(copies))["intact"]
        (ca,) = [c async for c in cluster.admin.list("cert_authority") if c.sub_kind == "audit"]
        assert head.public_key == keys.raw_ed25519(ca.spec.active_keys.audit[0].public_key)
        copies[0]["digest"] = "00" * 32
        told = await cluster.admin.audit_proof.check(copies)
        assert [(f["log"], f["sequence"], f["problem"]) for f in told["findings"]] == [("copy", 1, "copy")]

    run(story)


def test_a_long_checkpoint_is_a_short_line(lines: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_proof, "LONGEST_LINE", 10)

    async def story(cluster: Cluster) -> None:
        await cluster.service.proof.note()
        (copy,) = audit_verify.copies(lines.getvalue())
        assert "checkpoint" not in copy
        assert (await cluster.admin.audit_proof.check([copy]))["intact"]

    run(story)


def test_a_thousand_events_make_one_at_once_and_the_end_makes_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_proof, "EVENTS", 5)

    async def numbers(cluster: Cluster) -> list[int]:
        return [record.sequence for record in await cluster.backend.read_log(CHECKPOINTS)]

    async def story(cluster: Cluster) -> None:
        running = tasks.spawn(cluster.service.proof.run(), name="proof", on_error=lambda _: None)
        await until(lambda: bool(cluster.backend._logs.get(CHECKPOINTS)))
        for number in range(5):
            await cluster.admin.create(role(f"dev-{number}"))
        await until(lambda: len(cluster.backend._logs[CHECKPOINTS]) == 2)
        await cluster.admin.create(role("last"))
        await tasks.cancel(running)
        await cluster.service.proof.close()
        assert await numbers(cluster) == [1, 2, 3]

    run(story)


def test_after_an_end_in_the_middle_numbers_and_chain_go_on() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.service.proof.note()
        await cluster.admin.create(role("dev"))
        again = cluster.build()  # the first one makes no last checkpoint
        await asyncio.gather(*(again.proof.note() for _ in range(3)), *(cluster.service.proof.note() for _ in range(3)))
        stored = [decode(record.data) for record in await cluster.backend.read_log(CHECKPOINTS)]
        assert [found.number for found in stored if found] == [1, 2]
        assert (await cluster.admin.audit_proof.check())["intact"]
        await again.close()

    run(story)


def test_a_signer_that_is_gone_is_told_to_the_log_and_stops_nothing(lines: io.StringIO) -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.signer.close()
        await cluster.service.proof.note()
        assert "No checkpoint of the audit log could be made" in lines.getvalue()

    run(story)


def test_pruning_is_audited_and_what_is_left_is_proven() -> None:
    async def story(cluster: Cluster) -> None:
        client: AuthClient = cluster.admin
        await cluster.service.proof.note()
        cluster.clock.advance(dt.timedelta(minutes=20))
        await client.create(role("dev"))
        limit = cluster.clock.now() - dt.timedelta(minutes=10)
        would = await client.audit_proof.prune(limit, dry_run=True)
        assert await client.audit_proof.prune(limit) == would
        assert would.checkpoint == 1
        (event,) = await cluster.events("audit.prune")
        assert (event["code"], event["records"], event["checkpoint"]) == ("TAU01I", would.logs[0].last, 1)
        report = await client.audit_proof.check()
        assert report["intact"]
        assert {found["log"]: found["pruned"] for found in report["logs"]}["audit/auth-1"] == would.logs[0].last
        assert (await client.audit_proof.prune(limit)).logs == ()

    run(story)


@pytest.mark.parametrize("copy", [
    {}, {"number": "1", "digest": "", "signature": ""}, {"number": 1, "digest": "", "signature": 3},
    {"number": 1, "digest": "", "signature": "", "checkpoint": {"logs": {"a": 1}}},
    {"number": 1, "digest": "", "signature": "", "checkpoint": {"logs": {}}},
    {"number": 1, "digest": "", "signature": "", "checkpoint": []},
])  # fmt: skip
def test_copies_that_are_none_are_refused(copy: dict[str, object]) -> None:
    with pytest.raises(errors.BadParameter):
        audit_proof._read([copy])
