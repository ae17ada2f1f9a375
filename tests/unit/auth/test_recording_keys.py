"""Keys of recordings and the setting about them."""

from __future__ import annotations

import pytest

from teleport.api.recording_calls import RecordingCalls
from teleport.api.recording_messages import RecordingQuery
from teleport.base import errors
from teleport.model.kinds.session_recording_config import SessionRecordingConfig
from tests.support.auth_cluster import Cluster, document_of, role, run
from tests.support.recordings import facts, session_id
from tests.unit.auth.test_recordings import frames_of, people, upload

KIND = "session_recording_config"


async def setting(cluster: Cluster) -> SessionRecordingConfig:
    found = await cluster.admin.get(KIND, "")
    assert isinstance(found, SessionRecordingConfig)
    return found


def test_a_first_start_makes_a_key_and_later_ones_keep_it() -> None:
    async def story(cluster: Cluster) -> None:
        first = await setting(cluster)
        assert (first.records, len(first.status.keys)) == (True, 1)
        await cluster.service._recording_keys.ensure("")
        assert await setting(cluster) == first

    run(story)


def test_the_configuration_file_wins_while_it_says_something() -> None:
    async def story(cluster: Cluster) -> None:
        keys = cluster.service._recording_keys
        await keys.ensure("", False)
        assert ((await setting(cluster)).checks_host_keys, (await setting(cluster)).spec.mode) == (False, "node")
        await keys.ensure("off", True)
        assert (await setting(cluster)).checks_host_keys
        found = await setting(cluster)
        assert (found.records, found.metadata.labels["teleport.dev/origin"]) == (False, "config-file")
        with pytest.raises(errors.BadParameter, match="static configuration"):
            await cluster.admin.upsert(document_of(KIND, "", {"mode": "node"}))
        await keys.ensure("")
        await cluster.admin.upsert(document_of(KIND, "", {"mode": "node"}))
        found = await setting(cluster)
        assert (found.records, found.metadata.labels["teleport.dev/origin"]) == (True, "dynamic")
        assert len(found.status.keys) == 1  # what people write cannot touch the keys
        (event,) = await cluster.events("session_recording_config.update")
        assert event["mode"] == "node"
        for mode in ("nodes", "nonsense"):
            with pytest.raises(errors.TeleportError):
                await cluster.admin.upsert(document_of(KIND, "", {"mode": mode}))

    run(story)


def test_a_new_key_seals_new_recordings_and_old_ones_stay_readable() -> None:
    async def story(cluster: Cluster) -> None:
        _, olga = await people(cluster)
        await upload(cluster, facts(1))
        admin = RecordingCalls(cluster.admin)
        old = (await admin.keys())[0]
        keys = await admin.rotate_key()
        assert [key.active for key in keys] == [True, False]
        assert keys[1].id == old.id
        await upload(cluster, facts(2))
        for number in (1, 2):
            assert len(await frames_of(olga, session_id(number))) == 3
        assert len([r async for r in olga.list(RecordingQuery())]) == 2
        (event,) = await cluster.events("session.recording.key_rotated")
        assert event["key_id"] == keys[0].id

    run(story)


def test_only_who_may_change_the_setting_rotates() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.admin.create(role("reader", rules=[{"resources": [KIND], "verbs": ["list", "read"]}]))
        reader = RecordingCalls(cluster.client(cluster.user("rita", "reader")))
        assert len(await reader.keys()) == 1
        with pytest.raises(errors.AccessDenied) as caught:
            await reader.rotate_key()
        assert caught.value.id
        assert len(await reader.keys()) == 1

    run(story)
