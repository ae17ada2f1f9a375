"""Checkpoints of a real server: over kill -9 they go on without gap or fork, and its log is the witness outside."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from teleport.base.audit_verify import copies
from tests.support.cluster import Cluster


@pytest.mark.timeout(300)
def test_checkpoints_go_on_over_kill_nine_and_the_log_finds_a_forgery(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    for number in range(3):
        cluster.start()
        cluster.role(f"role-{number}")
        cluster.tctl("audit", "head")  # makes one, of the role too
        cluster.role(f"lost-{number}")
        cluster.kill()
    cluster.start()
    told = copies(cluster.log)
    numbers = [copy["number"] for copy in told]
    assert numbers == list(range(1, len(told) + 1))
    assert [copy["checkpoint"]["previous"] for copy in told[1:]] == [copy["digest"] for copy in told[:-1]]
    report = json.loads(cluster.tctl("audit", "verify", "--checkpoint", str(tmp_path / "stderr"), "--format=json").out)
    assert report["intact"]
    assert report["newest_checkpoint"]["number"] >= len(told)
    cluster.stop()
    witness = tmp_path / "witness.log"
    witness.write_text(cluster.log)
    last = max(copies(witness.read_text()), key=lambda copy: int(copy["number"]))
    ((log, end),) = last["checkpoint"]["logs"].items()
    forge(cluster.data / "backend" / "sqlite.db", log, end["sequence"] - 3)
    with cluster.running():
        assert json.loads(cluster.tctl("audit", "verify", "--format=json").out)[
            "intact"
        ]  # nothing in the store shows it
        done = cluster.tctl("audit", "verify", "--checkpoint", str(witness), "--format=json", status=1)
        found = {(f["log"], f["sequence"]): f["problem"] for f in json.loads(done.out)["findings"]}
        assert set(found.values()) >= {"outside"}
        assert any(name == log and at <= end["sequence"] for name, at in found)


def forge(database: Path, log: str, keep: int) -> None:
    """Cut off the newest events and every checkpoint, and make the heads fit, as if nothing had been there."""
    file = sqlite3.connect(database)
    with file:
        ids = dict(file.execute("SELECT name, id FROM log_heads").fetchall())
        file.execute("DELETE FROM log_records WHERE log = ? AND sequence > ?", (ids[log], keep))
        (digest,) = file.execute(
            "SELECT digest FROM log_records WHERE log = ? AND sequence = ?", (ids[log], keep)
        ).fetchone()
        file.execute("UPDATE log_heads SET sequence = ?, digest = ? WHERE id = ?", (keep, digest, ids[log]))
        file.execute("DELETE FROM log_records WHERE log = ?", (ids["checkpoints"],))
        file.execute("DELETE FROM log_heads WHERE id = ?", (ids["checkpoints"],))
        file.execute("DELETE FROM items WHERE key = '/audit_proof/checkpoint'")
    file.close()
