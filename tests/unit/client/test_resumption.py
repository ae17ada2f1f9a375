"""tsh's side of resumption against a node that the test plays, over socket pairs."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator

import pytest

from teleport.base.errors import AccessDenied, NotFound, TeleportError, Unavailable
from teleport.client import resumption
from teleport.client.resumption import Means, ResumableCarrier
from teleport.wire.resumption import Duplex
from teleport.wire.resumption_opening import (
    MARK,
    Greeting,
    NodeOpening,
    Request,
    write_answer,
    write_greeting,
)
from tests.support.plain_way import PlainWay
from tests.support.processes import wait_for

VERSION = b"SSH-2.0-Test\r\n"
PACKET = b"\0\0\0\x04init"
HELD = 262144


class Key:
    """What the user signs with."""

    certificate = b"certificate"

    @staticmethod
    def sign(data: bytes) -> bytes:
        return b"signed:" + data


class Node:
    """The other side: one carrier at a time."""

    def __init__(self, greeted: bool = True) -> None:
        self.greeted = greeted
        self.duplex, self.opening = Duplex(), NodeOpening()
        self.heard = self.plain = b""
        self.sock: socket.socket | None = None
        self.socks: list[socket.socket] = []
        self.requests: list[Request] = []
        self.tokens = 0
        self.answers: list[object] = []
        """What becomes of attempts to come back: an error to raise, bytes to say, or None: the usual."""
        self.asked: list[str] = []

    def accept(self, first: bytes = b"") -> PlainWay:
        near, self.sock = socket.socketpair()
        self.socks.append(self.sock)
        self.tokens += 1
        line = write_greeting(Greeting("host", bytes([self.tokens]) * 16)) if self.greeted else b""
        self.sock.sendall(line + VERSION + first)
        return PlainWay(near)

    def reach(self, host: str) -> PlainWay:
        """Let a client come back; called in the thread that looks for a way."""
        self.asked.append(host)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        way = self.accept()
        said = write_answer(self.duplex.received) if answer is None else answer
        assert isinstance(said, bytes)
        assert self.sock is not None
        self.sock.sendall(said)
        return way

    def hear(self) -> None:
        """Take what has come."""
        assert self.sock is not None
        self.sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while data := self.sock.recv(1 << 20):
                self._take(data)

    def _take(self, data: bytes) -> None:
        if not self.opening.decided:
            self.plain += self.opening.receive(data)
            if self.opening.request is not None:
                self.requests.append(self.opening.request)
                return
            if not self.opening.resumable:
                return
            data = self.opening.rest
        if self.opening.resumable:
            self.heard += b"".join(self.duplex.receive(data))
        else:
            self.plain += data

    def change(self, data: bytes = b"") -> None:
        """Say the first packet, and change to frames."""
        assert self.sock is not None
        self.sock.sendall(PACKET + MARK + b"".join(self.duplex.write(data)))

    def say(self, data: bytes) -> None:
        assert self.sock is not None
        self.sock.sendall(b"".join(self.duplex.write(data)))

    def cut(self) -> None:
        assert self.sock is not None
        self.sock.close()
        self.duplex.lose()


class Stage:
    def __init__(self, node: Node, carrier: ResumableCarrier, told: list[str]) -> None:
        self.node, self.carrier, self.told = node, carrier, told

    def receive(self) -> bytes:
        """Return what arrives for SSH."""
        found = b""
        self.carrier.fill()
        while data := self.carrier.take():
            found += data
        if self.carrier.pending:
            self.carrier.flush()
        return found

    def resumed(self) -> bytes:
        """Wait until there is another way, and let the node go on; return what was read before that."""
        found = self.receive()
        wait_for("the way back", lambda: self.try_again(), seconds=60)
        node = self.node
        node.hear()
        request = node.requests[-1]
        assert node.sock is not None
        node.sock.setblocking(True)
        node.sock.sendall(b"".join(node.duplex.resume(request.received)))
        node.opening.resumable = True
        self.carrier.flush()
        return found

    def try_again(self) -> bool:
        if self.carrier.suspended:
            self.carrier.fill()
        self.node.opening = NodeOpening()
        return not self.carrier.suspended


@pytest.fixture
def play() -> Iterator[Callable[..., Stage]]:
    open_: list[Stage] = []

    def make(*, greeted: bool = True, patience: float = 60.0, framed: bool = True) -> Stage:
        node, told = Node(greeted), list[str]()
        way = node.accept()
        means = Means(node.reach, Key, "node-1", told.append, patience)  # type: ignore[arg-type]
        way.ask(VERSION + PACKET)
        way.sock.setblocking(False)
        stage = Stage(node, ResumableCarrier(way, VERSION + PACKET, means), told)  # type: ignore[arg-type]
        open_.append(stage)
        if framed:
            assert stage.receive() == VERSION
            node.hear()
            node.change()
            assert stage.receive() == PACKET
        return stage

    yield make
    for stage in open_:
        stage.carrier.sock.close()
        for sock in stage.node.socks:
            sock.close()


Play = Callable[..., Stage]


def test_bytes_go_in_frames_behind_the_first_packets(play: Play) -> None:
    stage = play()
    stage.carrier.give(b"hello")
    stage.carrier.flush()
    stage.node.hear()
    assert (stage.node.plain, stage.node.heard) == (VERSION + PACKET, b"hello")
    stage.node.say(b"welcome")
    assert stage.receive() == b"welcome"
    assert not stage.carrier.held
    assert stage.told == []


def test_a_node_without_the_feature_hears_plain_ssh(play: Play) -> None:
    stage = play(greeted=False, framed=False)
    stage.carrier.give(b"\0\0\0\1x")
    assert not stage.carrier.held
    assert stage.receive() == VERSION
    stage.carrier.give(b"\0\0\0\1y")
    stage.carrier.flush()
    stage.node.hear()
    assert stage.node.plain == VERSION + PACKET + b"\0\0\0\1x\0\0\0\1y"
    stage.carrier.give_end()
    stage.carrier.drop()
    stage.node.cut()
    assert stage.receive() == b""
    assert stage.carrier.ended
    assert stage.node.asked == []


def test_a_connection_lost_before_the_node_agreed_is_lost(play: Play) -> None:
    stage = play(framed=False)
    stage.carrier.sock.close()
    for action in (stage.carrier.fill, stage.carrier.flush):
        stage.carrier.give(b"x" * 10)
        with pytest.raises(Unavailable) as caught:
            action()
        assert caught.value.code == "NET-RESET"


def test_it_comes_back_and_nothing_is_lost(play: Play) -> None:
    stage = play()
    stage.carrier.give(b"one ")
    stage.carrier.flush()
    stage.node.hear()
    stage.node.cut()
    stage.node.duplex.write(b"while you were away")
    assert stage.resumed() == b""
    assert stage.node.asked == ["host"]
    stage.carrier.give(b"two")
    stage.carrier.flush()
    stage.node.hear()
    assert stage.node.heard == b"one two"
    assert stage.receive() == b"while you were away"
    (request,) = stage.node.requests
    assert request.connection == b"\1" * 16
    assert request.signature.startswith(b"signed:teleport-resume-v1\0\0\4host" + b"\2" * 16)
    assert [line.partition(":")[0] for line in stage.told] == [
        "The connection to node-1 was lost", "The connection to node-1 was resumed.",
    ]  # fmt: skip


def test_what_is_written_without_a_way_waits_and_holds_back(play: Play) -> None:
    stage = play()
    stage.node.answers = [Unavailable("NET-RESET", address="proxy", reason="not yet")] * 2
    stage.node.cut()
    stage.receive()
    stage.carrier.give(b"x" * HELD)
    stage.carrier.flush()
    stage.carrier.drop()
    assert not stage.carrier.held
    stage.carrier.give(b"y")
    assert stage.carrier.held
    assert (stage.carrier.suspended, stage.carrier.pending) == (True, 0)
    stage.resumed()
    for _ in range(100):
        stage.carrier.flush()
        stage.node.hear()
    assert stage.node.heard == b"x" * HELD + b"y"


def test_it_is_lost_again_and_again(play: Play) -> None:
    stage = play()
    for number in range(3):
        stage.node.cut()
        stage.resumed()
        stage.node.say(bytes([number]))
        assert stage.receive() == bytes([number])
    assert len({request.signature for request in stage.node.requests}) == 3


def test_an_end_of_either_side_is_no_loss(play: Play) -> None:
    stage = play()
    stage.carrier.give_end()
    stage.carrier.flush()
    stage.node.hear()
    assert stage.node.duplex.ended
    assert stage.node.sock is not None
    stage.node.sock.sendall(b"".join(stage.node.duplex.write(b"bye")) + b"".join(stage.node.duplex.end()))
    stage.node.sock.close()
    assert stage.receive() == b"bye"
    assert stage.carrier.ended
    assert stage.node.asked == []


def test_after_its_time_it_says_so(play: Play) -> None:
    stage = play(patience=0.3)
    stage.node.answers = [OSError(111, "Connection refused")] * 1000
    stage.node.cut()
    stage.receive()
    with pytest.raises(Unavailable) as caught:
        wait_for("the end of patience", stage.try_again, seconds=60)
    assert caught.value.code == "CLIENT-RESUME-TIME"
    assert "Connection refused" in caught.value.what
    assert stage.receive() == b""


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (AccessDenied("PROXY-PINNED-IP", user="alice"), "PROXY-PINNED-IP"),
        (write_answer(None), "CLIENT-RESUME-REFUSED"),
        (b"\x07", "WIRE-RESUME"),
    ],
)
def test_a_refusal_is_final(play: Play, answer: object, code: str) -> None:
    stage = play()
    stage.node.answers = [answer]
    stage.node.cut()
    stage.receive()
    with pytest.raises(TeleportError) as caught:
        wait_for("the refusal", stage.try_again, seconds=60)
    assert caught.value.code == code
    assert len(stage.node.asked) == 1


def test_a_node_that_resumes_nothing_any_more_is_final(play: Play) -> None:
    stage = play()
    stage.node.greeted = False
    stage.node.cut()
    stage.receive()
    with pytest.raises(AccessDenied) as caught:
        wait_for("the refusal", stage.try_again, seconds=60)
    assert caught.value.code == "CLIENT-RESUME-REFUSED"


@pytest.mark.parametrize("error", [
    NotFound("POL-NOT-FOUND", kind="node", name="n", decision="d"), Unavailable("NET-RESET", address="a", reason="r"),
])  # fmt: skip
def test_what_may_pass_is_tried_again(play: Play, error: TeleportError) -> None:
    stage = play()
    stage.node.answers = [error, error]
    stage.node.cut()
    stage.resumed()
    assert len(stage.node.asked) == 3


def test_words_for_the_user(capfd: pytest.CaptureFixture[str]) -> None:
    resumption.tell("lost\x1b[2J")
    resumption.tell_nobody("nothing")
    assert "\x1b" not in (said := capfd.readouterr().err)
    assert said.startswith("lost")
    assert said.endswith("\n")
