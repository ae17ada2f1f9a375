"""What programs of a session do, as the kernel tells it: the real bpftrace, in a mount namespace of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from teleport.agents.ssh.enhanced.observer import Settings
from teleport.agents.ssh.service import SSHService
from teleport.agents.ssh.spawner import Spawner
from tests.support import bare_home, policy
from tests.support.cluster import OWN, Cluster
from tests.support.processes import tree, wait_for
from tests.support.programs import need
from tests.support.root import need_root
from tests.support.ssh_node import LOGIN, Client, World
from tests.support.until import until

Play = Callable[..., None]
Scene = Callable[[SSHService], Awaitable[None]]
ROOT = f"/teleport-test-{os.getpid()}"
ALONE = ("unshare", "--mount", "sh", "-c", 'mount --make-rprivate / && exec "$@"', "sh")


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    need_root()
    need("bpftrace")
    running = Spawner.launch(wrapper=[*ALONE, *bare_home.wrapper()])
    wait_for("the spawner", lambda: Path(f"/proc/{running.pid}/comm").read_text() == "teleport-spawne\n")
    yield running
    running.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(str(tmp_path / "cgroup"), ROOT)


def options(world: World, *kinds: str, **more: Any) -> None:
    world.roles[:] = [
        policy.role(
            "dev", allow={"logins": [LOGIN], "node_labels": {"env": "prod"}},
            options={"enhanced_recording": [*kinds], **more},
        )
    ]  # fmt: skip


def groups_of(spawner: Spawner, settings: Settings) -> list[str]:
    """The control groups that there are, as the spawner sees them."""
    enter = ["nsenter", "--target", str(spawner.pid), "--mount", "--", "find", settings.mount + settings.root]
    found = subprocess.run([*enter, "-mindepth", "1", "-type", "d"], capture_output=True, text=True, timeout=60)
    return found.stdout.split()


def tracer_of(spawner: Spawner) -> int:
    """The process id of bpftrace."""

    return wait_for("bpftrace", lambda: child_of(spawner.pid, "bpftrace"))


def child_of(pid: int, name: str) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return next((int(child) for child in children if comm_of(int(child)) == name), 0)


def comm_of(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


def test_commands_files_and_connections_of_each_session(
    play: Play, client: Client, world: World, settings: Settings, tmp_path: Path, spawner: Spawner
) -> None:
    options(world, "command", "disk", "network")
    odd = tmp_path / "odd\nname\\ \x1b"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        program = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])))"

        async def scene(node: SSHService) -> None:
            command = f"ls -d /usr; echo x > '{odd}'; python3 -c \"{program}\" {port}; /no/such; true"
            first, second = await asyncio.gather(
                client.run(node, "--", command), client.run(node, "--", f"uname -a; echo > {tmp_path}/second")
            )
            assert (first[0], second[0]) == (0, 0), (first, second)
            ends = await world.wait_for("T2004I", 2)
            assert all(end.get("enhanced_recording") is True for end in ends)
            assert groups_of(spawner, settings) == []

        play(scene, enhanced=settings)
    commands, files, connections = world.told("T4000I"), world.told("T4001I"), world.told("T4002I")
    (ls,) = [each for each in commands if each.get("argv") == ("-d", "/usr") and each["return_code"] == 0]
    assert ls["path"].endswith("/ls")
    assert ls["pid"] > 0
    assert ls["ppid"] > 0
    assert (ls["user"], ls["login"], ls["server_id"]) == ("alice", LOGIN, "node-uuid-1")
    assert [each["return_code"] for each in commands if each["path"] == "/no/such"] == [-2]
    (written,) = [each for each in files if each["path"].startswith(str(tmp_path)) and "odd" in each["path"]]
    assert written["path"] == f"{tmp_path}/odd\\x0aname\\\\ \\x1b"
    assert written["flags"] & os.O_CREAT
    assert written["return_code"] == 0
    assert all(each["path"] for each in files)
    (connected,) = [each for each in connections if each["dst_port"] == port]
    assert (connected["src_addr"], connected["dst_addr"], connected["version"]) == ("127.0.0.1", "127.0.0.1", 4)
    assert {each["sid"] for each in (ls, written, connected)} == {ls["sid"]}
    (uname,) = [each for each in commands if each.get("argv") == ("-a",) and each["return_code"] == 0]
    assert uname["sid"] != ls["sid"]
    assert uname["cgroup_id"] != ls["cgroup_id"]
    (other,) = [each for each in files if each["path"] == f"{tmp_path}/second"]
    assert other["sid"] == uname["sid"]


def test_roles_say_what_is_recorded(play: Play, client: Client, world: World, settings: Settings) -> None:
    options(world, "network")

    async def scene(node: SSHService) -> None:
        assert (await client.run(node, "--", "ls /; echo > /dev/null"))[0] == 0
        options(world)
        assert (await client.run(node, "--", "ls /"))[0] == 0
        ends = await world.wait_for("T2004I", 2)
        assert [end.get("enhanced_recording", False) for end in ends] == [True, False]

    play(scene, enhanced=settings)
    assert [*world.told("T4000I"), *world.told("T4001I"), *world.told("T4002I")] == []


@pytest.mark.parametrize("strict", [True, False])
def test_the_end_of_bpftrace_ends_sessions_that_must_be_recorded(
    play: Play, client: Client, world: World, settings: Settings, spawner: Spawner, strict: bool, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    record = "strict" if strict else "best_effort"
    options(world, "command", record_session={"ssh": record})

    async def scene(node: SSHService) -> None:
        running = asyncio.get_running_loop().create_task(
            client.run(node, "--", f"ls /; until [ -e {gone} ]; do sleep 0.1; done; echo went on")
        )
        await until(lambda: any(event.get("argv") == ("/",) for event in world.told("T4000I")))
        os.kill(tracer_of(spawner), signal.SIGKILL)
        if strict:
            status, _, err = await running
            assert status == 255
            assert "enhanced recording does not run" in err
            refused = await client.run(node, "--", "echo ran")
            assert (refused[0], refused[1]) == (255, b"")
            assert "enhanced recording does not run" in refused[2]
        else:
            gone.touch()
            assert b"went on" in (await running)[1]
            assert (await client.run(node, "--", "echo ran"))[:2] == (0, b"ran\n")

    play(scene, enhanced=settings)


@pytest.mark.parametrize("strict", [True, False])
def test_a_node_that_cannot_observe_says_so(
    play: Play, client: Client, world: World, tmp_path: Path, spawner: Spawner, strict: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    options(world, "command", record_session={"ssh": "strict" if strict else "best_effort"})
    (tmp_path / "file").touch()

    async def scene(node: SSHService) -> None:
        status, out, err = await client.run(node, "--", "echo ran")
        if strict:
            assert (status, out) == (255, b"")
            assert "a control group for enhanced recording cannot be made" in err
        else:
            assert (status, out) == (0, b"ran\n")

    play(scene, enhanced=Settings(str(tmp_path / "file"), ROOT))
    assert "Enhanced recording does not work" in caplog.text


@pytest.mark.config(
    "ssh_service.enhanced_recording.enabled", "ssh_service.enhanced_recording.cgroup_path",
    "ssh_service.enhanced_recording.root_path", "ssh_service.enhanced_recording.command_buffer_size",
    "ssh_service.enhanced_recording.disk_buffer_size", "ssh_service.enhanced_recording.network_buffer_size",
)  # fmt: skip
def test_a_node_observes_as_its_file_says(tmp_path: Path, spawner: Spawner) -> None:
    cluster = Cluster(tmp_path, wrapper=ALONE)
    section = {
        "enabled": "yes", "cgroup_path": tmp_path / "groups", "root_path": f"{ROOT}-file", "command_buffer_size": 1,
        "disk_buffer_size": 5, "network_buffer_size": 2,
    }  # fmt: skip
    lines = "".join(f"    {key}: {value}\n" for key, value in section.items())
    cluster.config.write_text(f"{cluster.config.read_text()}  enhanced_recording:\n{lines}")
    with cluster.running():
        cluster.role("walker", logins=["{{internal.logins}}"])
        alice = cluster.sign_up("alice", ["walker"], [OWN])
        (starter,) = [each.pid for each in tree(cluster.pid) if comm_of(each.pid) == "teleport-spawne"]
        tracer = wait_for("bpftrace", lambda: child_of(starter, "bpftrace"))
        assert b"BPFTRACE_PERF_RB_PAGES=8\0" in Path(f"/proc/{tracer}/environ").read_bytes()
        with alice.session("/bin/echo open; exec cat"):
            start = cluster.event(event="session.start")
            look = f"{tmp_path}/groups{ROOT}-file/{start['sid']}/cgroup.procs"
            assert cluster.run("nsenter", "--target", str(starter), "--mount", "--", "cat", look).out.split()
        seen = cluster.some(event="session.command", argv=["open"])
        assert (seen[0]["code"], seen[0]["path"], seen[0]["sid"]) == ("T4000I", "/bin/echo", start["sid"])
        end = cluster.event(event="session.end", sid=start["sid"])
        assert end["enhanced_recording"] is True
