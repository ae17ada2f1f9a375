"""A stock grpcio client with the published .proto files and TLS files, against the auth port."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from teleport.pki import x509
from tests.support.auth_cluster import HOST_UUID, node, role
from tests.support.auth_door import OpenDoor, Pair, open_door

ROOT = Path(__file__).resolve().parents[2]
CLIENT = ROOT / "tests" / "support" / "stock_client.py"
PUT = 2


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What protoc makes of the published files."""
    folder = tmp_path_factory.mktemp("stubs")
    files = sorted(str(path) for path in (ROOT / "proto").rglob("*.proto"))
    options = [f"-I{ROOT / 'proto'}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *options, *files], check=True)
    for package in (folder / "teleport", folder / "teleport" / "v1"):
        (package / "__init__.py").touch()
    return folder


class Stock:
    """Starts the client."""

    def __init__(self, door: OpenDoor, stubs: Path, folder: Path) -> None:
        self.door = door
        self.stubs = stubs
        self.folder = folder

    async def run(self, story: str, pair: Pair | None, when_ready: Callable[[], Awaitable[Any]] | None = None) -> Any:
        roots = self.folder / "authorities.pem"
        roots.write_text("".join(x509.pem(data) for data in await self.door.authorities()))
        shown = self.door.write(self.folder, "client", pair) if pair else []
        argv = [str(CLIENT), str(self.stubs), str(self.door.port), str(roots), story, *shown]
        environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        environment["GRPC_VERBOSITY"] = "NONE"
        process = await asyncio.create_subprocess_exec(
            sys.executable, *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment,
            cwd=self.folder,
        )  # fmt: skip
        assert process.stdout is not None
        if when_ready is not None:
            assert await process.stdout.readline() == b"ready\n"
            await when_ready()
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return json.loads(out)


def against(story: Callable[[Stock], Awaitable[None]], stubs: Path, folder: Path) -> None:
    async def body() -> None:
        async with asyncio.timeout(100), open_door() as door:
            await story(Stock(door, stubs, folder))

    asyncio.run(body())


def test_it_lists_watches_and_updates_by_revision(stubs: Path, tmp_path: Path) -> None:
    async def story(stock: Stock) -> None:
        cluster = stock.door.cluster
        await cluster.admin.create(role("dev", logins=["root"], node_labels={"*": "*"}))
        service = cluster.client(cluster.host("Node"))
        await service.upsert(node(HOST_UUID, "first", env="dev"))

        async def change() -> None:
            for name in ("second", "third"):
                await service.upsert(node(HOST_UUID, name, env="prod"))

        seen = await stock.run("list_and_watch", await stock.door.user("alice", "dev", "editor"), change)
        assert seen["nodes"] == ["first"]
        assert seen["changes"] == [1, PUT, PUT]
        assert seen["page"] == [1, True]
        assert seen["role"] == "role"
        assert seen["missing"][0] == "NOT_FOUND"
        assert (seen["conflict"][0], "modified since it was read" in seen["conflict"][1]) == ("ABORTED", True)

    against(story, stubs, tmp_path)


def test_it_uses_reflection(stubs: Path, tmp_path: Path) -> None:
    async def story(stock: Stock) -> None:
        seen = await stock.run("reflect", await stock.door.user())
        assert set(seen) == {"grpc.reflection.v1", "grpc.reflection.v1alpha"}
        for names, file in seen.values():
            assert {"teleport.v1.Resources", "teleport.v1.Status", "teleport.v1.Audit"} <= set(names)
            assert file == "teleport/v1/resources.proto"

    against(story, stubs, tmp_path)


def test_nobody_is_refused_everything_but_ping(stubs: Path, tmp_path: Path) -> None:
    async def story(stock: Stock) -> None:
        seen = await stock.run("knock", None)
        assert seen.pop("ping") == ["OK", ""]
        for status, message in seen.values():
            assert (status, message) == ("UNAUTHENTICATED", "this call needs a certificate of the cluster")

    against(story, stubs, tmp_path)


def test_a_host_is_refused_what_people_do(stubs: Path, tmp_path: Path) -> None:
    async def story(stock: Stock) -> None:
        seen = await stock.run("knock", await stock.door.node())
        assert seen["ping"][0] == seen["reflect"][0] == "OK"
        for name in ("invite", "verify"):
            assert seen[name] == ["PERMISSION_DENIED", "auth API: access denied [00]"]

    against(story, stubs, tmp_path)


@pytest.mark.parametrize(("whose", "code"), [("expired", "API-CERT-EXPIRED"), ("foreign", "API-CERT-UNKNOWN-CA")])
def test_foreign_and_expired_certificates_do_not_get_through_the_handshake(
    whose: str, code: str, stubs: Path, tmp_path: Path
) -> None:
    async def story(stock: Stock) -> None:
        if whose == "expired":
            pair = await stock.door.expired()
        else:
            async with open_door(seed=8) as elsewhere:
                pair = await elsewhere.user()
        seen = await stock.run("knock", pair)
        assert {status for status, _ in seen.values()} == {"UNAVAILABLE"}
        events = await stock.door.cluster.events("auth")
        assert len(events) == 1
        assert events[0]["error"].endswith(f"({code})")

    against(story, stubs, tmp_path)


def test_its_bounds(stubs: Path, tmp_path: Path) -> None:
    async def story(stock: Stock) -> None:
        seen = await stock.run("many", await stock.door.user())
        assert seen["answered"] == 500
        assert seen["large"][0] == "RESOURCE_EXHAUSTED"
        assert seen["headers"][0] != "OK"
        assert seen["after"] == ["OK", ""]

    against(story, stubs, tmp_path)
