"""Running sessions as they are listed: who has joined has a column when somebody has."""

from __future__ import annotations

import msgspec
import pytest

from teleport.cli.sessions import KINDS, print_sessions
from teleport.model.kinds.session_tracker import Participant, SessionTracker
from tests.support import policy

OWNER = Participant(id="session-1", user="alice", mode="peer")


def tracker(*participants: Participant) -> SessionTracker:
    found = policy.tracker("alice")
    return msgspec.structs.replace(found, spec=msgspec.structs.replace(found.spec, participants=participants))


@pytest.mark.parametrize(
    ("others", "shown"),
    [
        ((), ""),
        ((Participant(id="2", user="bob", mode="observer"),), "bob (observer)"),
        ((Participant(id="2", user="alice", mode="peer"), Participant(id="3", user="bob", mode="moderator")),
         "alice (peer), bob (moderator)"),
    ],
)  # fmt: skip
def test_who_has_joined(capsys: pytest.CaptureFixture[str], others: tuple[Participant, ...], shown: str) -> None:
    print_sessions([tracker(OWNER, *others)], frozenset(KINDS), "text")
    heading, _, row = capsys.readouterr().out.splitlines()
    assert ("Participants" in heading) is bool(others)
    assert row.rstrip().endswith(shown or "node-7")
