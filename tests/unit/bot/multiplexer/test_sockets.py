"""Sockets in a folder: put in place whole, closed to others, and never taken from somebody who listens."""

from __future__ import annotations

import asyncio
import socket
import stat
from pathlib import Path

import pytest

from teleport.base.errors import AlreadyExists, Unavailable
from teleport.bot.multiplexer import sockets
from tests.support.until import until


def connected(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(path))
    return sock


def test_it_is_for_its_owner_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with sockets.listening(str(tmp_path), "s"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        connected(path).close()
    assert list(tmp_path.iterdir()) == []


def test_what_nobody_serves_is_replaced(tmp_path: Path) -> None:
    for name in ("s", ".s.new"):
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(tmp_path / name))
    with sockets.listening(str(tmp_path), "s"):
        connected(tmp_path / "s").close()


def test_what_somebody_serves_is_left(tmp_path: Path) -> None:
    with sockets.listening(str(tmp_path), "s"):
        with pytest.raises(AlreadyExists) as caught, sockets.listening(str(tmp_path), "s"):
            pass
        connected(tmp_path / "s").close()
    assert caught.value.code == "MUX-SOCKET-TAKEN"


def test_a_long_path_will_do(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    with sockets.listening(str(folder), "s"):
        assert (folder / "s").is_socket()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught, sockets.listening(str(tmp_path / "none"), "s"):
        pass
    assert caught.value.code == "MUX-SOCKET"


def test_no_more_than_may_be_are_served_at_a_time(tmp_path: Path) -> None:
    running: list[socket.socket] = []
    go = asyncio.Event()

    async def one(sock: socket.socket) -> None:
        running.append(sock)
        await go.wait()
        sock.close()

    async def main() -> None:
        with sockets.listening(str(tmp_path), "s") as listener:
            task = asyncio.get_running_loop().create_task(sockets.serve(listener, one, most=2))
            clients = [connected(tmp_path / "s") for _ in range(3)]
            await until(lambda: len(running) == 2)
            assert len(running) == 2
            go.set()
            await until(lambda: len(running) == 3)
            task.cancel()
            await asyncio.wait([task])
            for client in clients:
                client.close()

    asyncio.run(main())


def test_what_somebody_removes_is_made_again(tmp_path: Path) -> None:
    served: list[socket.socket] = []

    async def one(sock: socket.socket) -> None:
        served.append(sock)
        await asyncio.Event().wait()

    async def main() -> None:
        folder = tmp_path / "mux"
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            (tmp_path / f"to_{name}").symlink_to(name)
        (tmp_path / "to_first").rename(folder)
        with sockets.listening(str(folder), "s") as listener:
            task = asyncio.get_running_loop().create_task(sockets.serve(listener, one, most=3))
            clients = [connected(folder / "s")]
            await until(lambda: len(served) == 1)
            (folder / "s").unlink()
            await until((folder / "s").is_socket)
            clients.append(connected(folder / "s"))
            await until(lambda: len(served) == 2)
            (tmp_path / "to_second").rename(folder)
            await until((folder / "s").is_socket)
            clients.append(connected(folder / "s"))
            await until(lambda: len(served) == 3)
            served[0].sendall(b"still there")
            assert clients[0].recv(64) == b"still there"
            task.cancel()
            await asyncio.wait([task])
            for sock in (*clients, *served):
                sock.close()
        assert not list(tmp_path.glob("*/s"))

    asyncio.run(main())


def test_a_socket_that_cannot_be_made_again_is_told(tmp_path: Path) -> None:
    async def one(sock: socket.socket) -> None:
        sock.close()

    async def main() -> None:
        with sockets.listening(str(tmp_path / "mux"), "s") as listener:
            (tmp_path / "mux").rename(tmp_path / "elsewhere")
            async with asyncio.timeout(60):
                await sockets.serve(listener, one, most=1)

    (tmp_path / "mux").mkdir()
    with pytest.raises(Unavailable) as caught:
        asyncio.run(main())
    assert caught.value.code == "MUX-SOCKET"


def test_a_connection_that_fails_ends_alone(tmp_path: Path) -> None:
    async def one(sock: socket.socket) -> None:
        raise OSError("broken")

    async def main() -> None:
        with sockets.listening(str(tmp_path), "s") as listener:
            task = asyncio.get_running_loop().create_task(sockets.serve(listener, one, most=1))
            for _ in range(2):
                with connected(tmp_path / "s") as client:
                    client.setblocking(False)
                    assert await asyncio.get_running_loop().sock_recv(client, 1) == b""
            task.cancel()
            await asyncio.wait([task])

    asyncio.run(main())
