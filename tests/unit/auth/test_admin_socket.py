"""The admin socket on a real unix socket: who may, who may not, and that it leaves a trail."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from teleport.api.client import AuthClient, over_unix
from teleport.api.rpc import Connect
from teleport.auth.admin_socket import NAME, listen
from teleport.base import errors
from teleport.net.network import SystemNetwork
from tests.support.auth_cluster import Cluster, role, running

NOBODY, OWNER = 65534, 4711


def connected_as(uid: int, path: str) -> socket.socket:
    """Connect as another user: the kernel notes the effective user id at that moment (unix(7))."""
    ours = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    os.seteuid(uid)
    try:
        ours.connect(path)
    except OSError:
        ours.close()
        raise
    finally:
        os.seteuid(0)
    ours.setblocking(False)
    return ours


def over(sock: socket.socket) -> Connect:
    async def connect(factory: Callable[[], asyncio.Protocol]) -> asyncio.Protocol:
        _, protocol = await asyncio.get_running_loop().create_unix_connection(factory, sock=sock)
        return protocol

    return connect


@asynccontextmanager
async def socket_of(cluster: Cluster, folder: Path, owner: int) -> AsyncIterator[str]:
    listener = await listen(
        SystemNetwork(), cluster.service, folder, owner=owner, host="auth-host", clock=cluster.clock
    )  # fmt: skip
    try:
        yield str(folder / NAME)
    finally:
        await listener.close(grace=0)


def run(folder: Path, owner: int, story: Callable[[Cluster, str], Awaitable[None]]) -> None:
    async def body() -> None:
        async with asyncio.timeout(60), running() as cluster, socket_of(cluster, folder, owner) as path:
            await story(cluster, path)

    asyncio.run(body())


def test_the_owner_administers_without_signing_in_and_leaves_a_trail(tmp_path: Path) -> None:
    async def story(cluster: Cluster, path: str) -> None:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        async with AuthClient(over_unix(path)) as client:
            await client.create(role("dev"))
        (event,) = [e for e in await cluster.events("role.created") if e["name"] == "dev"]
        assert (event["user"], event["user_kind"]) == ("admin@auth-host", 3)

    run(tmp_path, os.getuid(), story)


@pytest.mark.root
@pytest.mark.skipif(os.getuid() != 0 and not os.environ.get("CI"), reason="needs uid 0")
def test_another_user_is_told_why_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the folders above are not open to others

    async def story(cluster: Cluster, path: str) -> None:
        tmp_path.chmod(0o711)
        with pytest.raises(PermissionError):
            connected_as(NOBODY, NAME)
        os.chmod(path, 0o666)  # noqa: S103 - the mode is only the first line of defence
        async with AuthClient(over(connected_as(NOBODY, NAME))) as client:
            for call in (client.ping(), client.status()):
                with pytest.raises(errors.AccessDenied) as caught:
                    await call
                assert caught.value.code == "API-SOCKET-PEER"
        async with AuthClient(over(connected_as(OWNER, NAME))) as client:
            assert (await client.status()).cluster == "example.com"

    run(tmp_path, OWNER, story)


def test_a_socket_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    async def story() -> None:
        async with AuthClient(over_unix(str(tmp_path / NAME))) as client:
            with pytest.raises(errors.Unavailable) as caught:
                await client.ping()
            assert caught.value.code == "API-UNAVAILABLE"

    asyncio.run(story())
