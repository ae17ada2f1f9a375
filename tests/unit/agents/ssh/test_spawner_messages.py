"""Messages between service and spawner."""

import pytest

from teleport.agents.ssh import spawner_messages as messages
from teleport.agents.ssh.spawner_messages import (
    Accepted,
    Admit,
    Dismiss,
    Exited,
    HangUp,
    Helper,
    Refused,
    Release,
    Reply,
    Request,
    Signal,
    Start,
    Started,
    Trust,
)
from teleport.base.errors import BadParameter

REQUESTS: list[Request] = [
    Start(id=1, admission=9, login="alice", command=b"\xff\x00", environment={"SSH_A": "b"}),
    Signal(id=2, name="TERM"),
    HangUp(id=3),
    Release(id=4),
    Trust(id=5, cluster="example.com", authorities={"ssh-ed25519 AAAA": "example.com"}, host_users=True),
    Admit(id=6, login="alice", session_id=b"\0", message=b"\xff" * 66_000, signature=b"s", source="10.0.0.1"),
    Dismiss(id=6),
    Helper(id=7, admission=6),
]
REPLIES: list[Reply] = [
    Accepted(id=5),
    Started(id=1, pid=2),
    Refused(id=2, status=5, code="SSH-SHELL", fields={"login": "alice"}),
    Exited(id=3, status=7),
    Exited(id=3, signal=9, core_dumped=True),
]


@pytest.mark.parametrize("message", REQUESTS, ids=lambda m: type(m).__name__)
def test_requests_survive(message: Request) -> None:
    found = messages.decode_request(messages.encode(message))
    assert (type(found), found) == (type(message), message)


@pytest.mark.parametrize("message", REPLIES, ids=lambda m: type(m).__name__)
def test_replies_survive(message: Reply) -> None:
    found = messages.decode_reply(messages.encode(message))
    assert (type(found), found) == (type(message), message)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x80",
        b"[]",
        b"7",
        b"[" * 100_000,
        b'{"kind": 7}',
        b'{"kind": "Start", "id": 1}',
        messages.encode(REPLIES[0]),
        messages.encode(REQUESTS[1]).replace(b"TERM", b"KONT"),
        messages.encode(REQUESTS[0]).replace(b"1", b"true"),
        messages.encode(REQUESTS[0]).replace(b'"alice"', b"5"),
        messages.encode(REQUESTS[0]).replace(b'"b"', b"5"),
        messages.encode(REQUESTS[2]) + b"\0tail",
        messages.encode(REQUESTS[2]).replace(b"}", b', "more": 1}'),
        messages.encode(REQUESTS[0]).partition(b"\0")[0],
    ],
)
def test_what_is_no_request(data: bytes) -> None:
    with pytest.raises(BadParameter) as caught:
        messages.decode_request(data)
    assert caught.value.code == "SSH-SPAWN-MESSAGE"


def test_a_reply_is_no_request_and_the_reverse() -> None:
    with pytest.raises(BadParameter):
        messages.decode_reply(messages.encode(REQUESTS[0]))


def test_messages_are_bounded() -> None:
    with pytest.raises(BadParameter, match="at most"):
        messages.encode(Start(id=1, admission=1, login="x" * messages.MESSAGE_BYTES, command=b"c", environment={}))


def test_the_largest_command_and_environment_fit() -> None:
    environment = {f"SSH_{number}": "v" * 100 for number in range(256)}
    command = b"c" * messages.COMMAND_BYTES
    assert messages.encode(
        Start(id=1, admission=1, login="l" * 256, command=command, environment=environment)
    )  # fmt: skip
