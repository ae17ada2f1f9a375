"""Which audit event tells of what."""

from __future__ import annotations

import pytest

from teleport.agents.ssh import audit
from teleport.agents.ssh.audit import Context
from teleport.agents.ssh.spawner_messages import Exited
from teleport.base.errors import AccessDenied, NotFound, NotSupported
from teleport.model.events.base import Event, decode, document, encode
from tests.support import policy

CONTEXT = Context(
    identity=policy.caller("dev", bot_name="robot"), login="root", client="198.51.100.7:4022", local="192.0.2.1:3022",
    node=policy.node("uuid-7", "node-7", env="prod"), sid="session-1",
)  # fmt: skip
REFUSAL = NotSupported("SSH-NOT-SUPPORTED", thing="it")


def shared(event: Event) -> dict[str, object]:
    """The event as it is read back, checked for what all of them carry."""
    found = document(decode(encode(event)))
    assert (found["user"], found["login"], found["sid"], found["bot_name"]) == ("carol", "root", "session-1", "robot")
    assert (found["server_id"], found["server_hostname"]) == ("uuid-7", "node-7")
    assert found["server_labels"] == {"env": "prod"}
    assert (found["addr.remote"], found["addr.local"]) == ("198.51.100.7:4022", "192.0.2.1:3022")
    return found


@pytest.mark.parametrize(
    ("outcome", "code", "status"),
    [
        (Exited(id=1, status=0), "T3002I", "0"),
        (Exited(id=1, status=3), "T3002E", "3"),
        (Exited(id=1, signal=9), "T3002E", "137"),
        (NotFound("SSH-UNKNOWN-USER", login="root"), "T3002E", "255"),
    ],
)
def test_commands(outcome: Exited | NotFound, code: str, status: str) -> None:
    found = shared(audit.command_ended(CONTEXT, b"echo \xff", outcome))
    assert (found["event"], found["code"], found["exitCode"]) == ("exec", code, status)
    assert found["command"] == "echo \\xff"
    assert ("exitError" in found) is isinstance(outcome, NotFound)


def test_a_long_command_is_cut() -> None:
    found = shared(audit.command_ended(CONTEXT, b"x" * 100_000, Exited(id=1)))
    assert len(str(found["command"])) == audit.COMMAND_CHARACTERS


@pytest.mark.parametrize(
    ("kind", "detail", "event", "code", "field", "value"),
    [
        ("direct-tcpip", "db:5432", "port", "T3003E", "addr", "db:5432"),
        ("direct-streamlocal@openssh.com", "/run/x", "port", "T3003E", "addr", "/run/x"),
        ("tcpip-forward", ":80", "port", "T3003E", "addr", ":80"),
        ("x11-req", "", "x11-forward", "T3008W", "error", "it is not supported by this node"),
        ("x11", "", "x11-forward", "T3008W", "error", "it is not supported by this node"),
        ("subsystem", "sftp", "subsystem", "T3001E", "name", "sftp"),
        ("shell", "", "session.rejected", "T1006W", "reason", "shell"),
        ("env", "FOO", "session.rejected", "T1006W", "reason", "env FOO"),
        ("made-up", "", "session.rejected", "T1006W", "reason", "made-up"),
    ],
)
def test_refusals(kind: str, detail: str, event: str, code: str, field: str, value: str) -> None:
    found = shared(audit.declined(CONTEXT, REFUSAL, kind, detail))
    assert (found["event"], found["code"], found[field]) == (event, code, value)


def test_a_refused_login() -> None:
    error = AccessDenied("PKI-LOGIN-NOT-IN-PRINCIPALS", user="carol", login="daemon", id="the-id")
    event = audit.login_refused(
        error, user="carol", login="daemon", client="c:1", local="s:2", node=policy.node("uuid-7", "node-7")
    )
    found = document(decode(encode(event)))
    assert (found["event"], found["code"]) == ("auth", "T3007W")
    assert (found["user"], found["login"], found["decision_id"]) == ("carol", "daemon", "the-id")


def test_words_for_people() -> None:
    assert audit.thing("subsystem", "sftp") == "the subsystem 'sftp'"
    assert audit.thing("direct-tcpip", "a:1") == "forwarding of a local port"
    assert audit.thing("new-thing", "{x}") == "the request 'new-thing'"
    assert audit.thing("new-{detail}", "x") == "the request 'new-{detail}'"


@pytest.mark.parametrize("name", ["LANG", "LC_ALL", "LC_TIME", "TERM"])
def test_variables_that_clients_send_unasked(name: str) -> None:
    assert audit.is_locale(name)


@pytest.mark.parametrize("name", ["LD_PRELOAD", "FOO", "LC_", "LC_ALL\n", "lang", ""])
def test_variables_that_somebody_chose(name: str) -> None:
    assert not audit.is_locale(name)


def test_who_joins_and_leaves_is_told_with_the_login_and_owner_of_the_session() -> None:
    seat = audit.Seat(CONTEXT, policy.tracker("alice", name="session-1"), "observer")
    for event, name, code in (
        (audit.joined(seat), "session.join", "T2001I"),
        (audit.left(seat), "session.leave", "T2003I"),
    ):
        found = shared(event)
        assert (found["event"], found["code"], found["mode"], found["session_owner"]) == (
            name, code, "observer", "alice",
        )  # fmt: skip


def test_the_end_of_a_session_names_everybody_once() -> None:
    story = audit.Story(
        context=CONTEXT, since=policy.NOW, command=b"", size=None, mode="node", guests=("bob", "carol")
    )  # fmt: skip
    assert document(audit.session_ended(story, policy.NOW))["participants"] == ("carol", "bob")
