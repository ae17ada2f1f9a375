"""pki.signer_process: the child's side, run in this process over a socket pair."""

from __future__ import annotations

import base64
import ctypes
import json
import resource
import runpy
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from teleport.base import process_name
from teleport.base.entropy import SeededEntropy
from teleport.pki import envelope, keys
from teleport.pki import signer_process as child
from teleport.pki.custody import Custody, MemoryShelf
from tests.unit.pki.test_purpose import ssh_tbs


class Line:
    """The parent's end."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.incoming = sock.makefile("rb")

    def send(self, number: int, operation: int, payload: bytes) -> None:
        body = number.to_bytes(4, "big") + bytes((operation,)) + payload
        self.sock.sendall(len(body).to_bytes(4, "big") + body)

    def receive(self) -> tuple[int, int, bytes]:
        frame = self.incoming.read(int.from_bytes(self.incoming.read(4), "big"))
        return int.from_bytes(frame[:4], "big"), frame[4], frame[5:]

    def close(self) -> None:
        self.incoming.close()
        self.sock.close()


@pytest.fixture
def line() -> Iterator[Line]:
    ours, theirs = socket.socketpair()
    custody = Custody(MemoryShelf(), SeededEntropy(1))
    thread = threading.Thread(target=child.serve, args=(theirs, custody))
    thread.start()
    end = Line(ours)
    yield end
    end.close()
    thread.join()


def test_requests_are_answered_in_order(line: Line) -> None:
    line.send(1, child.GENERATE, b'{"algorithm": "ed25519", "purpose": "ssh"}')
    number, status, payload = line.receive()
    assert (number, status) == (1, child.DONE)
    handle = json.loads(payload)
    public = keys.load_spki(base64.b64decode(handle["spki"]))
    key_id, tbs = bytes.fromhex(handle["key_id"]), ssh_tbs(public)
    line.send(2, child.SIGN, key_id + tbs)
    line.send(3, child.SIGN, bytes(16) + tbs)
    line.send(4, child.RETIRE, key_id)
    number, status, signature = line.receive()
    assert (number, status) == (2, child.DONE)
    assert keys.verify(public, signature, tbs)
    number, status, payload = line.receive()
    assert (number, status) == (3, child.FAILED)
    assert json.loads(payload) == {"grpc": 5, "code": "PKI-NO-KEY", "fields": {"key_id": "0" * 32}}
    assert line.receive() == (4, child.DONE, b"")


def test_a_disk_error_is_an_answer(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: MemoryShelf, key_id: str, data: bytes) -> None:
        raise OSError(28, "No space left on device", "/keys/x")

    monkeypatch.setattr(MemoryShelf, "put", full)
    line.send(1, child.GENERATE, b'{"algorithm": "ed25519", "purpose": "ssh"}')
    _, status, payload = line.receive()
    assert status == child.FAILED
    told = json.loads(payload)
    assert (told["code"], told["fields"]["problem"]) == ("PKI-KEY-STORE", "No space left on device")


@pytest.mark.parametrize("sent", [b"\0\0\0\4abcd", b"\xff\xff\xff\xff", b"\0\0\0\x09cut"])
def test_a_broken_frame_ends_the_service(line: Line, sent: bytes) -> None:
    line.sock.sendall(sent)
    line.sock.shutdown(socket.SHUT_WR)
    assert line.incoming.read() == b""


def test_a_parent_that_goes_away_ends_the_service() -> None:
    class Broken:
        """A socket whose other end is gone."""

        def __enter__(self) -> Broken:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def makefile(self, *_: object, **__: object) -> Broken:
            return self

        def __init__(self, *reads: bytes) -> None:
            self.reads = list(reads)

        def read(self, size: int) -> bytes:
            if not self.reads:
                raise ConnectionResetError
            return self.reads.pop(0)

        def sendall(self, data: bytes) -> None:
            raise BrokenPipeError

    custody = Custody(MemoryShelf(), SeededEntropy(1))
    child.serve(Broken(), custody)  # type: ignore[arg-type]
    child.serve(Broken(b"\0\0\0\x05", b"\0\0\0\1\3"), custody)  # type: ignore[arg-type]


@pytest.mark.parametrize("as_program", [False, True])
def test_main_hardens_itself_then_serves(as_program: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: dict[str, object] = {}

    class Library:
        """Stands for the C library."""

        def __init__(self, *_: object, **__: object) -> None:
            pass

        def prctl(self, *arguments: int) -> int:
            done["prctl"] = arguments
            return 0

    monkeypatch.setattr(ctypes, "CDLL", Library)
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: done.update({"core": (which, limits)}))
    for module in (process_name, child):  # as a program it imports the name anew
        monkeypatch.setattr(module, "set_name", lambda title, words: done.update(title=title))
    monkeypatch.setattr(signal, "signal", lambda number, action: done.update({number.name: action}))
    ours, theirs = socket.socketpair()
    ours.close()
    arguments = [str(theirs.detach()), str(tmp_path / "keys")]
    if as_program:
        monkeypatch.setattr(sys, "argv", ["teleport-signer", *arguments])
        runpy.run_path(child.__file__, run_name="__main__")
    else:
        child.main(arguments)
    assert done["prctl"] == (4, 0, 0, 0, 0)
    assert done["core"] == (resource.RLIMIT_CORE, (0, 0))
    assert done["title"] == "teleport-signer"
    assert {name for name, action in done.items() if action is signal.SIG_IGN} == {
        "SIGINT",
        "SIGQUIT",
        "SIGHUP",
        "SIGUSR1",
        "SIGUSR2",
    }


def test_a_data_key_is_unwrapped(line: Line) -> None:
    line.send(1, child.GENERATE, b'{"algorithm": "x25519", "purpose": "recording"}')
    made = json.loads(line.receive()[2])
    wrapped = envelope.wrap(b"d" * 32, envelope.load_public(base64.b64decode(made["spki"])))
    line.send(2, child.DECIPHER, bytes.fromhex(made["key_id"]) + wrapped)
    assert line.receive() == (2, child.DONE, b"d" * 32)
    line.send(3, child.DECIPHER, b"short")
    number, status, payload = line.receive()
    assert (number, status, json.loads(payload)["code"]) == (3, child.FAILED, "PKI-NO-KEY")
