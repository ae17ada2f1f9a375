"""Recordings over the API: who stores, who lists, who reads, and what the audit log says of it."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence

import pytest

from teleport.api.caller import Caller
from teleport.api.recording_calls import RecordingCalls
from teleport.api.recording_messages import RecordingQuery, ScreenQuery, WholeRecording
from teleport.auth.recordings import Recordings
from teleport.base import errors
from teleport.model.recorded_session import SessionFacts
from teleport.wire import recording
from tests.support.auth_cluster import Cluster, document_of, role, run
from tests.support.recordings import START, facts, sealed, session_id

ALICE = {"rules": [{"resources": ["session"], "verbs": ["list", "read"],
                    "where": "contains(session.participants, user.metadata.name)"}]}  # fmt: skip
EVERY = {"rules": [{"resources": ["session"], "verbs": ["list", "read"]}]}
OTHER_HOST = "99999999-2222-4333-8444-555555555555"


def calls(cluster: Cluster, caller: Caller) -> RecordingCalls:
    return RecordingCalls(cluster.client(caller))


async def seal(
    cluster: Cluster, about: SessionFacts, texts: Sequence[bytes] = (b"hello",), whole: bool = True
) -> list[bytes]:
    key = (await RecordingCalls(cluster.admin).keys())[0]
    return sealed(about, key.id, key.public_key, texts=texts, whole=whole)


async def upload(cluster: Cluster, about: SessionFacts, **more: object) -> list[bytes]:
    """Store and complete a recording as its node does."""
    chunks = await seal(cluster, about, **more)  # type: ignore[arg-type]
    node = calls(cluster, cluster.host("Node", uuid=about.server_id))
    for number, chunk in enumerate(chunks):
        assert await node.store(about.session_id, number, chunk) == chunk[-32:]
    assert await node.complete(about.session_id, len(chunks), chunks[-1][-32:]) == sum(map(len, chunks))
    return chunks


async def people(cluster: Cluster) -> tuple[RecordingCalls, RecordingCalls]:
    """Return alice, who may read what she took part in, and an auditor."""
    await cluster.admin.create(role("own", **ALICE))
    await cluster.admin.create(role("auditing", **EVERY))
    return calls(cluster, cluster.user("alice", "own")), calls(cluster, cluster.user("olga", "auditing"))


async def frames_of(person: RecordingCalls, sid: str) -> list[recording.Frame]:
    parts = [part.frames async for part in person.frames(sid)]
    return list(recording.decode(b"".join(parts)))


def test_a_recording_is_stored_closed_and_read() -> None:
    async def story(cluster: Cluster) -> None:
        told: list[str] = []
        cluster.service.archive.on_complete.append(told.append)
        alice, _ = await people(cluster)
        chunks = await upload(cluster, facts(1), texts=[b"one", b"two"])
        (event,) = await cluster.events("session.upload")
        assert (event["sid"], event["chunks"], event["digest"]) == (session_id(1), 4, chunks[-1][-32:].hex())
        (found,) = [entry async for entry in alice.list(RecordingQuery())]
        assert (found.user, found.hostname, found.problem, found.start) == ("alice", "node-1", "", facts(1).start)
        assert found.stop - found.start == dt.timedelta(seconds=2.5)
        frames = await frames_of(alice, session_id(1))
        assert [frame.data for frame in frames if frame.kind == recording.OUTPUT] == [b"one", b"two"]
        (access,) = await cluster.events("session.recording.access")
        assert (access["user"], access["session_id"], access["format"]) == ("alice", session_id(1), "play")
        node = calls(cluster, cluster.host("Node"))
        assert await node.complete(session_id(1), 4, chunks[-1][-32:]) == sum(map(len, chunks))
        assert told == [session_id(1)]
        with pytest.raises(errors.AlreadyExists) as caught:
            await node.store(session_id(1), 4, chunks[3])
        assert caught.value.code == "REC-CLOSED"

    run(story)


def test_only_who_may_reads_and_hidden_is_as_absent() -> None:
    async def story(cluster: Cluster) -> None:
        alice, olga = await people(cluster)
        mine, other = facts(1), facts(2, user="bob", participants=("bob",))
        for about in (mine, other):
            await upload(cluster, about)
        assert [r.user async for r in alice.list(RecordingQuery())] == ["alice"]
        assert [r.user async for r in olga.list(RecordingQuery())] == ["bob", "alice"]
        assert [r.user async for r in olga.list(RecordingQuery(user="alice"))] == ["alice"]
        refusals = []
        for sid in (other.session_id, session_id(77), "no id at all"):
            with pytest.raises(errors.TeleportError) as caught:
                await frames_of(alice, sid)
            refusals.append(caught.value)
        assert all(refusal.id for refusal in refusals)
        assert {type(refusal) for refusal in refusals} == {errors.NotFound}
        assert len({refusal.what.replace(refusal.fields["name"], "") for refusal in refusals}) == 1
        stranger = calls(cluster, cluster.user("eve"))
        for attempt in (stranger.page(RecordingQuery()), frames_of(stranger, mine.session_id), stranger.keys()):
            with pytest.raises(errors.AccessDenied) as denied:
                await attempt
            assert denied.value.id
        assert len(await cluster.events("session.recording.access")) == 0

    run(story)


def test_a_node_stores_for_itself_alone() -> None:
    async def story(cluster: Cluster) -> None:
        chunks = await seal(cluster, facts(1))
        node, thief = (calls(cluster, cluster.host("Node", uuid=uuid)) for uuid in (facts(1).server_id, OTHER_HOST))
        await node.store(session_id(1), 0, chunks[0])
        for attempt in (thief.store(session_id(1), 1, chunks[1]), thief.complete(session_id(1), 1, chunks[0][-32:])):
            with pytest.raises(errors.AccessDenied) as caught:
                await attempt
            assert caught.value.code == "REC-NOT-YOURS"
        foreign = await seal(cluster, facts(2))  # it says that it is of the first node
        for number, chunk in enumerate(foreign):
            await thief.store(session_id(2), number, chunk)
        with pytest.raises(errors.AccessDenied) as caught:
            await thief.complete(session_id(2), len(foreign), foreign[-1][-32:])
        assert caught.value.code == "REC-NOT-YOURS"
        person = calls(cluster, cluster.user("alice", "editor"))
        with pytest.raises(errors.AccessDenied) as caught:
            await person.store(session_id(1), 1, chunks[1])
        assert caught.value.code == "API-AUDIENCE"
        with pytest.raises(errors.BadParameter):
            await node.store("../../etc/passwd", 0, chunks[0])
        with pytest.raises(errors.LimitExceeded):
            await node.store(session_id(1), 1, bytes(3 << 20))

    run(story)


@pytest.mark.parametrize(
    ("service", "changes", "stored"),
    [
        ("Proxy", {"server_id": "plain-1", "recorded_by": OTHER_HOST}, True),
        ("Proxy", {"server_id": OTHER_HOST}, True),
        ("Proxy", {"server_id": "plain-1"}, False),
        ("Proxy", {"server_id": "plain-1", "recorded_by": "proxy-2"}, False),
        ("Node", {"server_id": "plain-1", "recorded_by": OTHER_HOST}, False),
    ],
)
def test_a_proxy_stores_sessions_of_servers_that_it_recorded(
    service: str, changes: dict[str, str], stored: bool
) -> None:
    async def story(cluster: Cluster) -> None:
        keeper = calls(cluster, cluster.host(service, uuid=OTHER_HOST))
        chunks = await seal(cluster, facts(1, **changes))
        for number, chunk in enumerate(chunks):
            await keeper.store(session_id(1), number, chunk)
        done = await asyncio.gather(
            keeper.complete(session_id(1), len(chunks), chunks[-1][-32:]), return_exceptions=True
        )  # fmt: skip
        codes = [error.code for error in done if isinstance(error, errors.TeleportError)]
        assert codes == ([] if stored else ["REC-NOT-YOURS"])

    run(story)


def test_short_recordings_are_stored_and_closed_together() -> None:
    async def story(cluster: Cluster) -> None:
        node, thief = (calls(cluster, cluster.host("Node", uuid=uuid)) for uuid in (facts(1).server_id, OTHER_HOST))
        made = {number: await seal(cluster, facts(number)) for number in range(1, 4)}
        sent = [WholeRecording(session_id(n), tuple(parts), parts[-1][-32:]) for n, parts in made.items()]
        sent[1] = WholeRecording(session_id(2), sent[1].chunks[:-1], sent[1].digest)
        assert await node.store_whole([*sent, WholeRecording(session_id(4), (), b"")]) == {session_id(1), session_id(3)}
        assert await node.store_whole(sent[:1]) == {session_id(1)}
        assert await thief.store_whole(sent[:1]) == set()
        await node.store(session_id(2), len(made[2]) - 1, made[2][-1])
        await node.complete(session_id(2), len(made[2]), made[2][-1][-32:])
        assert len(await cluster.events("session.upload")) == 3
        assert cluster.service.archive._files.growing == 1  # the one of which nothing has come
        person = calls(cluster, cluster.user("alice", "editor"))
        with pytest.raises(errors.AccessDenied) as caught:
            await person.store_whole(sent)
        assert caught.value.code == "API-AUDIENCE"

    run(story)


def test_what_is_not_all_there_is_not_closed() -> None:
    async def story(cluster: Cluster) -> None:
        chunks = await seal(cluster, facts(1))
        node = calls(cluster, cluster.host("Node"))
        await node.store(session_id(1), 0, chunks[0])
        for count, digest in ((2, chunks[1][-32:]), (1, bytes(32)), (0, bytes(32))):
            with pytest.raises(errors.BadParameter) as caught:
                await node.complete(session_id(1), count, digest)
            assert caught.value.code == "REC-INCOMPLETE"
        with pytest.raises(errors.BadParameter) as caught:
            await node.store(session_id(1), 2, chunks[2])
        assert caught.value.code == "REC-GAP"
        assert await cluster.events("session.upload") == []

    run(story)


def test_a_recording_without_its_end_says_so() -> None:
    async def story(cluster: Cluster) -> None:
        _, olga = await people(cluster)
        await upload(cluster, facts(1), whole=False)
        (found,) = [entry async for entry in olga.list(RecordingQuery())]
        assert "end of the session" in found.problem

    run(story)


def test_the_auth_service_closes_what_a_node_left_and_the_node_may_come_back() -> None:
    async def story(cluster: Cluster) -> None:
        _, olga = await people(cluster)
        about = facts(1)
        chunks = await seal(cluster, about, texts=[b"one", b"two"])
        node, archive = calls(cluster, cluster.host("Node")), cluster.service.archive
        await node.store(session_id(1), 0, chunks[0])
        await node.store(session_id(1), 1, chunks[1])
        await archive.close_abandoned()
        assert [r async for r in olga.list(RecordingQuery())] == []
        here = document_of("node", about.server_id, {"hostname": "node-1"})
        life = cluster.clock.now() + dt.timedelta(minutes=40)
        await cluster.client(cluster.host("Node")).upsert(here.with_metadata(expires=life))
        cluster.clock.advance(dt.timedelta(minutes=35))
        await archive.close_abandoned()  # the session is long and quiet, and its node is there
        assert [r async for r in olga.list(RecordingQuery())] == []
        cluster.clock.advance(dt.timedelta(minutes=35))
        await archive.close_abandoned()
        (found,) = [r async for r in olga.list(RecordingQuery())]
        assert "server was gone" in found.problem
        assert len(await frames_of(olga, session_id(1))) == 2
        for number, chunk in enumerate(chunks):
            await node.store(session_id(1), number, chunk)
        assert [sid for sid, _ in await archive.catalogue.growing()] == [session_id(1)]  # it may leave again
        await node.complete(session_id(1), len(chunks), chunks[-1][-32:])
        assert await archive.catalogue.growing() == []
        (found,) = [r async for r in olga.list(RecordingQuery())]
        assert found.problem == ""
        assert len(await frames_of(olga, session_id(1))) == 4

    run(story)


def test_an_abandoned_recording_that_cannot_be_opened_stays_where_it_is() -> None:
    async def story(cluster: Cluster) -> None:
        node = calls(cluster, cluster.host("Node"))
        about = facts(1, server_id=OTHER_HOST)
        await node.store(session_id(1), 0, (await seal(cluster, about))[0])
        with pytest.raises(errors.BadParameter):
            await node.store(session_id(2), 0, b"nothing of the sort")
        cluster.clock.advance(dt.timedelta(hours=1))
        await cluster.service.archive.close_abandoned()
        assert len(await cluster.service.archive.catalogue.growing()) == 2

    run(story)


def test_lists_are_paged_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teleport.auth.recordings.MOST_LOOKED_AT", 2)

    async def story(cluster: Cluster) -> None:
        alice, olga = await people(cluster)
        for number in range(5):
            await upload(cluster, facts(number, participants=("bob",) if number else ("alice",)))
        assert len((await olga.page(RecordingQuery(limit=1))).recordings) == 1
        first = await alice.page(RecordingQuery())
        assert first.recordings == ()
        assert first.next
        assert [r.session_id async for r in alice.list(RecordingQuery())] == [session_id(0)]
        since = START + dt.timedelta(minutes=3)
        assert [r.session_id async for r in olga.list(RecordingQuery(since=since))] == [session_id(4), session_id(3)]
        with pytest.raises(errors.BadParameter):
            await olga.page(RecordingQuery(limit=100_000))

    run(story)


def test_purposes_are_words_of_the_audit_log_and_search_needs_an_index() -> None:
    async def story(cluster: Cluster) -> None:
        _, olga = await people(cluster)
        with pytest.raises(errors.BadParameter, match="unknown purpose"):
            _ = [part async for part in olga.frames(session_id(1), purpose="fun")]
        service = cluster.service
        plain = Recordings(service.archive, service._recording_keys, service.audit_log, service._authorizer)
        with pytest.raises(errors.NotSupported):
            await plain.search(cluster.user("olga", "auditing"), ScreenQuery(text="x"))

    run(story)


def test_what_a_changed_file_holds_is_not_shown() -> None:
    async def story(cluster: Cluster) -> None:
        _, olga = await people(cluster)
        chunks = await upload(cluster, facts(1))
        cluster.records._files[f"{session_id(1)}.rec"][len(chunks[0]) + 100] ^= 1
        with pytest.raises(errors.Internal) as caught:
            await frames_of(olga, session_id(1))
        assert caught.value.code == "REC-MISSTORED"

    run(story)
