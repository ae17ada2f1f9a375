"""Sessions of our SSH client: what they ask for, how they end, and what becomes of refusals."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from teleport.base.errors import AccessDenied, TeleportError, Unavailable
from teleport.client.ssh_client import loop as loop_module
from teleport.client.ssh_client.loop import Loop
from teleport.client.ssh_client.session import Ends, Session, Wanted, unblocked
from teleport.pki.ssh_wire import string
from teleport.wire import ssh_channel as wire
from teleport.wire.terminal import Size, Terminal
from tests.support.ssh_peer import Peer, engine
from tests.support.ssh_server import SocketCarrier


class Stage:
    """A session of a client whose server is played by the test."""

    def __init__(self, wanted: Wanted, *, stdin: int | None = None) -> None:
        self.peer = Peer(engine())
        self.peer.let_in()
        self.far, near = socket.socketpair()
        self.loop = Loop(SocketCarrier(near), self.peer.client, "node-1")
        self.out, self.error = os.pipe(), os.pipe()
        self.session = Session(self.loop, Ends(stdin, self.out[1], self.error[1]), wanted)
        self.peer.client.open(wire.SESSION, b"", self.session)
        self.peer.hear()

    def opened(self) -> list[tuple[bytes, bool, bytes]]:
        """Open the channel; return what is asked for."""
        self.peer.say(wire.write_confirmation(0, 9, 100_000, 30_000))
        asked = [wire.read_request(message) for message in self.peer.hear()]
        return [(one.name, one.wants_reply, one.body) for one in asked]

    def close(self) -> None:
        self.loop.close()
        self.far.close()
        for descriptor in (*self.out, *self.error):
            os.close(descriptor)


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    made = Stage(getattr(request, "param", Wanted("ls")))
    yield made
    made.close()


SUCCESS, FAILURE = wire.write_short(wire.SUCCESS, 0), wire.write_short(wire.FAILURE, 0)
CLOSE = wire.write_short(wire.CLOSE, 0)


def status(number: int) -> bytes:
    return wire.write_request(0, b"exit-status", number.to_bytes(4, "big"), wants_reply=False)


@pytest.mark.parametrize(
    ("stage", "names"),
    [
        (Wanted("ls"), [b"exec"]), (Wanted(), [b"shell"]), (Wanted(subsystem="sftp"), [b"subsystem"]),
        (
            Wanted(terminal=Terminal("x", Size(), {}), environment={"A": "b"}, agent=lambda: None),
            [b"auth-agent-req@openssh.com", b"pty-req", b"env", b"shell"],
        ),
    ],
    indirect=["stage"],
)  # fmt: skip
def test_what_is_asked_for(stage: Stage, names: list[bytes]) -> None:
    assert [name for name, _, _ in stage.opened()] == names


def test_bytes_of_a_command_that_are_no_text() -> None:
    stage = Stage(Wanted("ls \udcff"))
    assert stage.opened()[0][2] == string(b"ls \xff")
    stage.close()


def test_output_and_status(stage: Stage) -> None:
    stage.opened()
    assert not stage.session.started
    stage.peer.say(
        SUCCESS, wire.write_data(0, b"out"), b"\x5f\0\0\0\0\0\0\0\x01" + string(b"err"), status(0x107), CLOSE
    )
    assert stage.session.started
    assert not stage.session.done, "it is not written yet: pipes that others share may block"
    stage.loop.run(lambda: stage.session.done, 10)
    assert stage.session.result() == 7
    assert (os.read(stage.out[0], 10), os.read(stage.error[0], 10)) == (b"out", b"err")


@pytest.mark.parametrize(("name", "code"), [(b"TERM", 143), (b"NOSUCH", 255), (b"../x", 255)])
def test_an_end_by_a_signal(stage: Stage, name: bytes, code: int) -> None:
    stage.opened()
    body = string(name) + b"\0" + string(b"") + string(b"")
    stage.peer.say(SUCCESS, wire.write_request(0, b"exit-signal", body, wants_reply=False), CLOSE)
    assert stage.session.result() == code


def test_an_end_without_a_status(stage: Stage) -> None:
    stage.opened()
    stage.peer.say(SUCCESS, CLOSE)
    assert stage.session.result() == 255


def test_nothing_that_runs(stage: Stage) -> None:
    stage.opened()
    stage.peer.say(FAILURE)
    assert [message[0] for message in stage.peer.hear()] == [wire.CLOSE]
    stage.peer.say(CLOSE)
    with pytest.raises(AccessDenied) as caught:
        stage.session.result()
    assert caught.value.code == "CLIENT-NODE-REFUSED"


def test_a_refusal_that_was_said_on_the_channel(stage: Stage) -> None:
    """Our nodes say on standard error why nothing runs, end with 255, and close instead of answering."""
    stage.opened()
    stage.peer.say(b"\x5f\0\0\0\0\0\0\0\x01" + string(b"why"), status(255), CLOSE)
    stage.loop.run(lambda: stage.session.done, 10)
    assert stage.session.result() == 255
    assert os.read(stage.error[0], 10) == b"why"


@pytest.mark.parametrize("text", ["POL-LOCKED: no", ""])
def test_a_channel_that_is_refused(stage: Stage, text: str) -> None:
    stage.peer.say(wire.write_refusal(0, 1, text))
    assert stage.session.done
    with pytest.raises(AccessDenied) as caught:
        stage.session.result()
    assert (text or "opens no session") in caught.value.what


def test_a_connection_that_is_lost(stage: Stage) -> None:
    stage.opened()
    stage.far.close()
    stage.loop.run(lambda: False, 10)
    with pytest.raises(TeleportError):
        stage.session.result()


def test_windows_signals_and_what_else_a_server_asks(stage: Stage) -> None:
    stage.opened()
    stage.session.resize(Size(70, 20))
    stage.session.signal("INT")
    names = [wire.read_request(message).name for message in stage.peer.hear()]
    assert names == [b"window-change", b"signal"]
    stage.peer.say(wire.write_request(0, b"eow@openssh.com", wants_reply=False))
    stage.peer.say(wire.write_request(0, b"x@example.com", wants_reply=True))
    assert [message[0] for message in stage.peer.hear()] == [wire.FAILURE]


def test_before_it_is_open_nothing_is_said() -> None:
    stage = Stage(Wanted("ls"))
    stage.session.resize(Size())
    stage.session.signal("INT")
    assert stage.peer.hear() == []
    stage.session.abandon()
    stage.peer.say(wire.write_confirmation(0, 9, 100, 100))
    assert [message[0] for message in stage.peer.hear()] == [wire.CLOSE], "closed as soon as it opens"
    stage.close()


@pytest.mark.parametrize("typed", [b"~.", b"ls\r~."])
def test_the_way_out(typed: bytes) -> None:
    reading, writing = os.pipe()
    stage = Stage(Wanted(escapes=True, terminal=Terminal("x", Size(), {})), stdin=reading)
    stage.opened()
    os.write(writing, typed)
    assert stage.loop.run(lambda: stage.session.done, 10)
    assert stage.session.result() == 255
    stage.close()
    os.close(reading)
    os.close(writing)


def test_leaving_does_not_wait_for_a_reader(stage: Stage) -> None:
    """A command that floods a terminal which nobody reads: the way out is a way out."""
    stage.opened()
    stage.peer.say(SUCCESS, *[wire.write_data(0, bytes(30_000))] * 10)
    stage.loop.step(0.1)
    assert stage.session.pending
    stage.session.leave(130)
    assert stage.session.done
    stage.peer.say(wire.write_data(0, bytes(30_000)))
    assert stage.session.result() == 130


def test_pipes_are_given_back_as_they_were() -> None:
    reading, writing = os.pipe()
    with unblocked(reading, None, writing):
        assert not os.get_blocking(reading)
    assert os.get_blocking(reading)
    assert os.get_blocking(writing)
    os.close(reading)
    os.close(writing)


# The loop


def test_a_silent_server_is_asked_and_at_last_given_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.opened()
    stage.loop.step(0)
    stage.far.setblocking(False)
    now = loop_module.time.monotonic()
    for minute in range(1, 4):
        monkeypatch.setattr(loop_module.time, "monotonic", lambda minute=minute: now + minute * 60 + 1)
        stage.loop.step(0)
        messages = [message for message in stage.peer.hear() if message[0] == wire.GLOBAL_REQUEST]
        (asked,) = [wire.read_request(message) for message in messages]
        assert (asked.name, asked.wants_reply) == (wire.KEEP_ALIVE, True)
    monkeypatch.setattr(loop_module.time, "monotonic", lambda: now + 4 * 60 + 1)
    stage.loop.step(0)
    assert isinstance(stage.loop.error, Unavailable)
    with pytest.raises(Unavailable):
        stage.session.result()


def test_time_that_passes_is_told(stage: Stage) -> None:
    stage.opened()
    assert stage.loop.run(lambda: False, 0.05) is False
    assert stage.loop.run(lambda: True) is True
