"""Search over recorded screens, through the API: who finds what, and what the audit log says of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from teleport.api.caller import Caller
from teleport.api.recording_calls import RecordingCalls
from teleport.api.recording_messages import ScreenPage, ScreenQuery
from teleport.auth import recording_search
from teleport.auth.recording_draw import Drawer
from teleport.auth.recording_screens import Screens
from teleport.base import errors, tasks
from teleport.store.recordings import index_contents
from teleport.store.recordings.index_contents import Contents
from teleport.wire import recording
from tests.recordings import planted
from tests.support.auth_cluster import Cluster, role, run
from tests.support.recordings import facts, sealed, session_id
from tests.support.until import until

OWN = {"rules": [{"resources": ["session"], "verbs": ["list", "read"],
                  "where": "contains(session.participants, user.metadata.name)"}]}  # fmt: skip
EVERY = {"rules": [{"resources": ["session"], "verbs": ["list", "read"]}]}


def calls(cluster: Cluster, caller: Caller) -> RecordingCalls:
    return RecordingCalls(cluster.client(caller))


def screens(cluster: Cluster) -> Screens:
    """The service's, drawing in this process."""
    found = cluster.service.screens
    assert found is not None
    found.indexer._draw = _draw
    return found


async def _draw(frames: AsyncIterator[bytes]) -> Contents:
    return index_contents.of(planted.draw([frame async for part in frames for frame in recording.decode(part)]))


async def upload(cluster: Cluster, number: int, *texts: str, index: bool = True, **changes: object) -> None:
    """Store, complete and index a recording."""
    about = facts(number, **changes)
    key = (await RecordingCalls(cluster.admin).keys())[0]
    chunks = sealed(about, key.id, key.public_key, texts=[text.encode() for text in texts])
    node = calls(cluster, cluster.host("Node", uuid=about.server_id))
    for place, chunk in enumerate(chunks):
        await node.store(about.session_id, place, chunk)
    await node.complete(about.session_id, len(chunks), chunks[-1][-32:])
    if index:
        await screens(cluster).indexer.index(about.session_id)


async def people(cluster: Cluster) -> tuple[RecordingCalls, RecordingCalls]:
    """Return alice, who may read what she took part in, and an auditor."""
    await cluster.admin.create(role("own", **OWN))
    await cluster.admin.create(role("auditing", **EVERY))
    return calls(cluster, cluster.user("alice", "own")), calls(cluster, cluster.user("olga", "auditing"))


def sessions(page: ScreenPage) -> list[str]:
    return [hit.recording.session_id for hit in page.hits]


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine cuts no page short."""
    monkeypatch.setattr(recording_search, "PATIENCE", 600.0)


def test_a_page_without_time_looks_into_one_recording_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_search, "PATIENCE", 0.0)

    async def story(cluster: Cluster) -> None:
        _, olga = await people(cluster)
        for number in range(1, 4):
            await upload(cluster, number, "the word\r\n")
        query, found = ScreenQuery(text="word"), list[list[str]]()
        for _ in range(4):
            page = await olga.search(query)
            found.append(sessions(page))
            if not page.next:
                break
            query = replace(query, after=page.next)
        assert [sid for page in found for sid in page] == [session_id(number) for number in (3, 2, 1)]
        assert max(map(len, found)) == 1

    run(story)


def test_what_stood_on_a_screen_is_found_with_its_time() -> None:
    async def story(cluster: Cluster) -> None:
        _, olga = await people(cluster)
        await upload(cluster, 1, "$ ls\r\n", "비밀 Files\r\n", "end")
        await upload(cluster, 2, "nothing", "the files again")
        page = await olga.search(ScreenQuery(text="FILES"))
        assert [(hit.recording.session_id, hit.at, hit.line) for hit in page.hits] == [
            (session_id(2), 2000, "nothingthe files again"), (session_id(1), 2000, "비밀 Files")
        ]  # fmt: skip
        assert page.hits[1].last == 3500
        assert (page.next, page.unindexed) == ("", 0)
        assert sessions(await olga.search(ScreenQuery(text="비밀"))) == [session_id(1)]
        assert not (await olga.search(ScreenQuery(text="absent"))).hits
        events = await cluster.events("session.recording.search")
        assert [(event["user"], event["text"], event.get("found", 0)) for event in events] == [
            ("olga", "FILES", 2), ("olga", "비밀", 1), ("olga", "absent", 0)
        ]  # fmt: skip
        assert list(events[0]["sessions"]) == [session_id(2), session_id(1)]

    run(story)


def test_others_recordings_are_not_there_for_who_may_not_read_them(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[str] = []

    async def story(cluster: Cluster) -> None:
        alice, olga = await people(cluster)
        await upload(cluster, 1, "a common word")
        await upload(cluster, 2, "a common word", user="bob", participants=("bob",))
        await upload(cluster, 3, "a common word", user="bob", participants=("bob",), index=False)
        shelf = screens(cluster).search._shelf
        monkeypatch.setattr(
            shelf, "filter", lambda sid, key, plain=shelf.filter: (looked_at.append(sid), plain(sid, key))[1]
        )
        page = await alice.search(ScreenQuery(text="common"))
        assert (sessions(page), page.unindexed) == ([session_id(1)], 0)
        assert looked_at == [session_id(1)]
        page = await olga.search(ScreenQuery(text="common"))
        assert (sessions(page), page.unindexed) == ([session_id(2), session_id(1)], 1)
        assert sessions(await olga.search(ScreenQuery(text="common", user="alice"))) == [session_id(1)]
        stranger = calls(cluster, cluster.user("eve"))
        with pytest.raises(errors.AccessDenied) as denied:
            await stranger.search(ScreenQuery(text="common"))
        assert denied.value.id

    run(story)


def test_times_limit_and_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording_search, "_TOGETHER", 3)

    async def story(cluster: Cluster) -> None:
        _, olga = await people(cluster)
        for number in range(1, 9):
            await upload(cluster, number, "the word\r\n", "another word")
        query = ScreenQuery(text="word", limit=5)
        found: list[str] = []
        while True:
            page = await olga.search(query)
            assert len(page.hits) <= 5
            found += sessions(page)
            if not page.next:
                break
            query = replace(query, after=page.next)
        assert list(dict.fromkeys(found)) == [session_id(number) for number in range(8, 0, -1)]
        start = facts(4).start
        page = await olga.search(ScreenQuery(text="another", since=start, until=facts(6).start))
        assert sessions(page) == [session_id(5), session_id(4)]
        for query in (ScreenQuery(text=" "), ScreenQuery(text="x" * 201), ScreenQuery(text="a\nb"),
                      ScreenQuery(text="x", limit=5000)):  # fmt: skip
            with pytest.raises(errors.BadParameter):
                await olga.search(query)

    run(story)


def test_damaged_and_foreign_indexes_are_as_missing() -> None:
    async def story(cluster: Cluster) -> None:
        _, olga = await people(cluster)
        for number in (1, 2, 3):
            await upload(cluster, number, f"word {number}")
        name = f"/records/{session_id(1)}.idx"
        cluster.indexes.write(f"/records/{session_id(2)}.idx", cluster.indexes.read(name))
        cluster.indexes.write(name, cluster.indexes.read(name)[:-5])
        page = await olga.search(ScreenQuery(text="word"))
        assert sessions(page) == [session_id(3)]
        assert page.unindexed == 2

    run(story)


def test_a_completed_recording_is_indexed_by_itself_in_another_process() -> None:
    async def story(cluster: Cluster) -> None:
        _, olga = await people(cluster)
        found = screens(cluster).indexer
        drawer = Drawer()
        found._draw, found._rest = drawer.draw, drawer.rest
        await upload(cluster, 1, "before the start", index=False)
        work = tasks.spawn(found.run(), name="indexer", on_error=cluster.failures.append)
        try:
            await upload(cluster, 2, "\x1b[31mand\x1b[0m after", index=False)
            await until(lambda: len(found._shelf.names()) == 2, seconds=60)
        finally:
            await tasks.cancel(work)
        assert len((await olga.search(ScreenQuery(text="before the start"))).hits) == 1
        assert len((await olga.search(ScreenQuery(text="and after"))).hits) == 1

    run(story)


def test_a_long_line_is_shown_around_the_text() -> None:
    async def story(cluster: Cluster) -> None:
        _, olga = await people(cluster)
        await upload(cluster, 1, "x" * 5000 + "needle" + "y" * 5000)
        (hit,) = (await olga.search(ScreenQuery(text="needle"))).hits
        assert "needle" in hit.line
        assert len(hit.line) == recording_search.LONGEST_LINE

    run(story)
