"""Messages between the service and a user-side helper."""

import pytest

from teleport.agents.ssh import user_side_messages as messages
from teleport.agents.ssh.spawner_messages import Refused
from teleport.agents.ssh.user_side_messages import (
    ConnectTcp,
    ConnectUnix,
    Forget,
    Given,
    ListenAgent,
    ListenTcp,
    ListenUnix,
    OpenDisplay,
    Reply,
    Request,
    ServeSftp,
)
from teleport.base.errors import BadParameter

REQUESTS: list[Request] = [
    ConnectTcp(id=1, host="h" * messages.HOST_CHARACTERS, port=65535),
    ConnectUnix(id=2, path=b"/\xff" + b"p" * 105),
    ListenTcp(id=3, host="", port=0),
    ListenUnix(id=4, path=b"/run/s"),
    ListenAgent(id=5),
    OpenDisplay(id=6, offset=10, most=1000, screen=0, protocol="MIT-MAGIC-COOKIE-1", cookie=b"\0" * 64),
    ServeSftp(id=7, read_only=True),
    Forget(id=8, listener=4),
]
REPLIES: list[Reply] = [
    Given(id=1),
    Given(id=2, port=80, path=b"/\xff", name="localhost:10.0"),
    Refused(id=3, status=5, code="SSH-USER-HOST", fields={"host": "h"}),
]


@pytest.mark.parametrize("message", REQUESTS, ids=lambda m: type(m).__name__)
def test_requests_survive(message: Request) -> None:
    found = messages.decode_request(messages.encode(message))
    assert (type(found), found) == (type(message), message)


@pytest.mark.parametrize("message", REPLIES, ids=lambda m: type(m).__name__)
def test_replies_survive(message: Reply) -> None:
    found = messages.decode_reply(messages.encode(message))
    assert (type(found), found) == (type(message), message)


def test_neither_side_takes_the_others_messages() -> None:
    with pytest.raises(BadParameter):
        messages.decode_reply(messages.encode(REQUESTS[0]))
    with pytest.raises(BadParameter):
        messages.decode_request(messages.encode(REPLIES[0]))


def test_all_that_may_be_under_way_fits_the_buffer_of_a_socket() -> None:
    """212992 is Linux's default; a datagram counts with some overhead, here taken as 2 KiB."""
    largest = max(len(messages.encode(message)) for message in REQUESTS)
    assert (largest + 2048) * messages.REQUESTS < 212992


def test_messages_are_bounded() -> None:
    with pytest.raises(BadParameter, match="at most 4096"):
        messages.encode(ConnectTcp(id=1, host="h" * 5000, port=1))
