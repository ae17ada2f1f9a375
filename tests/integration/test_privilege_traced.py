"""The process that speaks with the network touches nothing for a user: strace(1) watches it at work."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.channels import DOORS, PAYLOAD, Door, Ran
from tests.support.cluster import NAME, NODE, OWN, Cluster, User
from tests.support.traced import Call, traced

ROOT = Path(__file__).parents[2]
PLACES = ("", ".", "/", "/etc/localtime", "/dev/null", "/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf")
FOLDERS = ("/dev/ptmx", "/proc/self/", "/sys/devices/system/cpu/", "/lib/", "/usr/lib/", "/usr/share/zoneinfo/")
"""Files of the machine that a process may read for itself; an empty one stands for an open descriptor."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("traced"))
    made.config.write_text(made.config.read_text() + "  x11:\n    enabled: yes\n")
    with made.running() as running:
        allow = {"logins": [OWN], "node_labels": {"env": ["dev"]}}
        options = {"forward_agent": True, "permit_x11_forwarding": True, "ssh_file_copy": True}
        spec = {"allow": allow, "options": options}
        running.create({"kind": "role", "version": "v7", "metadata": {"name": "walker"}, "spec": spec})
        yield running


class Stock:
    """Stock OpenSSH for the node of a cluster (`tests.support.channels.Stock`)."""

    def __init__(self, user: User) -> None:
        (_, _, config, *_), self._user = user.ssh_argv(""), user
        self._aim = ["-F", config]
        self._target = f"{OWN}@{NODE}.{NAME}"

    @contextlib.asynccontextmanager
    async def start(
        self, *options: str, command: Sequence[str] = (), env: dict[str, str] | None = None, program: str = "ssh"
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        pipe, environment = asyncio.subprocess.PIPE, self._user.cluster.environment(self._user.name, **(env or {}))
        process = await asyncio.create_subprocess_exec(
            program, *self._aim, *options, self._target, *command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment
        )
        try:
            async with asyncio.timeout(60):
                yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def run(
        self, *options: str, command: Sequence[str] = (), stdin: bytes = b"", env: dict[str, str] | None = None,
        program: str = "ssh",
    ) -> Ran:  # fmt: skip
        async with self.start(*options, command=command, env=env, program=program) as process:
            out, err = await process.communicate(stdin)
        assert process.returncode is not None
        return Ran(process.returncode, out, err.decode(errors="replace"))


@pytest.mark.parametrize("door", [pytest.param(door, id=door.name.replace(" ", "_")) for door in DOORS])
def test_every_channel_is_another_processes(door: Door, alice: User, cluster: Cluster, tmp_path: Path) -> None:
    """And it is used: the payload goes through."""
    (tmp_path / "source").write_bytes(PAYLOAD)
    with traced(cluster.pid, tmp_path / "trace") as calls:
        seen = asyncio.run(door.use(Stock(alice), tmp_path))
        alice.ssh("true")  # whose recording is seen
    assert seen.through, seen.said
    check(calls, cluster)
    assert not any(str(tmp_path) in call.line for call in calls)


def check(calls: list[Call], cluster: Cluster) -> None:
    """What is opened by name is the service's own: its data, its program, a new terminal; nothing is bound, and
    nothing connected to but what the services of this one process say to each other."""
    ports = tuple(f"htons({number})" for number in (cluster.settings["auth"], cluster.public.rpartition(":")[2]))
    own = (str(cluster.data), sys.prefix, sys.base_prefix, str(ROOT), *FOLDERS)
    assert any(str(cluster.data) in call.line for call in calls), "nothing was seen"
    for call in calls:
        assert call.name != "bind", call.line
        if call.name == "connect":
            assert any(port in call.line for port in ports), call.line
            continue
        for path in call.texts[:1]:
            assert path.startswith(own) or path in PLACES, call.line


def test_commands_and_shells_are_another_processes(alice: User, cluster: Cluster, tmp_path: Path) -> None:
    with traced(cluster.pid, tmp_path / "trace") as calls:
        assert alice.ssh(f"umask 077; echo mine > {tmp_path}/file; cat {tmp_path}/file").out == "mine\n"
        assert alice.ssh(f"cat {tmp_path}/file; id -u", options=["-tt"]).out == f"mine\n{os.geteuid()}\n"
    check(calls, cluster)
    assert any("/dev/ptmx" in call.line for call in calls), "a terminal is the service's to make"
    assert not any(str(tmp_path) in call.line for call in calls)
