"""How a client and a node agree that their connection may be resumed, and how everybody else does not notice."""

from __future__ import annotations

import pytest

from teleport.wire.buffer import NeedMore, ProtocolError
from teleport.wire.resumption_opening import (
    MARK,
    RESUME,
    ClientOpening,
    Greeting,
    NodeOpening,
    Request,
    read_answer,
    read_greeting,
    statement,
    write_answer,
    write_greeting,
    write_request,
)

TOKEN = bytes(range(16))
OFFER = Greeting("7f2a-host", TOKEN)
LINE = b"teleport-resume-v1 7f2a-host " + TOKEN.hex().encode() + b"\r\n"
VERSION = b"SSH-2.0-Stock_1\r\n"
PACKET = b"\0\0\0\x08" + b"\x05kexinit"
SECOND = b"\0\0\0\x02" + b"ab"


# -- the first line


def test_a_greeting_is_a_line_before_the_version() -> None:
    assert write_greeting(OFFER) == LINE
    assert read_greeting(LINE + VERSION) == (OFFER, len(LINE))


@pytest.mark.parametrize("size", [0, 1, 15, 20, len(LINE) - 1])
def test_the_beginning_of_a_greeting_asks_for_more(size: int) -> None:
    with pytest.raises(NeedMore):
        read_greeting(LINE[:size])


@pytest.mark.parametrize(
    "line",
    [
        VERSION, b"teleport-resume-v2 host " + TOKEN.hex().encode() + b"\r\n", b"teleport-resume-v1\r\n",
        b"teleport-resume-v1 host zz\r\n", b"teleport-resume-v1 host 00ff\r\n", b"\n",
        b"teleport-resume-v1 h\xf6st " + TOKEN.hex().encode() + b"\r\n", b"teleport-resume-v1 " + b"x" * 300,
    ],
)  # fmt: skip
def test_another_line_offers_nothing(line: bytes) -> None:
    assert read_greeting(line) == (None, 0)


# -- requests and answers


def test_a_statement_is_of_one_carrier_certificate_connection_and_count() -> None:
    base = statement(OFFER, b"c" * 32, TOKEN, 7)
    assert base.startswith(b"teleport-resume-v1\0")
    others = {
        statement(OFFER._replace(token=b"t" * 16), b"c" * 32, TOKEN, 7),
        statement(OFFER._replace(host="other"), b"c" * 32, TOKEN, 7),
        statement(OFFER, b"d" * 32, TOKEN, 7), statement(OFFER, b"c" * 32, b"e" * 16, 7),
        statement(OFFER, b"c" * 32, TOKEN, 8),
    }  # fmt: skip
    assert len({base, *others}) == 6


@pytest.mark.parametrize("received", [0, 12345, None])
def test_an_answer_stands_behind_the_version_line(received: int | None) -> None:
    answer = b"a word before\r\n" + VERSION + write_answer(received)
    assert read_answer(answer + b"frames") == (received, len(answer))
    for size in range(len(answer)):
        with pytest.raises(NeedMore):
            read_answer(answer[:size])


def test_an_answer_is_yes_or_no() -> None:
    with pytest.raises(ProtocolError, match="neither yes nor no"):
        read_answer(VERSION + b"\x02")


# -- the node


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_stock_client_is_left_alone_behind_its_first_packet(size: int) -> None:
    said = VERSION + PACKET + SECOND
    opening, found = NodeOpening(), b""
    for at in range(0, len(said), size):
        if not opening.decided:
            found += opening.receive(memoryview(said)[at : at + size])
        else:
            found += said[at : at + size]
    assert found == said
    assert opening.decided
    assert not opening.resumable
    assert opening.request is None


@pytest.mark.parametrize("size", [1, 5, 100])
def test_a_client_changes_to_frames_behind_its_first_packet(size: int) -> None:
    said = VERSION + PACKET + MARK
    opening, found = NodeOpening(), b""
    for at in range(0, len(said), size):
        assert not opening.decided
        found += opening.receive(said[at : at + size])
    assert found == VERSION + PACKET
    assert (opening.decided, opening.resumable, opening.rest) == (True, True, b"")


def test_what_comes_behind_the_change_is_kept() -> None:
    opening = NodeOpening()
    assert opening.receive(VERSION + PACKET + MARK + b"frames") == VERSION + PACKET
    assert opening.rest == b"frames"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_client_that_was_here_before(size: int) -> None:
    request = Request(TOKEN, 99, b"signature")
    said = write_request(request)
    assert said.startswith(RESUME)
    opening = NodeOpening()
    for at in range(0, len(said), size):
        assert not opening.decided
        assert opening.receive(said[at : at + size]) == b""
    assert (opening.decided, opening.resumable, opening.request) == (True, False, request)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        (write_request(Request(TOKEN, 1, b"s")) + b"x", "more than a request"),
        (RESUME + TOKEN + bytes(8) + b"\xff\xff" + bytes(9000), "a request without end"),
    ],
)
def test_a_request_that_cannot_be_read(said: bytes, problem: str) -> None:
    with pytest.raises(ProtocolError, match=problem):
        NodeOpening().receive(said)


@pytest.mark.parametrize(
    "said", [b"GET / HTTP/1.1\r\n" * 600, VERSION + b"\xff\xff\xff\xff", VERSION + b"\0\0\0\0", b"x" * 9000]
)
def test_what_is_no_ssh_is_for_ssh_to_refuse(said: bytes) -> None:
    opening = NodeOpening()
    assert opening.receive(said) == said
    assert opening.decided
    assert not opening.resumable


# -- the client


def test_a_client_that_is_greeted_marks_the_change_behind_its_first_packet() -> None:
    opening = ClientOpening()
    assert opening.send(VERSION + PACKET) == VERSION + PACKET
    assert not opening.ready
    assert opening.receive(LINE[:9]) == opening.receive(LINE[9:]) == b""
    assert opening.greeting == OFFER
    assert opening.ready
    assert opening.mark() == MARK
    assert not opening.ready


def test_a_client_greeted_first_waits_for_its_own_packet() -> None:
    opening = ClientOpening()
    assert opening.receive(LINE + VERSION) == VERSION
    assert opening.send(VERSION) == VERSION
    assert opening.send(PACKET[:2]) == PACKET[:2]
    assert not opening.ready
    assert opening.send(PACKET[2:] + SECOND) == PACKET[2:]
    assert (opening.ready, bytes(opening.held)) == (True, SECOND)
    assert opening.send(b"more") == b""


@pytest.mark.parametrize("size", [1, 4, 100])
def test_a_node_changes_to_frames_at_the_end_of_a_packet(size: int) -> None:
    opening = ClientOpening()
    opening.send(VERSION + PACKET)
    opening.receive(LINE)
    opening.mark()
    said, found = VERSION + PACKET + MARK + b"frames", b""
    for at in range(0, len(said), size):
        if opening.marked:
            opening.rest += said[at : at + size]
        else:
            found += opening.receive(said[at : at + size])
    assert (found, opening.marked, opening.rest) == (VERSION + PACKET, True, b"frames")


def test_a_server_that_offers_nothing_hears_plain_ssh() -> None:
    opening = ClientOpening()
    assert opening.send(VERSION + PACKET + SECOND) == VERSION + PACKET
    assert opening.receive(b"tele") == b""
    assert opening.receive(b"type\r\n" + VERSION) == b"teletype\r\n" + VERSION
    assert opening.plain
    assert not opening.ready
    assert bytes(opening.held) == SECOND
    assert opening.receive(PACKET) == PACKET


@pytest.mark.parametrize("greeted", [False, True])
def test_a_client_that_speaks_no_ssh_is_passed_on(greeted: bool) -> None:
    opening = ClientOpening()
    if greeted:
        opening.receive(LINE)
    said = VERSION + b"\xff\xff\xff\xff and so on"
    assert opening.send(said) == said
    assert opening.plain
    assert not opening.ready
    assert opening.receive(VERSION) == VERSION


@pytest.mark.parametrize("said", [MARK, b"telex"])
def test_a_node_that_changes_unasked(said: bytes) -> None:
    opening = ClientOpening()
    opening.receive(LINE)
    with pytest.raises(ProtocolError, match="neither a packet nor the change"):
        opening.receive(VERSION + PACKET + said)


def test_a_node_whose_packets_are_none() -> None:
    opening = ClientOpening()
    with pytest.raises(ProtocolError, match="before encryption"):
        opening.receive(LINE + VERSION + b"\xff\xff\xff\xff")
