"""The admin socket on a real unix socket: who may, who may not, and that it leaves a trail."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from teleport.api.client import AuthClient, over_unix
from teleport.auth.admin_socket import NAME, listen
from teleport.base import errors
from teleport.net.network import SystemNetwork
from tests.support.auth_cluster import Cluster, role, running

NOBODY = 65534

STRANGER = """
import asyncio, sys
from teleport.api.client import AuthClient, over_unix
from teleport.base.errors import TeleportError

async def main():
    async with AuthClient(over_unix(sys.argv[1])) as client:
        try:
            print(await client.ping())
        except TeleportError as error:
            print(error.code, error)

asyncio.run(main())
"""


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
def test_another_user_is_told_why_not(tmp_path: Path) -> None:
    if os.getuid() != 0:
        if os.environ.get("CI"):
            pytest.fail("needs uid 0")
        pytest.skip("needs uid 0")

    async def story(cluster: Cluster, path: str) -> None:
        os.chmod(path, 0o666)  # the mode is only the first line of defence
        for folder in (tmp_path, *tmp_path.parents):
            if folder.stat().st_uid == os.getuid() and folder != Path("/"):
                os.chmod(folder, folder.stat().st_mode | 0o011)
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", STRANGER, path], capture_output=True, text=True, check=False,
            user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", timeout=30,
        )  # fmt: skip
        assert done.stdout.startswith("API-SOCKET-PEER the admin socket refuses user id 65534"), done.stderr
        async with AuthClient(over_unix(path)) as client:
            assert (await client.ping())[0] == "example.com"

    run(tmp_path, 4711, story)


def test_a_socket_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    async def story() -> None:
        async with AuthClient(over_unix(str(tmp_path / NAME))) as client:
            with pytest.raises(errors.Unavailable) as caught:
                await client.ping()
            assert caught.value.code == "API-UNAVAILABLE"

    asyncio.run(story())
