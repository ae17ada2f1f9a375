"""What a helper may do is what its account may: as root, on a machine with accounts of the test's choice.

Everything is tried twice, as `nobody`, whom the kernel refuses, and where it is instructive as somebody whom it lets.
What a service that has been taken over could send to its spawner is in `test_privilege_lies`.
"""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from teleport.access.action import Connect
from teleport.access.checker import Grant, decide
from teleport.access.roleset import RoleSet
from teleport.agents.ssh.spawner import Spawner
from teleport.agents.ssh.user_side import Listening
from teleport.agents.ssh.user_side_client import HelperSide
from teleport.base.clock import SystemClock
from teleport.base.errors import AccessDenied, NotFound, TeleportError, Unavailable
from teleport.net.ssh_x11 import X11Request
from tests.support import policy, programs, proofs, root
from tests.support.authorities import cluster
from tests.support.until import until

pytestmark = pytest.mark.root
CLUSTER = cluster(now=SystemClock().now())
PASSWD = """root:x:0:0::/root:/bin/sh
walker:x:54321:54322::/mnt/walker:/bin/sh
nobody:x:65534:65534::/mnt/nobody:/bin/sh
"""
GROUP = "root:x:0:\nwalkers:x:54322:\nextra:x:54323:walker\nnogroup:x:65534:\n"
LIMITS = "* hard nofile 300\n* soft nofile 200\n@extra - nproc 4000\nnobody - core 0\n"
NOBODY, WALKER = 65534, 54321


@dataclass
class Machine:
    """A spawner on a machine of its own, whose `/mnt` is `folder` here."""

    folder: Path
    spawner: Spawner

    def play(self, login: str, scene: Callable[[HelperSide], Awaitable[None]]) -> None:
        async def main() -> None:
            self.spawner.connect()
            admission = await proofs.admitted(self.spawner, CLUSTER, login)
            side = HelperSide(lambda: self.spawner.help(admission))
            try:
                async with asyncio.timeout(60):
                    await scene(side)
            finally:
                side.close()
                await self.spawner.dismiss(admission)
                await until(lambda: not self.children())
                self.spawner.disconnect()

        asyncio.run(main())

    def children(self) -> list[int]:
        task = Path(f"/proc/{self.spawner.pid}/task/{self.spawner.pid}/children")
        return [int(word) for word in task.read_text().split()]

    async def output(self, login: str, command: str) -> str:
        """Run a command as the login and return what it prints."""
        roles = RoleSet.build([policy.role("dev", allow={"logins": [login], "node_labels": {"*": "*"}})], {})
        grant = decide(
            policy.caller("dev", principals=(login,)), roles, Connect(login), policy.node(), policy.conditions()
        )
        assert isinstance(grant, Grant)
        admission = await proofs.admitted(self.spawner, CLUSTER, login)
        process = await self.spawner.start(
            grant, admission=admission, login=login, command=command.encode(), environment={}
        )  # fmt: skip
        os.close(process.stdin)
        await process.exited
        parts = [os.read(descriptor, 65536) for descriptor in (process.stdout, process.stderr)]
        os.close(process.stdout)
        os.close(process.stderr)
        await process.release()
        await self.spawner.dismiss(admission)
        return b"".join(parts).decode()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    root.need_root()
    folder = tmp_path / "mnt"
    for path, mode, owner in (
        (folder, 0o755, 0), (folder / "free", 0o777, 0), (folder / "closed", 0o755, 0),
        (folder / "walker", 0o700, WALKER), (folder / "nobody", 0o755, 0),
    ):  # fmt: skip
        path.mkdir()
        os.chown(path, owner, owner)
        path.chmod(mode)
    (folder / "secret").write_text("root's")
    (folder / "secret").chmod(0o600)
    (tmp_path / "limits.conf").write_text(LIMITS)
    script = f'mount --bind {folder} /mnt; mount --bind {tmp_path}/limits.conf /etc/security/limits.conf; exec "$@"'
    wrapper = [*root.private_etc(tmp_path, passwd=PASSWD, group=GROUP), "sh", "-ceu", script, "sh"]
    spawner = Spawner.launch(wrapper=wrapper)
    yield Machine(folder, spawner)
    spawner.close()


@pytest.fixture
def closed_socket(machine: Machine) -> Iterator[socket.socket]:
    """A socket of root's that only root may connect to."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(machine.folder / "socket"))
        os.chmod(machine.folder / "socket", 0o600)
        made.listen()
        yield made


async def refused(work: Awaitable[object], kind: type[TeleportError], code: str) -> None:
    with pytest.raises(kind) as caught:
        await work
    assert (type(caught.value), caught.value.code) == (kind, code)
    if code != "SSH-USER-XAUTH":
        assert "Permission denied" in caught.value.what
        assert "'nobody'" in caught.value.what


def forget(listening: Listening) -> None:
    listening.source.close()


async def sftp(side: HelperSide, *packets: bytes) -> list[bytes]:
    """Speak SFTP and return the answers, without their lengths."""
    answers = []
    with await side.serve_sftp() as connection:
        reader, writer = await asyncio.open_unix_connection(sock=connection)
        for packet in (b"\1\0\0\0\3", *packets):
            writer.write(len(packet).to_bytes(4, "big") + packet)
            answers.append(await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big")))
        writer.close()
        await writer.wait_closed()
    return answers


def opening(path: str, flags: int = 1) -> bytes:
    name = path.encode()
    return b"\3\0\0\0\1" + len(name).to_bytes(4, "big") + name + flags.to_bytes(4, "big") + bytes(4)


def test_files_of_root_are_not_served(machine: Machine) -> None:
    async def scene(side: HelperSide) -> None:
        _, secret, new, own = await sftp(
            side, opening("/mnt/secret"), opening("/mnt/closed/new", 0x1A), opening("/mnt/free/new", 0x1A)
        )
        assert (secret[0], int.from_bytes(secret[5:9], "big")) == (101, 3)  # SSH_FX_PERMISSION_DENIED
        assert (new[0], int.from_bytes(new[5:9], "big")) == (101, 3)
        assert own[0] == 102
        assert (machine.folder / "free" / "new").stat().st_uid == NOBODY
        assert not (machine.folder / "closed" / "new").exists()

    machine.play("nobody", scene)


def test_sockets_of_root_are_not_connected(machine: Machine, closed_socket: socket.socket) -> None:
    async def scene(side: HelperSide) -> None:
        await refused(side.connect_unix("/mnt/socket"), AccessDenied, "SSH-USER-SOCKET")
        await refused(side.connect_unix("/mnt/walker/socket"), AccessDenied, "SSH-USER-SOCKET")

    machine.play("nobody", scene)


def test_sockets_are_connected_as_the_user(machine: Machine, closed_socket: socket.socket) -> None:
    (machine.folder / "socket").chmod(0o666)

    async def scene(side: HelperSide) -> None:
        with await side.connect_unix("/mnt/socket"):
            accepted, _ = closed_socket.accept()
            with accepted:
                peer = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            assert int.from_bytes(peer[4:8], "little") == NOBODY

    machine.play("nobody", scene)


def test_ports_of_root_are_not_bound(machine: Machine) -> None:
    async def scene(side: HelperSide) -> None:
        for host in ("", "127.0.0.1", "localhost", "::1"):
            await refused(side.listen_tcp(host, 81), AccessDenied, "SSH-USER-LISTEN")
        forget(await side.listen_tcp("127.0.0.1", 0))

    def allowed() -> bool:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 81

    if allowed():
        pytest.skip("this machine lets everybody bind port 81")
    machine.play("nobody", scene)


def test_names_are_looked_up_and_connected_to_as_the_user(machine: Machine) -> None:
    """The kernel says whose socket it is in /proc/net/tcp."""

    async def scene(side: HelperSide) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            with await side.connect_tcp("localhost", server.getsockname()[1]) as connected:
                port = f":{connected.getsockname()[1]:04X} "
                (line,) = [each for each in Path("/proc/net/tcp").read_text().splitlines() if port in each[:21] + " "]
                assert int(line.split()[7]) == NOBODY
            with pytest.raises(NotFound):
                await side.connect_tcp("no-such-host.invalid", 80)

    machine.play("nobody", scene)


def test_paths_of_root_are_not_listened_at(machine: Machine, closed_socket: socket.socket) -> None:
    (machine.folder / "free" / "link").symlink_to("/mnt/closed")

    async def scene(side: HelperSide) -> None:
        for path in ("/mnt/closed/socket", "/mnt/walker/socket", "/mnt/free/link/socket"):
            await refused(side.listen_unix(path), AccessDenied, "SSH-USER-SOCKET")
        with pytest.raises(Unavailable, match="in use"):
            await side.listen_unix("/mnt/socket")
        listening = await side.listen_unix("/mnt/free/socket")
        found = os.lstat(machine.folder / "free" / "socket")
        assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (NOBODY, 0o600)
        forget(listening)
        await side.forget(listening)
        assert not os.path.lexists(machine.folder / "free" / "socket")

    machine.play("nobody", scene)


def test_a_link_put_in_the_place_of_a_socket_leads_nowhere(machine: Machine) -> None:
    """The account may swap its own folder for a link between listening and removing."""

    async def scene(side: HelperSide) -> None:
        listening = await side.listen_unix("/mnt/free/socket")
        os.unlink(machine.folder / "free" / "socket")
        (machine.folder / "free" / "socket").symlink_to("/mnt/secret")
        forget(listening)
        await side.forget(listening)
        assert (machine.folder / "free" / "socket").is_symlink()
        assert (machine.folder / "secret").read_text() == "root's"
        folder = machine.folder / "free" / "deep"
        folder.mkdir()
        os.chown(folder, NOBODY, NOBODY)
        listening = await side.listen_unix("/mnt/free/deep/secret")
        folder.rename(machine.folder / "free" / "gone")
        folder.symlink_to("/mnt")
        forget(listening)
        await side.forget(listening)
        assert (machine.folder / "secret").exists()

    machine.play("nobody", scene)


def test_agents_sockets_are_the_users_alone(machine: Machine) -> None:
    async def scene(side: HelperSide) -> None:
        listening = await side.listen_agent("sid")
        for path, mode in ((listening.path, 0o600), (os.path.dirname(listening.path), 0o700)):
            found = os.lstat(path)
            assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (NOBODY, mode)
        assert "Permission denied" in await machine.output("walker", f"ls -l {os.path.dirname(listening.path)}")
        forget(listening)
        await side.forget(listening)
        assert not os.path.exists(os.path.dirname(listening.path))

    machine.play("nobody", scene)


def test_cookies_are_written_as_the_user(machine: Machine) -> None:
    programs.need("xauth")
    (machine.folder / "nobody" / ".Xauthority").write_bytes(b"")
    (machine.folder / "nobody" / ".Xauthority").chmod(0o600)
    cookie = bytes(range(16))
    wanted = X11Request(False, "MIT-MAGIC-COOKIE-1", cookie, 0)

    async def open_one(side: HelperSide) -> None:
        display = await side.open_display("sid", wanted, offset=31000, most=31999)
        authority = machine.folder / "walker" / ".Xauthority"
        assert (authority.stat().st_uid, stat.S_IMODE(authority.stat().st_mode)) == (WALKER, 0o600)
        assert cookie in authority.read_bytes()
        for each in display.listening:
            forget(each)
        await side.forget(display.listening[0])
        assert cookie not in authority.read_bytes()

    async def refuse(side: HelperSide) -> None:
        display = side.open_display("sid", wanted, offset=31000, most=31999)
        await refused(display, Unavailable, "SSH-USER-XAUTH")
        assert (machine.folder / "nobody" / ".Xauthority").read_bytes() == b""

    machine.play("walker", open_one)
    machine.play("nobody", refuse)


def status_of(pid: int) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())


def limits_of(pid: int) -> dict[str, list[str]]:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    return {line[:26].strip(): line[26:].split()[:2] for line in lines}


def test_a_helper_is_the_user_and_nothing_more(machine: Machine) -> None:
    async def scene(side: HelperSide) -> None:
        forget(await side.listen_tcp("127.0.0.1", 0))
        (helper,) = machine.children()
        status = status_of(helper)
        assert status["Uid"].split() == [str(WALKER)] * 4
        assert status["Gid"].split() == ["54322"] * 4
        assert status["Groups"].split() == ["54322", "54323"]
        assert status["NoNewPrivs"] == "1"
        assert {status[name] for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == {"0" * 16}
        limits = limits_of(helper)
        assert limits["Max open files"] == ["200", "300"]
        assert limits["Max processes"] == ["4000", "4000"]
        assert os.stat(f"/proc/{helper}/fd").st_uid == 0  # not dumpable: its files there are root's (proc(5))

    machine.play("walker", scene)


def test_where_the_service_is_an_ordinary_user_its_helper_is_closed_to_others_too(tmp_path: Path) -> None:
    """No change of user makes it so there: the process itself must (prctl(2), PR_SET_DUMPABLE)."""
    root.need_root()
    program = (
        "import ctypes, os, sys; from teleport.agents.ssh import proof, spawner_process, user_side_process; "
        f"os.setgroups([]); os.setgid(54322); os.setuid({WALKER}); "
        "ctypes.CDLL(None).prctl(4, 1, 0, 0, 0); "  # dumpable again, as after an execve as this user
        "spawner_process.main(sys.argv[1:])"
    )  # everything is loaded before: the interpreter may lie where only root can read
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        argv = [*root.private_etc(tmp_path, passwd=PASSWD, group=GROUP), sys.executable, "-I", "-c", program]
        process = subprocess.Popen([*argv, str(theirs.fileno())], pass_fds=(theirs.fileno(),))
    machine = Machine(tmp_path, Spawner(ours, process))

    async def scene(side: HelperSide) -> None:
        forget(await side.listen_tcp("127.0.0.1", 0))
        (helper,) = machine.children()
        assert status_of(helper)["Uid"].split() == [str(WALKER)] * 4
        assert status_of(helper)["NoNewPrivs"] == "1"
        assert os.stat(f"/proc/{helper}/fd").st_uid == 0

    try:
        machine.play("walker", scene)
    finally:
        machine.spawner.close()


def test_another_process_of_the_user_cannot_look_into_a_helper(machine: Machine) -> None:
    async def scene(side: HelperSide) -> None:
        forget(await side.listen_tcp("127.0.0.1", 0))
        (helper,) = machine.children()
        shown = await machine.output(
            "walker", f"ls /proc/{helper}/fd; cat /proc/{helper}/environ; head -c1 /proc/{helper}/mem"
        )
        assert shown.count("Permission denied") == 3

    machine.play("walker", scene)


def test_shells_have_the_limits_of_the_account(machine: Machine) -> None:
    async def scene(_: HelperSide) -> None:
        shown = await machine.output("walker", "ulimit -Sn; ulimit -Hn; cat /proc/self/limits | grep processes")
        assert shown.split()[:2] == ["200", "300"]
        assert "4000" in shown
        assert (await machine.output("nobody", "ulimit -c")).strip() == "0"
        assert (await machine.output("root", "ulimit -Hn")).strip() != "300"

    machine.play("walker", scene)


def test_each_login_has_a_helper_of_its_own(machine: Machine) -> None:
    async def scene(side: HelperSide) -> None:
        forget(await side.listen_tcp("127.0.0.1", 0))
        admission = await proofs.admitted(machine.spawner, CLUSTER, "walker")
        other = HelperSide(lambda: machine.spawner.help(admission))
        forget(await other.listen_tcp("127.0.0.1", 0))
        assert {status_of(pid)["Uid"].split()[0] for pid in machine.children()} == {str(NOBODY), str(WALKER)}
        other.close()
        await machine.spawner.dismiss(admission)

    machine.play("nobody", scene)
