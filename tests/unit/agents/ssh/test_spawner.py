"""The spawner as a process: commands as their users, with nothing of ours, and their ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from teleport.access.checker import Connect, Grant, decide
from teleport.access.roleset import RoleSet
from teleport.agents.ssh import spawner_messages as messages
from teleport.agents.ssh import spawner_process
from teleport.agents.ssh.spawner import Process, Spawner
from teleport.base.clock import SystemClock
from teleport.base.errors import BadParameter, Internal, TeleportError, Unavailable
from teleport.wire.terminal import Size, Terminal
from tests.support import bare_home, policy, proofs, root
from tests.support.authorities import cluster
from tests.support.ssh_node import LOGIN
from tests.support.until import until

Scene = Callable[[Spawner], Awaitable[None]]
LIBRARY_SIGNALS = 1 << 31 | 1 << 32
"""Signals 32 and 33 as `SigIgn` shows them. They belong to the C library: whoever is started by posix_spawn, as by
`make`, ignores them, and no program can change that with its calls."""


CLUSTER = cluster(now=SystemClock().now())


def grant(login: str = LOGIN) -> Grant:
    roles = RoleSet.build([policy.role("dev", allow={"logins": [login], "node_labels": {"*": "*"}})], {})
    found = decide(policy.caller("dev", principals=(login,)), roles, Connect(login), policy.node(), policy.conditions())
    assert isinstance(found, Grant)
    return found


async def start(spawner: Spawner, command: str, login: str = LOGIN, **environment: str) -> Process:
    id = await admission(spawner, login)
    return await spawner.start(
        grant(login), admission=id, login=login, command=command.encode(), environment=environment
    )  # fmt: skip


async def admission(spawner: Spawner, login: str = LOGIN) -> int:
    return await proofs.admitted(spawner, CLUSTER, login)


async def read_all(descriptor: int) -> bytes:
    """Read a pipe to its end and close it."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    async with asyncio.timeout(20):
        data = await reader.read()
    transport.close()
    return data


async def finish(process: Process) -> tuple[messages.Exited, str, str]:
    """Close the command's input, read its output, wait for its end."""
    os.close(process.stdin)
    out, err = await asyncio.gather(read_all(process.stdout), read_all(process.stderr))
    async with asyncio.timeout(20):
        ended = await process.exited
    await process.release()
    return ended, out.decode(), err.decode()


async def output(spawner: Spawner, command: str, login: str = LOGIN, **environment: str) -> str:
    ended, out, err = await finish(await start(spawner, command, login, **environment))
    assert (ended.status, ended.signal, err) == (0, 0, "")
    return out


def running(marker: Path) -> bool:
    """Whether the process that wrote its number into the file is there."""
    number = marker.read_text().strip() if marker.exists() else ""
    return bool(number) and Path(f"/proc/{number}").exists()


def close(process: Process) -> None:
    for descriptor in (process.stdin, process.stdout, process.stderr):
        os.close(descriptor)


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    running = Spawner.launch(wrapper=bare_home.wrapper())
    yield running
    running.close()


def play(spawner: Spawner, scene: Scene) -> None:
    async def main() -> None:
        spawner.connect()
        try:
            await scene(spawner)
        finally:
            spawner.disconnect()

    asyncio.run(main())


def test_output_error_and_status(spawner: Spawner) -> None:
    async def scene(spawner: Spawner) -> None:
        process = await start(spawner, "cat; echo out; echo err >&2; exit 7")
        os.write(process.stdin, b"in ")
        ended, out, err = await finish(process)
        assert (ended.status, ended.signal, out, err) == (7, 0, "in out\n", "err\n")

    play(spawner, scene)


def test_environment_is_made_from_nothing(spawner: Spawner) -> None:
    async def scene(spawner: Spawner) -> None:
        program = "import os, json; print(json.dumps(dict(os.environ)))"
        text = await output(spawner, f"exec {sys.executable} -c '{program}'", SSH_SESSION_ID="abc")
        found = {name: value for name, value in json.loads(text).items() if name not in ("_", "SHLVL", "PWD", "OLDPWD")}
        assert found.pop("PATH").startswith("/")
        assert found.pop("HOME").startswith("/")
        assert found.pop("SHELL").startswith("/")
        assert found == {"USER": LOGIN, "LOGNAME": LOGIN, "LANG": "C.UTF-8", "SSH_SESSION_ID": "abc"}

    play(spawner, scene)


def test_nothing_of_the_spawner_is_left(spawner: Spawner) -> None:
    async def scene(spawner: Spawner) -> None:
        program = (
            "import os, signal, resource; "
            "print(sorted(os.listdir('/proc/self/fd'), key=int)[:4], os.umask(0), os.getsid(0) == os.getpid(), "
            "signal.pthread_sigmask(signal.SIG_BLOCK, ()), signal.getsignal(signal.SIGTERM), "
            "resource.getrlimit(resource.RLIMIT_NOFILE)[0] <= 1024)"
        )
        found = await output(spawner, f'exec {sys.executable} -c "{program}"')
        assert found == "['0', '1', '2', '3'] 18 True set() 0 True\n"  # 3 is the folder being listed
        ignored = await output(spawner, "grep SigIgn /proc/self/status")
        assert int(ignored.split()[1], 16) & ~LIBRARY_SIGNALS == 0

    play(spawner, scene)


def test_it_starts_at_home_and_reads_the_command_as_bytes(spawner: Spawner) -> None:
    async def scene(spawner: Spawner) -> None:
        assert await output(spawner, 'test "$(pwd -P)" = "$(cd && pwd -P)" && echo home') == "home\n"
        id = await admission(spawner)
        process = await spawner.start(
            grant(), admission=id, login=LOGIN, command=b"printf '\xff'", environment={}
        )  # fmt: skip
        os.close(process.stdin)
        assert await read_all(process.stdout) == b"\xff"
        os.close(process.stderr)
        await process.exited

    play(spawner, scene)


def test_ends_by_signal(spawner: Spawner) -> None:
    async def scene(spawner: Spawner) -> None:
        process = await start(spawner, "sleep 1000")
        await process.signal("USR1")
        ended, _, _ = await finish(process)
        assert (ended.status, ended.signal) == (0, signal.SIGUSR1)
        await process.signal("TERM")  # nobody is there any more
        await process.hang_up()

    play(spawner, scene)


def test_hang_up_ends_the_group(spawner: Spawner) -> None:
    async def scene(spawner: Spawner) -> None:
        process = await start(spawner, "sleep 1000 & echo $!; wait")
        reading = asyncio.get_running_loop().create_task(read_all(process.stdout))
        while not reading.done():
            await process.hang_up()
            await asyncio.sleep(0.01)
        async with asyncio.timeout(10):
            assert (await process.exited).signal == signal.SIGHUP
        os.close(process.stdin)
        os.close(process.stderr)

    play(spawner, scene)


def test_hang_up_does_not_take_no_for_an_answer(tmp_path: Path) -> None:
    """Every process of the group ends, even if the leader has gone and the rest ignores SIGHUP."""
    running = launch_with_grace(0.2)

    async def scene(spawner: Spawner) -> None:
        stubborn = await start(spawner, "trap '' HUP; sleep 1000")
        leaver = await start(spawner, "(trap '' HUP; echo ready; exec sleep 1000) & wait")
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()
        loop.add_reader(leaver.stdout, arrived.set)
        async with asyncio.timeout(20):
            await arrived.wait()
            loop.remove_reader(leaver.stdout)
            for process in (stubborn, leaver):
                await process.hang_up()
            assert (await leaver.exited).signal == signal.SIGHUP
            assert await read_all(leaver.stdout) == b"ready\n"  # the end comes with the last of the group
            assert (await stubborn.exited).signal in (signal.SIGHUP, signal.SIGKILL)
        close(stubborn)
        os.close(leaver.stdin)
        os.close(leaver.stderr)

    try:
        play(running, scene)
    finally:
        running.close()


def launch_after(first: str, *wrapper: str) -> Spawner:
    """Launch a spawner that executes some Python first."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    program = f"import os, sys; from teleport.agents.ssh import spawner_process as s; {first}; s.main(sys.argv[1:])"
    with theirs:
        argv = [*wrapper, sys.executable, "-I", "-c", program, str(theirs.fileno())]
        process = subprocess.Popen(argv, pass_fds=(theirs.fileno(),))
    return Spawner(ours, process)


def launch_with_grace(seconds: float) -> Spawner:
    """Launch a spawner that waits less before it kills."""
    return launch_after(f"s.GRACE = {seconds}")


def test_hang_up_reaches_what_a_leader_has_left_behind(spawner: Spawner) -> None:
    async def scene(spawner: Spawner) -> None:
        process = await start(spawner, "sleep 1000 & exit 3")
        async with asyncio.timeout(20):
            assert (await process.exited).status == 3
            await process.hang_up()
            assert await read_all(process.stdout) == b""
        os.close(process.stdin)
        os.close(process.stderr)

    play(spawner, scene)


def test_what_a_released_command_left_running_goes_on(spawner: Spawner, tmp_path: Path) -> None:
    async def scene(spawner: Spawner) -> None:
        left = f"(while [ ! -e {tmp_path}/go ]; do sleep 0.01; done; echo gone on > {tmp_path}/proof)"
        assert await output(spawner, f"{left} >/dev/null 2>&1 & echo started") == "started\n"

    play(spawner, scene)
    spawner.close()
    (tmp_path / "go").touch()
    asyncio.run(until((tmp_path / "proof").exists))


def test_many_at_once(spawner: Spawner) -> None:
    async def scene(spawner: Spawner) -> None:
        texts = await asyncio.gather(*(output(spawner, f"echo {number}") for number in range(50)))
        assert texts == [f"{number}\n" for number in range(50)]

    play(spawner, scene)


@pytest.mark.parametrize("command", ["", "a\0b", "x" * (messages.COMMAND_BYTES + 1)])
def test_commands_that_cannot_be(spawner: Spawner, command: str) -> None:
    async def scene(spawner: Spawner) -> None:
        with pytest.raises(BadParameter) as caught:
            await start(spawner, command)
        assert caught.value.code == "SSH-COMMAND"

    play(spawner, scene)


def test_the_longest_command(spawner: Spawner) -> None:
    async def scene(spawner: Spawner) -> None:
        command = "true " + "x" * (messages.COMMAND_BYTES - 5)
        assert await output(spawner, command) == ""

    play(spawner, scene)


def test_no_grant_no_command(spawner: Spawner) -> None:
    """A grant for another login is none, and what is not a Grant is none."""

    async def scene(spawner: Spawner) -> None:
        for wrong in (grant("somebody"), None, object()):
            with pytest.raises(Internal):
                await spawner.start(wrong, admission=1, login=LOGIN, command=b"true", environment={})  # type: ignore[arg-type]

    play(spawner, scene)


def test_unknown_login(spawner: Spawner) -> None:
    async def scene(spawner: Spawner) -> None:
        with pytest.raises(TeleportError) as caught:
            await start(spawner, "true", "no-such-user-here")
        assert caught.value.code == "SSH-UNKNOWN-USER"
        assert await output(spawner, "echo still here") == "still here\n"

    play(spawner, scene)


def test_a_request_that_the_service_would_never_send(spawner: Spawner) -> None:
    """The spawner checks again what the service has checked: the service may be somebody else by now."""

    async def scene(spawner: Spawner) -> None:
        for environment in ({"LD_PRELOAD": "x"}, {"SSH_A": "b\nc"}, {"SSH_B": "x" * messages.ENVIRONMENT_BYTES}):
            with pytest.raises(BadParameter) as caught:
                await start(spawner, "true", **environment)
            assert caught.value.code == "SSH-SPAWN-MESSAGE"

    play(spawner, scene)


def test_a_spawner_that_is_killed_is_told(spawner: Spawner) -> None:
    async def scene(spawner: Spawner) -> None:
        process = await start(spawner, "cat")
        os.kill(spawner.pid, signal.SIGKILL)
        with pytest.raises(Unavailable) as caught:
            await process.exited
        assert caught.value.code == "SSH-SPAWNER-GONE"
        with pytest.raises(Unavailable):
            await start(spawner, "true")
        await process.hang_up()
        close(process)  # which ends the command, whose keeper is gone

    play(spawner, scene)


def test_a_service_that_is_gone_takes_its_commands_along(tmp_path: Path) -> None:
    running = launch_with_grace(0.2)

    async def scene(spawner: Spawner) -> None:
        process = await start(spawner, "trap '' HUP; sleep 1000")
        reading = asyncio.get_running_loop().create_task(read_all(process.stdout))
        spawner._channel.shutdown(socket.SHUT_RDWR)
        assert await reading == b""
        os.close(process.stdin)
        os.close(process.stderr)

    try:
        play(running, scene)
    finally:
        running.close()


def test_a_message_that_cannot_be_read_closes_the_spawner(spawner: Spawner) -> None:
    async def scene(spawner: Spawner) -> None:
        spawner._channel.send(b"\xc1")
        with pytest.raises(Unavailable):
            await start(spawner, "true")

    play(spawner, scene)


def test_a_second_loop_can_connect_again(spawner: Spawner) -> None:
    async def scene(spawner: Spawner) -> None:
        assert await output(spawner, "echo again") == "again\n"

    play(spawner, scene)
    play(spawner, scene)


def test_a_caller_that_gives_up_leaves_nothing_behind(spawner: Spawner, tmp_path: Path) -> None:
    async def scene(spawner: Spawner) -> None:
        id, command = await admission(spawner), f"echo $$ > {tmp_path}/pid; sleep 1000".encode()
        starting = asyncio.get_running_loop().create_task(
            spawner.start(grant(), admission=id, login=LOGIN, command=command, environment={})
        )
        await asyncio.sleep(0)
        starting.cancel()
        await asyncio.wait([starting])
        assert await output(spawner, "echo next") == "next\n"
        marker = tmp_path / "pid"
        await until(lambda: not running(marker))

    play(spawner, scene)


def test_launching_without_the_program() -> None:
    with pytest.raises(Unavailable) as caught:
        Spawner.launch(wrapper=["/no/such/program"])
    assert caught.value.code == "SSH-SPAWNER-GONE"


def test_no_parser_of_network_bytes_is_in_the_spawner(spawner: Spawner) -> None:
    """Neither asyncssh nor TLS, HTTP or the event loop: its memory map and its modules say so."""
    program = (
        "import sys; import teleport.agents.ssh.spawner_process; "
        "print([m for m in sys.modules if m.split('.')[0] in "
        "('asyncssh', 'ssl', '_ssl', 'aiohttp', 'asyncio', 'grpclib', 'h2', 'cryptography', 'http')])"
    )
    found = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"

    async def scene(spawner: Spawner) -> None:
        await output(spawner, "true")
        mapped = Path(f"/proc/{spawner.pid}/maps").read_text()
        assert "libssl" not in mapped
        assert "/_asyncio" not in mapped
        assert Path(f"/proc/{spawner.pid}/cmdline").read_bytes().startswith(b"teleport-spawner")

    play(spawner, scene)


# -- as root, on a machine of our own -----------------------------------------------------------------------

PASSWD = """root:x:0:0::/root:/bin/sh
walker:x:54321:54322::/no/such/home:/bin/sh
nobody:x:65534:65534::/:/usr/sbin/nologin
"""
GROUP = "root:x:0:\nwalkers:x:54322:\nextra:x:54323:walker\nothers:x:54324:alice\n"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Callable[..., Spawner]]:
    """Launch spawners on a machine with accounts of the test's choice."""
    running: list[Spawner] = []

    def launch(**files: str) -> Spawner:
        shadow = "root:*:1::::::\nwalker:!:1::::::\nnobody:*:1::::::\n"
        wrapper = root.private_etc(tmp_path, **{"passwd": PASSWD, "group": GROUP, "shadow": shadow, **files})
        running.append(Spawner.launch(wrapper=wrapper))
        return running[-1]

    yield launch
    for spawner in running:
        spawner.close()


@pytest.mark.root
def test_as_root_it_becomes_the_user(machine: Callable[..., Spawner], tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o600)

    async def scene(spawner: Spawner) -> None:
        assert (await output(spawner, "id", "walker")).strip() == (
            "uid=54321(walker) gid=54322(walkers) groups=54322(walkers),54323(extra)"
        )
        assert await output(spawner, "pwd; echo $HOME", "walker") == "/\n/no/such/home\n"
        ids = (await output(spawner, "grep -E '^(Uid|Gid|CapEff)' /proc/self/status", "walker")).split()
        assert ids == ["Uid:", *["54321"] * 4, "Gid:", *["54322"] * 4, "CapEff:", "0" * 16]
        ended, _, err = await finish(await start(spawner, f"cat {secret}", "walker"))
        assert ended.status == 1
        assert "ermission denied" in err
        assert await output(spawner, "id -un", "root") == "root\n"

    play(machine(), scene)


@pytest.mark.root
@pytest.mark.parametrize(("home", "entered"), [("/usr", "/usr"), ("/root", "/"), ("/etc/passwd", "/")])
def test_as_root_the_home_is_entered_with_the_users_rights(
    machine: Callable[..., Spawner], home: str, entered: str
) -> None:  # fmt: skip
    async def scene(spawner: Spawner) -> None:
        assert await output(spawner, "pwd -P; umask; ulimit -n", "walker") == f"{entered}\n0022\n1024\n"
        assert await output(spawner, "id -u; id -G; pwd", "root") == "0\n0\n/root\n"

    play(machine(passwd=PASSWD.replace("/no/such/home", home)), scene)


@pytest.mark.root
def test_as_root_limits_hold_without_a_terminal(machine: Callable[..., Spawner]) -> None:
    async def scene(spawner: Spawner) -> None:
        assert await output(spawner, "ulimit -n; id -u", "walker") == "77\n54321\n"

    play(machine(**{"security/limits.conf": "walker - nofile 77\n"}), scene)


@pytest.mark.root
@pytest.mark.parametrize(
    ("login", "files", "code"),
    [
        ("nobody", {}, "SSH-ACCOUNT-NOLOGIN"),
        ("walker", {"shadow": "walker:!:1:::::2:\n"}, "SSH-ACCOUNT-EXPIRED"),
        ("walker", {"nologin": "maintenance until noon\n"}, "SSH-NOLOGIN"),
        ("walker", {"passwd": "walker:x:54321:54322::/:/no/shell\n"}, "SSH-SHELL"),
        ("walker", {"passwd": "root:x:0:0::/root:/bin/sh\n"}, "SSH-UNKNOWN-USER"),
    ],
)
def test_as_root_it_honours_the_accounts_of_the_system(
    machine: Callable[..., Spawner], login: str, files: dict[str, str], code: str
) -> None:
    async def scene(spawner: Spawner) -> None:
        with pytest.raises(TeleportError) as caught:
            await start(spawner, "true", login)
        assert caught.value.code == code
        if code == "SSH-NOLOGIN":
            assert "maintenance until noon" in str(caught.value)
            assert await output(spawner, "id -un", "root") == "root\n"

    play(machine(**files), scene)


@pytest.mark.root
def test_an_ordinary_user_reaches_only_their_own_login(machine: Callable[..., Spawner], tmp_path: Path) -> None:
    """What `make demo` does when it is not root."""
    wrapper = root.private_etc(tmp_path, passwd=PASSWD, group=GROUP)
    # the interpreter may lie where only root can read, so what is needed is loaded before
    first = "import teleport.base.catalogue.en.ssh; from teleport.agents.ssh import proof, user_side_process; "
    first += "os.setgroups([]); os.setgid(54322); os.setuid(54321)"
    running = launch_after(first, *wrapper)

    async def scene(spawner: Spawner) -> None:
        assert await output(spawner, "id -un", "walker") == "walker\n"
        with pytest.raises(TeleportError) as caught:
            await start(spawner, "true", "root")
        assert caught.value.code == "SSH-NOT-ROOT"
        assert "'walker'" in caught.value.fix

    try:
        play(running, scene)
    finally:
        running.close()


@pytest.mark.root
def test_as_root_the_terminal_becomes_the_users(machine: Callable[..., Spawner]) -> None:
    """And the user cannot become anybody else by it: no way back to root, no other terminal."""

    async def scene(spawner: Spawner) -> None:
        command = b"stat -c '%u %g %a' $SSH_TTY; id -u; ps -o tty= -p $$; grep CapEff /proc/self/status; exit 4"
        process = await spawner.start(
            grant("walker"), admission=await admission(spawner, "walker"), login="walker", command=command,
            environment={}, terminal=Terminal("xterm", Size(), {}),
        )  # fmt: skip
        shown = (await read_terminal(process)).split("\r\n")
        assert shown[0] == "54321 5 620"
        assert shown[1] == "54321"
        assert shown[2].strip().startswith("pts/")
        assert shown[3].split() == ["CapEff:", "0" * 16]
        assert (await process.exited).status == 4

    play(machine(group=f"{GROUP}tty:x:5:\n"), scene)


async def read_terminal(process: Process) -> str:
    """Read our side of a terminal until the other has closed, and give it back."""
    assert process.stderr == -1
    loop, parts = asyncio.get_running_loop(), list[bytes]()
    ended = asyncio.Event()

    def take() -> None:
        try:
            parts.append(os.read(process.stdout, 4096))
        except OSError:  # EIO: nobody is there any more
            loop.remove_reader(process.stdout)
            ended.set()

    loop.add_reader(process.stdout, take)
    async with asyncio.timeout(20):
        await ended.wait()
        await process.exited
    os.close(process.stdin)
    os.close(process.stdout)
    await process.release()
    return b"".join(parts).decode()


def test_a_login_shell_at_a_terminal(spawner: Spawner) -> None:
    async def scene(spawner: Spawner) -> None:
        process = await spawner.start(
            grant(), admission=await admission(spawner), login=LOGIN, command=None,
            environment={"TERM": "dumb", "LANG": "C", "LC_ALL": "C"}, terminal=Terminal("dumb", Size(99, 22), {53: 0}),
        )  # fmt: skip
        os.write(process.stdin, b"echo argv0=$0 tty=$SSH_TTY term=$TERM; stty size; exit 5\n")
        shown = await read_terminal(process)
        assert "argv0=-" in shown
        assert "tty=/dev/pts/" in shown
        assert "term=dumb" in shown
        assert "22 99" in shown
        assert (await process.exited).status == 5

    play(spawner, scene)


def wanted(**changes: Any) -> messages.Start:
    return messages.Start(**{"id": 1, "admission": 1, "login": "a", "command": b"c", "environment": {}, **changes})


@pytest.mark.parametrize(
    "name", ["LD_PRELOAD", "PATH", "BASH_ENV", "SSH-X", "lang", "LC_", "IFS", "ENV", "TELEPORT_PROXY"]
)
def test_variables_that_change_what_runs_are_refused(name: str) -> None:
    with pytest.raises(BadParameter):
        spawner_process.check(
            messages.Start(id=1, admission=1, login="a", command=b"c", environment={name: "x"}), [3, 4, 5]
        )


def test_check_takes_one_terminal_and_nothing_else_for_one() -> None:
    request = messages.Start(
        id=1, admission=1, login="a", command=b"", environment={"TELEPORT_SESSION_REASON": "x"}, terminal=True
    )
    master, slave = os.openpty()
    reading, writing = os.pipe()
    with open("/dev/null", "rb") as null, open("/etc/passwd", "rb") as file:
        try:
            spawner_process.check(request, [slave])
            for wrong in ([slave] * 3, [], [master], [reading], [null.fileno()], [file.fileno()]):
                with pytest.raises(BadParameter):
                    spawner_process.check(request, wrong)
        finally:
            for descriptor in (master, slave, reading, writing):
                os.close(descriptor)


def test_check_counts_descriptors() -> None:
    request = wanted()
    spawner_process.check(request, [3, 4, 5])
    with pytest.raises(BadParameter):
        spawner_process.check(request, [3, 4])
