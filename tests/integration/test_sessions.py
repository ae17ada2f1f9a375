"""Sessions on a real cluster: `tsh ssh` at a terminal, who sees which sessions, and locks that end them."""

from __future__ import annotations

import json
import re
import signal
from typing import Any

import pytest

from tests.support.cluster import BIN, NAME, NODE, OWN, Cluster, User
from tests.support.processes import wait_for
from tests.support.terminal import Terminal

HOST = f"{NODE}.{NAME}"
SHELL = "PS1='> ' exec sh -i"


@pytest.fixture(scope="module")
def bob(cluster: Cluster) -> User:
    return cluster.sign_up("bob", ["walker"], [OWN])


@pytest.fixture(scope="module")
def eve(cluster: Cluster) -> User:
    """Somebody who may see what others do, and do nothing."""
    return cluster.sign_up("eve", ["auditor"])


def tsh(user: User, *words: str, **changes: Any) -> Terminal:
    """A terminal at which the user runs `tsh`."""
    return Terminal([str(BIN / "tsh"), *words], user.cluster.environment(user.name, TERM="xterm"), **changes)


def sessions(user: User) -> list[dict[str, Any]]:
    found = json.loads(user.tsh("sessions", "ls", "--format=json").out)
    assert isinstance(found, list)
    return found


def test_a_shell_at_a_terminal(cluster: Cluster, alice: User) -> None:
    with tsh(alice, "ssh", f"{OWN}@{HOST}", status=5, size=(111, 37)) as terminal:
        terminal.type("stty size; echo user=$SSH_TELEPORT_USER\n")
        terminal.see("37 111\r\n")
        terminal.see("user=alice")
        assert terminal.modes_now() != terminal.modes, "keys go to the other side as they are"
        terminal.resize(90, 20)
        terminal.type("until [ $(stty size | cut -c1-2) = 20 ]; do sleep 0.1; done; stty size\n")
        terminal.see("20 90\r\n")
        terminal.type("sh -c 'echo as''leep; exec sleep 1000'\n")
        terminal.see("asleep\r\n")  # and in the foreground by then
        terminal.type("\x03")
        terminal.see("^C")
        terminal.type("exit 5\n")
        terminal.rest()
        assert terminal.modes_now() == terminal.modes
    start = cluster.event(event="session.start", user="alice", size="111:37")
    cluster.some(event="session.end", sid=start["sid"])
    cluster.some(event="resize", sid=start["sid"])


def test_a_terminal_for_a_command_and_a_shell_without_one(alice: User) -> None:
    with tsh(alice, "ssh", "-t", f"{OWN}@{HOST}", "test -t 0 && tty && exit 3", status=3) as terminal:
        terminal.see("/dev/pts/")
    with tsh(alice, "ssh", f"{OWN}@{HOST}", "tty; exit 4", status=4) as terminal:
        terminal.see("not a tty")
    assert alice.tsh("ssh", f"{OWN}@{HOST}", stdin="echo $((6 * 7))\nexit 6\n", status=6).out == "42\n"
    assert "42" in alice.tsh("ssh", "-t", f"{OWN}@{HOST}", stdin="echo $((6 * 7))\nexit 7\n", status=7).out
    with tsh(alice, "ssh", "-T", f"{OWN}@{HOST}", status=8) as terminal:
        terminal.type("tty; exit 8\n")
        terminal.see("not a tty")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_the_terminal_is_given_back_whatever_happens(alice: User, number: signal.Signals) -> None:
    with tsh(alice, "ssh", "-t", f"{OWN}@{HOST}", SHELL, status=128 + number) as terminal:
        terminal.see("> ")
        terminal.send(number)
        terminal.rest()
        assert terminal.modes_now() == terminal.modes


def test_a_node_by_its_id_s2_38(cluster: Cluster, alice: User) -> None:
    """S2-38: `tsh ssh` resolves the id of a host."""
    (node,) = json.loads(alice.tsh("ls", "--format=json").out)
    script = f'HOST={node["metadata"]["name"]}\nUSER={OWN}\ntsh ssh "${{USER?}}@${{HOST?}}" "echo here; id -un"\n'
    done = cluster.run("sh", "-c", script, env=cluster.environment("alice"))
    assert done.out == f"here\n{OWN}\n"


def test_stock_ssh_through_the_proxy_with_a_terminal(alice: User) -> None:
    argv = alice.ssh_argv("stty size; teleport status; exit 9", options=["-tt"])
    environment = {**alice.cluster.environment(alice.name), "TERM": "xterm"}
    with Terminal(argv, environment, status=9, size=(70, 50)) as terminal:
        terminal.see("50 70\r\n")


def test_a_session_says_what_it_is(cluster: Cluster, alice: User) -> None:
    """What `teleport status` prints inside of a session, with the address of its page."""
    with tsh(alice, "ssh", "-t", f"{OWN}@{HOST}", f"{BIN}/teleport status; echo id=$SSH_SESSION_ID") as terminal:
        terminal.see(f"User ID     : alice, logged in as {OWN} from 127.0.0.1\r\n")
        terminal.see(f"Cluster Name: {NAME}\r\n")
        terminal.see("Session URL : https://")
        shown = terminal.rest()
    id = shown.rpartition("id=")[2].strip()
    assert f"Session URL : https://{cluster.public}/web/cluster/{NAME}/console/session/{id}\r\n" in shown


def test_who_sees_which_sessions(cluster: Cluster, alice: User, bob: User, eve: User) -> None:
    with (
        tsh(alice, "ssh", "-t", f"{OWN}@{HOST}", SHELL) as hers,
        tsh(bob, "ssh", "-t", f"{OWN}@{HOST}", SHELL) as his,
    ):
        for terminal in (hers, his):
            terminal.see("> ")
        for user in (alice, bob):
            (own,) = sessions(user)
            assert (own["kind"], own["spec"]["host_user"], own["spec"]["state"]) == (
                "session_tracker", user.name, "running",
            )  # fmt: skip
        (alices,) = [each["metadata"]["name"] for each in sessions(alice)]
        assert {each["spec"]["host_user"] for each in sessions(eve)} == {"alice", "bob"}
        table = eve.tsh("sessions", "ls", "--kind", "ssh").out.splitlines()
        assert table[0].split() == ["ID", "Kind", "Created", "User", "Target", "Address"]
        (line,) = [line.split() for line in table if line.startswith(alices)]
        assert (line[1], line[4], line[5], line[6]) == ("ssh", "UTC", "alice", NODE)
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", " ".join(line[2:4]))
        assert len(eve.tsh("sessions", "ls", "--kind", "db,k8s").out.splitlines()) == 2
        assert "CLI-SESSION-KIND" in eve.tsh("sessions", "ls", "--kind", "web", status=1).err
        listed = json.loads(cluster.tctl("sessions", "ls", "--format=json").out)
        assert {each["spec"]["host_user"] for each in listed} == {"alice", "bob"}
        assert alices in cluster.tctl("sessions", "ls", "--format=yaml").out
        for terminal in (hers, his):
            terminal.type("\x04")
    wait_for("the end of both", lambda: sessions(eve) == [])


def test_a_lock_ends_a_live_session_at_once(cluster: Cluster) -> None:
    dan = cluster.sign_up("dan", ["walker"], [OWN])
    with tsh(dan, "ssh", "-t", f"{OWN}@{HOST}", SHELL, status=255) as terminal:
        terminal.see("> ")
        cluster.tctl("lock", "--user=dan", "--message=go home", "--ttl=1h")
        terminal.see('lock targeting User:"dan" is in force: go home')
        terminal.rest()
        assert terminal.modes_now() == terminal.modes
    told = cluster.some(event="client.disconnect", user="dan")
    assert told[0]["reason"] == 'lock targeting User:"dan" is in force: go home'
