"""What an earlier release has left of short recordings is in the spool when a service begins."""

from __future__ import annotations

from pathlib import Path

from teleport.base.append import SystemFolder
from teleport.process.recording import BRIEF, bring
from teleport.store.brief_files import BriefFolder
from teleport.store.journal import Journal
from teleport.store.turns import Turns


def test_the_journal_of_an_earlier_release_is_brought_to_the_spool(tmp_path: Path) -> None:
    spool, earlier = SystemFolder(str(tmp_path / "spool")), tmp_path.joinpath(*BRIEF, "node")
    bring(spool, earlier)
    assert not earlier.exists()
    left = BriefFolder(spool, Turns(Journal(SystemFolder(str(earlier)))))
    left.begin("a.rec", b"one").close()
    assert spool.names() == []
    bring(spool, earlier)
    assert spool.read("a.rec", 0, 9) == b"one"
    assert list(earlier.iterdir()) == []
