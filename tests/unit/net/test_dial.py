"""Addresses, and each way in which dialling fails."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from teleport.base.errors import AccessDenied, BadParameter, TeleportError, TimedOut, Unavailable
from teleport.net import dial as module
from teleport.net.dial import Address, dial, dial_error, parse_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("proxy.example:443", Address("proxy.example", 443)),
        ("10.0.0.1:0", Address("10.0.0.1", 0)),
        ("[2001:db8::1]:3080", Address("2001:db8::1", 3080)),
        (":3025", Address("", 3025)),
        ("unix:/run/x.sock", Address(path="/run/x.sock")),
    ],
)
def test_addresses_read_and_print_the_same(text: str, expected: Address) -> None:
    assert parse_address(text) == expected
    assert str(expected) == text


def test_default_port() -> None:
    assert parse_address("proxy.example", 443).port == 443
    assert parse_address("[::1]", 443) == Address("::1", 443)


@pytest.mark.parametrize(
    "text",
    ["", "host", "host:", "host:x", "host:65536", "host:+1", "::1:80", "[::1", "[::1]x:80", "[nonsense]:80", "[]:80",
     "a b:80", "host\n:80", "x" * 254 + ":80", "unix:relative", "unix:/" + "x" * 107, "unix:/a\0b", "[::\0]:1"],
)  # fmt: skip
def test_refused_addresses(text: str) -> None:
    with pytest.raises(BadParameter) as refused:
        parse_address(text)
    assert refused.value.code == "NET-ADDRESS"


def failure(address: str, timeout: float = 5.0) -> TeleportError:
    async def main() -> None:
        stream = await dial(address, timeout=timeout)
        await stream.close()

    with pytest.raises(TeleportError) as failed:
        asyncio.run(main())
    return failed.value


def test_refused_port_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        error = failure(f"127.0.0.1:{free.getsockname()[1]}")
    assert isinstance(error, Unavailable)
    assert error.code == "NET-REFUSED"


def test_missing_and_dead_unix_sockets_are_named(tmp_path: Path) -> None:
    assert failure(f"unix:{tmp_path}/none").code == "NET-UNREACHABLE"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{tmp_path}/dead")
    assert failure(f"unix:{tmp_path}/dead").code == "NET-REFUSED"


def test_unknown_name_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = failure("nowhere.invalid:1")
    assert (error.code, error.what) == ("NET-DNS", "the name nowhere.invalid cannot be resolved")


def test_silence_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(family: int, name: Any) -> socket.socket:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(module, "_connect", silent)
    error = failure("127.0.0.1:1", timeout=0.05)
    assert isinstance(error, TimedOut)
    assert error.code == "NET-TIMEOUT"


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.EACCES, "NET-DENIED"), (errno.ENETUNREACH, "NET-UNREACHABLE"), (errno.ECONNREFUSED, "NET-REFUSED")],
)
def test_system_errors_have_codes(number: int, code: str) -> None:
    error = dial_error(Address("h", 1), OSError(number, os.strerror(number)))
    assert error.code == code
    assert isinstance(error, AccessDenied) == (code == "NET-DENIED")


def addresses(monkeypatch: pytest.MonkeyPatch, *found: tuple[int, Any]) -> None:
    answer = [(family, socket.SOCK_STREAM, 6, "", name) for family, name in found]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: answer)


def test_second_address_is_tried_beside_a_silent_first(monkeypatch: pytest.MonkeyPatch) -> None:
    real = module._connect
    ended: list[str] = []

    async def connect(family: int, name: Any) -> socket.socket:
        if family == socket.AF_INET6:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("first")
        return await real(family, name)

    with socket.create_server(("127.0.0.1", 0)) as server:
        names = [(socket.AF_INET6, ("::1", 1, 0, 0)), (socket.AF_INET, server.getsockname())]
        addresses(monkeypatch, *names)
        monkeypatch.setattr(module, "_connect", connect)
        monkeypatch.setattr(module, "ATTEMPT_DELAY", 0.01)

        async def main() -> None:
            stream = await dial("two.example:1")
            assert stream.peer.address == f"127.0.0.1:{server.getsockname()[1]}"
            await stream.close()

        asyncio.run(main())
    assert ended == ["first"]


def test_all_addresses_refused_names_the_first_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        addresses(monkeypatch, (socket.AF_INET, free.getsockname()), (socket.AF_INET, ("127.0.0.2", 1)))
        assert failure("two.example:1").code == "NET-REFUSED"


def test_later_success_of_a_lost_race_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[socket.socket] = []

    async def connect(family: int, name: Any) -> socket.socket:
        ours, theirs = socket.socketpair()
        theirs.close()
        made.append(ours)
        return made[-1]

    addresses(monkeypatch, (socket.AF_INET, ("127.0.0.1", 1)), (socket.AF_INET, ("127.0.0.2", 1)))
    monkeypatch.setattr(module, "_connect", connect)
    monkeypatch.setattr(module, "ATTEMPT_DELAY", 0)

    async def main() -> None:
        await (await dial("two.example:1")).close()

    asyncio.run(main())
    assert all(sock.fileno() == -1 for sock in made)
