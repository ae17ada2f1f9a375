"""Recording: sessions are recorded at the node, stored at the Auth Service, and listed and read by rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cluster import Cluster


@pytest.mark.config("auth_service.session_recording")
def test_the_configuration_file_turns_recording_off_and_tctl_cannot_change_it(tmp_path: Path) -> None:
    with Cluster(tmp_path, auth_service="  session_recording: off\n").running() as cluster:
        found = cluster.read("session_recording_config", "session-recording-config")
        assert found["spec"]["mode"] == "off"
        assert found["metadata"]["labels"]["teleport.dev/origin"] == "config-file"
        assert len(found["status"]["keys"]) == 1
        (tmp_path / "on.yaml").write_text(
            "kind: session_recording_config\nversion: v2\nmetadata: {name: session-recording-config}\n"
            "spec: {mode: node}\n"
        )
        done = cluster.tctl("create", "-f", str(tmp_path / "on.yaml"), status=1)
        assert "managed by static configuration" in done.err
