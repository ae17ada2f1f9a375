"""The spawner's memory of logins."""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from teleport.agents.ssh.admission import Admissions
from teleport.agents.ssh.spawner_messages import Admit, Trust
from teleport.base.clock import ManualClock, SystemClock
from teleport.base.errors import BadParameter, TeleportError
from tests.support import proofs
from tests.support.authorities import cluster

OURS, THEIRS = cluster(), cluster(seed=2)


def clock() -> ManualClock:
    """A clock that stands still at the time at which certificates are issued."""
    return ManualClock(SystemClock().now().replace(microsecond=0))


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    """What the spawner freezes for its forks is ordinary to a test."""
    yield
    gc.unfreeze()


def trust(id: int = 1, **changes: Any) -> Trust:
    return Trust(**{"id": id, "cluster": OURS.name, "authorities": dict(proofs.lines(OURS)), **changes})


def admit(id: int, session_id: bytes = b"", **changes: Any) -> Admit:
    shown = asyncio.run(proofs.prove(OURS, "alice", session_id=session_id))
    return Admit(id, shown.login, shown.session_id, shown.message, shown.signature, "")._replace(**changes)


def code_of(act: Any, *arguments: Any) -> str:
    with pytest.raises(TeleportError) as caught:
        act(*arguments)
    return caught.value.code


@pytest.fixture
def admissions() -> Admissions:
    made = Admissions(clock(), open=3, seen=5)
    made.trust(trust())
    return made


def test_what_was_admitted_is_known_until_it_is_dismissed(admissions: Admissions) -> None:
    admissions.admit(admit(7))
    admissions.check(7, "alice")
    assert admissions.login(7) == "alice"
    assert code_of(admissions.check, 7, "root") == "SSH-ADMIT-MISSING"
    assert code_of(admissions.check, 8, "alice") == "SSH-ADMIT-MISSING"
    admissions.dismiss(7)
    admissions.dismiss(7)
    assert code_of(admissions.check, 7, "alice") == "SSH-ADMIT-MISSING"
    assert code_of(admissions.login, 7) == "SSH-ADMIT-MISSING"


def test_nobody_is_admitted_before_there_are_authorities() -> None:
    assert code_of(Admissions(clock()).admit, admit(1)) == "SSH-TRUST-MISSING"


def test_authorities_are_pinned(admissions: Admissions) -> None:
    admissions.trust(trust(id=2))  # the same again, as after a restart of the service in its process
    for other in (
        trust(authorities=dict(proofs.lines(THEIRS))),
        trust(authorities={**proofs.lines(OURS), **proofs.lines(THEIRS)}),
        trust(cluster="other.example.com"),
        trust(host_users=True),
        trust(authorities={}),
    ):
        assert code_of(admissions.trust, other) == "SSH-TRUST-PINNED"
    admissions.admit(admit(3))


def test_authorities_that_cannot_be_used_pin_nothing() -> None:
    made = Admissions(clock())
    assert code_of(made.trust, trust(authorities={})) == "SSH-SPAWN-MESSAGE"
    made.trust(trust())
    made.admit(admit(1))


def test_a_login_counts_once(admissions: Admissions) -> None:
    first = admit(1, b"s" * 32)
    admissions.admit(first)
    assert code_of(admissions.admit, first._replace(id=2)) == "SSH-ADMIT-REPLAY"
    assert code_of(admissions.admit, admit(3, b"s" * 32)) == "SSH-ADMIT-REPLAY"  # by another key, too
    admissions.dismiss(1)
    assert code_of(admissions.admit, first) == "SSH-ADMIT-REPLAY"


def test_a_refused_proof_does_not_use_up_the_session(admissions: Admissions) -> None:
    good = admit(1, b"s" * 32)
    assert code_of(admissions.admit, good._replace(signature=b"")) == "SSH-ADMIT-PROOF"
    admissions.admit(good)


def test_an_id_that_is_in_use(admissions: Admissions) -> None:
    admissions.admit(admit(1))
    with pytest.raises(BadParameter) as caught:
        admissions.admit(admit(1))
    assert caught.value.code == "SSH-SPAWN-MESSAGE"


def test_accounts_are_made_where_that_was_said_first(admissions: Admissions) -> None:
    assert code_of(Admissions(clock()).check_host_users) == "SSH-HOST-USER-CLOSED"
    assert code_of(admissions.check_host_users) == "SSH-HOST-USER-CLOSED"
    making = Admissions(clock())
    making.trust(trust(host_users=True))
    making.check_host_users()


def test_what_is_loaded_for_logins_has_no_part_of_a_network() -> None:
    program = (
        "import sys; from teleport.agents.ssh import proof, spawner_process, user_side_process; "
        "print([m for m in sys.modules if m.split('.')[0] in "
        "('asyncssh', 'ssl', '_ssl', 'aiohttp', 'asyncio', 'grpclib', 'h2', 'http') or m.startswith('teleport.net')])"
    )
    found = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_open_connections_are_bounded(admissions: Admissions) -> None:
    for id in range(3):
        admissions.admit(admit(id))
    assert code_of(admissions.admit, admit(3)) == "SSH-ADMIT-FULL"
    admissions.dismiss(0)
    admissions.admit(admit(3))


def test_the_memory_is_bounded_and_forgets_only_what_has_expired() -> None:
    moved = clock()
    admissions = Admissions(moved, seen=5)
    admissions.trust(trust())
    for id in range(5):
        admissions.admit(admit(id))
        admissions.dismiss(id)
    assert code_of(admissions.admit, admit(5)) == "SSH-ADMIT-FULL"
    moved.advance(dt.timedelta(hours=2))
    assert code_of(admissions.admit, admit(6)) == "PKI-EXPIRED"  # and so its memory is of no use
    shown = asyncio.run(proofs.prove(OURS, "alice", expires=moved.now() + dt.timedelta(hours=1)))
    admissions.admit(Admit(7, shown.login, shown.session_id, shown.message, shown.signature, ""))
