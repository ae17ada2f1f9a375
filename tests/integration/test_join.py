"""Joining running sessions on a real cluster: who may, what they see and do, and what is told of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.cluster import BIN, NAME, NODE, OWN, Cluster, User, decision_in
from tests.support.processes import wait_for
from tests.support.terminal import Terminal

HOST = f"{NODE}.{NAME}"
SHELL = "PS1='> ' exec sh -i"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("join")).running() as running:
        running.role("walker", logins=["{{internal.logins}}"])
        for name, modes in (("watcher", ["observer"]), ("helper", ["observer", "moderator"])):
            policy = {"name": name, "roles": ["walk*"], "kinds": ["ssh"], "modes": modes}
            running.role(name, join_sessions=[policy])
        yield running


@pytest.fixture(scope="module")
def bob(cluster: Cluster) -> User:
    """Somebody who may look at what walkers do, and enter no node himself."""
    return cluster.sign_up("bob", ["watcher"])


@pytest.fixture(scope="module")
def mary(cluster: Cluster) -> User:
    return cluster.sign_up("mary", ["helper"])


def tsh(user: User, *words: str, **changes: Any) -> Terminal:
    return Terminal([str(BIN / "tsh"), *words], user.cluster.environment(user.name, TERM="xterm"), **changes)


def session_of(user: User) -> str:
    def look() -> str:
        found = json.loads(user.tsh("sessions", "ls", "--format=json").out)
        running = [each for each in found if each["spec"]["host_user"] == user.name and each["spec"].get("interactive")]
        return running[0]["metadata"]["name"] if running else ""

    return wait_for(f"a session of {user.name}", look)


def participants(user: User, id: str) -> list[tuple[str, str]]:
    found = json.loads(user.tsh("sessions", "ls", "--format=json").out)
    (spec,) = [each["spec"] for each in found if each["metadata"]["name"] == id]
    return [(each["user"], each["mode"]) for each in spec["participants"]]


def gone(cluster: Cluster, id: str) -> None:
    cluster.some(event="session.end", sid=id)
    wait_for(
        "the end of its tracker",
        lambda: id not in cluster.tctl("sessions", "ls", "--format=json").out,
    )


def test_the_owner_joins_and_types_and_both_see_it(cluster: Cluster, alice: User) -> None:
    with tsh(alice, "ssh", "-t", f"{OWN}@{HOST}", SHELL, status=7, size=(100, 30)) as owner:
        owner.see("> ")
        owner.type("echo be'fo're\n")
        owner.see("before\r\n")
        id = session_of(alice)
        with tsh(alice, "join", "--mode=peer", id, status=7) as peer:
            peer.see(f"Teleport > Joining the session of alice on {NODE} as peer; their window is 100x30.")
            peer.see("before\r\n")
            peer.see("Teleport > User alice joined the session.")
            owner.see("Teleport > User alice joined the session.")
            peer.type("echo ty'p'ed; stty size\n")
            for terminal in (owner, peer):
                terminal.see("typed\r\n")
                terminal.see("30 100\r\n")
            wait_for("both", lambda: participants(alice, id) == [("alice", "peer"), ("alice", "peer")])
            owner.resize(90, 20)
            peer.see("Teleport > The terminal is 90x20 now.")
            peer.type("exit 7\n")
    gone(cluster, id)
    for code, kind in (("T2001I", "session.join"), ("T2003I", "session.leave")):
        event = cluster.event(event=kind, sid=id)
        assert (event["code"], event["mode"], event["session_owner"], event["login"]) == (code, "peer", "alice", OWN)


def test_an_observer_sees_and_cannot_type(cluster: Cluster, alice: User, bob: User) -> None:
    with tsh(alice, "ssh", "-t", f"{OWN}@{HOST}", SHELL) as owner:
        owner.see("> ")
        id = session_of(alice)
        listed = json.loads(bob.tsh("sessions", "ls", "--format=json").out)
        assert [each["metadata"]["name"] for each in listed] == [id]
        assert json.loads(bob.tsh("ls", "--format=json").out) == []
        with tsh(bob, "join", id) as observer:
            observer.see("CTRL-C: Leave the session")
            observer.see("Teleport > User bob joined the session.")
            wait_for("both", lambda: participants(alice, id) == [("alice", "peer"), ("bob", "observer")])
            assert "bob (observer)" in alice.tsh("sessions", "ls").out
            observer.type("touch /nowhere; exit 3\n")
            owner.type("echo sh'ow'n\n")
            observer.see("shown\r\n")
            observer.type("\x03")
            observer.rest()
        owner.see("Teleport > User bob left the session.")
        wait_for("one", lambda: participants(alice, id) == [("alice", "peer")])
        owner.type("exit\n")
        shown = owner.rest()
        assert "/nowhere" not in shown
    gone(cluster, id)
    end = cluster.event(event="session.end", sid=id)
    assert end["participants"] == ["alice", "bob"]
    auditor = cluster.sign_up("audrey", ["auditor"])
    (entries,) = wait_for("the recording", lambda: _played(auditor, id))
    assert "shown" in entries
    assert "joined the session" in entries, "as a mark"


def _played(user: User, id: str) -> list[str]:
    done = user.tsh("play", id, "--format=json", status=None)
    return [done.out] if done.status == 0 else []


def test_without_the_right_there_is_a_refusal_with_an_id(cluster: Cluster, alice: User, bob: User) -> None:
    eve = cluster.sign_up("eve", ["walker"], [OWN])
    with tsh(alice, "ssh", "-t", f"{OWN}@{HOST}", SHELL) as owner:
        owner.see("> ")
        id = session_of(alice)
        hidden = eve.tsh("join", id, status=1).err
        assert f'session_tracker "{id}" not found' in hidden
        absent = "5cee949f-5203-4f3b-9805-dac35d798a16"
        missing = eve.tsh("join", absent, status=1).err
        assert _plain(hidden).replace(id, absent) == _plain(missing)
        refused = bob.tsh("join", "--mode=peer", id, status=255).err
        assert "POL-JOIN: access to the session denied: you may not join it as peer" in refused
        tree = cluster.tctl("access", "explain", decision_in(refused)).out
        assert f"DENY join session_tracker/{id} as peer (user bob" in tree
        assert "role watcher  join_sessions modes [observer], kinds [ssh], roles [walk*] MISS" in tree
        owner.type("exit\n")
    gone(cluster, id)
    assert not cluster.events(event="session.join", sid=id)


def _plain(refusal: str) -> str:
    """A refusal without the id of its decision."""
    return refusal.replace(decision_in(refusal), "ID")


def test_a_wrong_id_is_told_at_once(alice: User) -> None:
    assert "'x' is not a valid session ID (must be GUID)" in alice.tsh("join", "x", status=1).err


def test_a_session_without_a_terminal_cannot_be_joined(cluster: Cluster, alice: User) -> None:
    with alice.session():
        (found,) = wait_for(
            "its tracker", lambda: json.loads(alice.tsh("sessions", "ls", "--format=json").out)
        )  # fmt: skip
        refused = alice.tsh("join", found["metadata"]["name"], status=255).err
        assert "SSH-JOIN-NO-TERMINAL" in refused
    gone(cluster, found["metadata"]["name"])


def test_a_moderator_ends_the_session_with_a_word_to_all(cluster: Cluster, alice: User, bob: User, mary: User) -> None:
    with tsh(alice, "ssh", "-t", f"{OWN}@{HOST}", SHELL, status=255) as owner:
        owner.see("> ")
        id = session_of(alice)
        with contextlib.ExitStack() as others:
            observer = others.enter_context(tsh(bob, "join", id, status=255))
            observer.see("User bob joined")
            mod = others.enter_context(tsh(mary, "join", "-m", "moderator", id, status=255))
            mod.see("t: Forcefully terminate the session (moderators only)")
            mod.see("User mary joined")
            observer.see("User mary joined")
            observer.type("t")
            mod.type("t")
            for terminal in (owner, observer, mod):
                terminal.see("Teleport > Session terminated by moderator mary.")
    gone(cluster, id)
    told = cluster.event(event="client.disconnect", sid=id)
    assert told["reason"] == "session terminated by moderator mary"


def test_an_observer_who_does_not_read_slows_nobody(cluster: Cluster, alice: User, bob: User) -> None:
    with tsh(alice, "ssh", "-t", f"{OWN}@{HOST}", SHELL) as owner:
        owner.see("> ")
        id = session_of(alice)
        with tsh(bob, "join", id) as observer:
            observer.see("User bob joined")
            owner.type("head -c 4000000 /dev/zero | tr '\\0' x; echo do'ne'\n")
            owner.see("done\r\n")
            observer.see("bytes of output were skipped.")
            owner.type("exit\n")
            observer.rest()
    gone(cluster, id)


def test_a_lock_ends_participation_and_not_the_session(cluster: Cluster, alice: User) -> None:
    dan = cluster.sign_up("dan", ["watcher"])
    with tsh(alice, "ssh", "-t", f"{OWN}@{HOST}", SHELL) as owner:
        owner.see("> ")
        id = session_of(alice)
        with tsh(dan, "join", id, status=255) as observer:
            observer.see("User dan joined")
            cluster.tctl("lock", "--user=dan", "--message=call the desk")
            observer.see("call the desk")
        owner.see("Teleport > User dan left the session.")
        owner.type("echo st'il'l here; exit\n")
        owner.see("still here")
    gone(cluster, id)


def test_the_login_for_joining_starts_nothing(cluster: Cluster, alice: User) -> None:
    done = alice.ssh("echo started", login="-teleport-internal-join", status=None)
    assert done.status != 0
    assert "started" not in done.out
