"""The device of a TPM: a Unix socket whose other end is the test's."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from teleport.base.errors import TeleportError
from teleport.net import tpm_device
from teleport.net.tpm_device import TpmDevice

OK = bytes.fromhex("80010000000a00000000")


@contextmanager
def chip(folder: Path, *parts: bytes) -> Iterator[str]:
    """Have something listen that answers one command with these parts, and hangs up."""
    path = str(folder / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def serve() -> None:
            with listener.accept()[0] as peer:
                peer.recv(100)
                for part in parts:
                    peer.sendall(part)
                peer.shutdown(socket.SHUT_WR)
                peer.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        yield path
        thread.join()


def exchange(path: str) -> bytes:
    async def work() -> bytes:
        async with TpmDevice(path) as device:
            return await device.exchange(b"command")

    return asyncio.run(work())


def refused(path: str) -> tuple[str, str]:
    with pytest.raises(TeleportError) as caught:
        exchange(path)
    return caught.value.code, caught.value.what


def test_an_answer_may_come_in_parts(tmp_path: Path) -> None:
    with chip(tmp_path, OK[:4], OK[4:9], OK[9:]) as path:
        assert exchange(path) == OK


def test_one_that_ends(tmp_path: Path) -> None:
    with chip(tmp_path, OK[:9]) as path:
        assert refused(path) == ("NET-TPM", f"the TPM at {path} cannot be used: it ended in the middle of an answer")


def test_one_that_says_too_much(tmp_path: Path) -> None:
    with chip(tmp_path, b"\x80\1\xff\xff\xff\xff\0\0\0\0") as path:
        assert refused(path)[0] == "WIRE-TPM"


def test_one_that_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tpm_device, "TIMEOUT", 0.05)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        monkeypatch.setattr(tpm_device, "_open", lambda path: ours.detach())
        assert "did not answer within" in refused("/dev/x")[1]


def test_none(tmp_path: Path) -> None:
    code, what = refused(str(tmp_path / "none"))
    assert (code, "No such file" in what) == ("NET-TPM", True)


def test_a_file_is_no_chip() -> None:
    assert "ended in the middle" in refused("/dev/null")[1]


def test_one_that_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    monkeypatch.setattr(tpm_device, "_open", lambda path: ours.detach())
    assert refused("/dev/x")[0] == "NET-TPM"
