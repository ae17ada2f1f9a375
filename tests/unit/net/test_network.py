"""The system's network: addresses, unix sockets, limits and the end of a listener."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from teleport.base.errors import AccessDenied, BadParameter, TeleportError, Unavailable
from teleport.net.dial import Address
from teleport.net.listen import Limits
from teleport.net.network import SystemNetwork, _listen_error
from teleport.net.stream import Stream
from tests.support.check_stream import read_all


async def echo(stream: Stream) -> None:
    while data := await stream.read():
        await stream.write(data)


def run(test: Callable[[SystemNetwork, list[BaseException]], Awaitable[None]]) -> None:
    """Run `test` with a network and the list of errors that it reports."""

    async def main() -> None:
        errors: list[BaseException] = []
        async with asyncio.timeout(30):
            await test(SystemNetwork(on_error=errors.append), errors)

    asyncio.run(main())


async def ask(network: SystemNetwork, address: str, text: bytes = b"hello") -> bytes:
    stream = await network.dial(address)
    try:
        await stream.write(text)
        await stream.write_eof()
        return await read_all(stream)
    finally:
        await stream.close()


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:0", ":0", "[::1]:0"])
def test_tcp_listener_tells_its_port(address: str) -> None:
    async def test(network: SystemNetwork, errors: list[BaseException]) -> None:
        listener = await network.listen(address, echo)
        assert not listener.address.endswith(":0")
        target = "127.0.0.1:" + listener.address.rpartition(":")[2] if address == ":0" else listener.address
        assert await ask(network, target) == b"hello"
        await listener.close()
        await listener.close()
        with pytest.raises(Unavailable):
            await ask(network, target)
        assert errors == []

    run(test)


def test_address_in_use_is_named() -> None:
    async def test(network: SystemNetwork, errors: list[BaseException]) -> None:
        listener = await network.listen("127.0.0.1:0", echo)
        with pytest.raises(Unavailable) as used:
            await network.listen(listener.address, echo)
        assert used.value.code == "NET-IN-USE"
        await listener.close()

    run(test)


def test_foreign_address_is_named() -> None:
    async def test(network: SystemNetwork, errors: list[BaseException]) -> None:
        with pytest.raises(BadParameter) as refused:
            await network.listen("192.0.2.1:0", echo)
        assert refused.value.code == "NET-LISTEN"

    run(test)
    denied = _listen_error(Address("h", 80), PermissionError(errno.EACCES, "Permission denied"))
    assert isinstance(denied, AccessDenied)


def test_unix_socket_is_private_and_says_who_called(tmp_path: Path) -> None:
    async def test(network: SystemNetwork, errors: list[BaseException]) -> None:
        seen: list[Any] = []

        async def note(stream: Stream) -> None:
            seen.append(stream.peer)
            await stream.read()

        listener = await network.listen(f"unix:{tmp_path}/s", note)
        assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600
        assert await ask(network, listener.address) == b""
        assert (seen[0].uid, seen[0].pid) == (os.getuid(), os.getpid())
        assert seen[0].address == listener.address == f"unix:{tmp_path}/s"
        await listener.close()
        assert not (tmp_path / "s").exists()

    before = os.umask(0o022)
    os.umask(before)
    run(test)
    assert os.umask(before) == before


def test_stale_unix_socket_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    async def test(network: SystemNetwork, errors: list[BaseException]) -> None:
        address = f"unix:{tmp_path}/s"
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(f"{tmp_path}/s")
        listener = await network.listen(address, echo)
        with pytest.raises(Unavailable) as used:
            await network.listen(address, echo)
        assert used.value.code == "NET-IN-USE"
        assert await ask(network, address) == b"hello"
        (tmp_path / "s").unlink()
        second = await network.listen(address, echo)
        await listener.close()
        assert await ask(network, address) == b"hello", "closing must not remove another's socket"
        await second.close()

    run(test)


def test_only_one_of_many_starting_at_once_gets_the_unix_socket(tmp_path: Path) -> None:
    async def test(network: SystemNetwork, errors: list[BaseException]) -> None:
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(f"{tmp_path}/s")
        tries = (network.listen(f"unix:{tmp_path}/s", echo) for _ in range(5))
        results = await asyncio.gather(*tries, return_exceptions=True)
        won = [result for result in results if not isinstance(result, BaseException)]
        assert len(won) == 1
        assert all(isinstance(result, Unavailable) for result in results if result not in won)
        await won[0].close()

    run(test)


def test_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("precious")

    async def test(network: SystemNetwork, errors: list[BaseException]) -> None:
        with pytest.raises(BadParameter) as refused:
            await network.listen(f"unix:{tmp_path}/s", echo)
        assert refused.value.code == "NET-NOT-A-SOCKET"
        with pytest.raises(TeleportError):
            await network.listen(f"unix:{tmp_path}/missing/s", echo)

    run(test)
    assert (tmp_path / "s").read_text() == "precious"


def test_failed_handler_is_reported_and_ends_only_its_connection() -> None:
    async def fail(stream: Stream) -> None:
        if await stream.read() == b"bad":
            raise ValueError("boom")
        await stream.write(b"fine")

    async def test(network: SystemNetwork, errors: list[BaseException]) -> None:
        listener = await network.listen("127.0.0.1:0", fail)
        assert await ask(network, listener.address, b"bad") == b""
        assert await ask(network, listener.address, b"good") == b"fine"
        assert [str(error) for error in errors] == ["boom"]
        await listener.close()

    run(test)


def test_connections_over_the_limit_wait_for_room() -> None:
    async def test(network: SystemNetwork, errors: list[BaseException]) -> None:
        listener = await network.listen("127.0.0.1:0", echo, limits=Limits(connections=2))
        streams = [await network.dial(listener.address) for _ in range(3)]
        for stream in streams:
            await stream.write(b"x")
        assert [await stream.read() for stream in streams[:2]] == [b"x", b"x"]
        third = asyncio.get_running_loop().create_task(streams[2].read())
        done, _ = await asyncio.wait([third], timeout=0.1)
        assert not done
        assert len(listener) == 2
        await streams[0].close()
        assert await third == b"x"
        for stream in streams:
            await stream.close()
        await listener.close()

    run(test)


class Exhausted:
    """A listening socket whose accept fails while the system is out of descriptors."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.exhausted = True
        self.calls = 0
        self.failed = asyncio.Event()

    def accept(self) -> Any:
        self.calls += 1
        if self.exhausted:
            self.failed.set()
            raise OSError(errno.EMFILE, "Too many open files")
        return self._sock.accept()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def test_lack_of_descriptors_pauses_instead_of_spinning() -> None:
    async def test(network: SystemNetwork, errors: list[BaseException]) -> None:
        listener = await network.listen("127.0.0.1:0", echo, limits=Limits(pause=0.05))
        poor: Any = Exhausted(listener._socket)
        listener._socket = poor
        asyncio.get_running_loop().call_later(0.12, setattr, poor, "exhausted", False)
        assert await ask(network, listener.address) == b"hello"
        assert 2 <= poor.calls <= 8
        assert {error.code for error in errors if isinstance(error, TeleportError)} == {"NET-FILES"}
        poor.exhausted = True
        poor.failed.clear()
        stream = await network.dial(listener.address)
        await poor.failed.wait()
        await listener.close()
        await stream.close()

    run(test)


def test_close_waits_for_handlers_and_then_cancels_them() -> None:
    async def test(network: SystemNetwork, errors: list[BaseException]) -> None:
        listener = await network.listen("127.0.0.1:0", echo)
        forever = asyncio.get_running_loop().create_task(listener.serve_forever())
        stream = await network.dial(listener.address)
        await stream.write(b"x")
        assert await stream.read() == b"x"
        closing = asyncio.get_running_loop().create_task(listener.close(10))
        await forever
        await stream.write(b"still served")
        assert await stream.read() == b"still served"
        await stream.close()
        await closing

        listener = await network.listen("127.0.0.1:0", echo)
        stream = await network.dial(listener.address)
        await stream.write(b"x")
        assert await stream.read() == b"x"
        await listener.close(0)
        assert await stream.read() == b""
        await stream.close()
        assert errors == []

    run(test)
