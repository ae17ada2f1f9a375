"""The two doors to nodes, with our own client and with stock OpenSSH."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from teleport.base.errors import BadParameter, NotAuthenticated, NotFound, TeleportError, Unavailable
from teleport.client import reach
from teleport.client.stdio import BlockingTls
from teleport.model.events.access import AuthAttempt
from teleport.net.stream import Stream, hand_on
from teleport.proxy.service import ProxyService
from teleport.proxy.ssh import _SSHOnly, parse_subsystem
from teleport.wire.reach import Request
from tests.support import policy, proxy_world
from tests.support.check_stream import start
from tests.support.pairs import tcp_pair
from tests.support.proxy_world import BANNER, HELLO, NODE_ID, CountingNode, Person, World
from tests.support.until import until

LENGTH = 4 << 20


@pytest.fixture
def world() -> World:
    return proxy_world.world()


@pytest.fixture
def alice(world: World, tmp_path: Path) -> Person:
    return proxy_world.person(world, tmp_path / "alice")


class Stage:
    """A proxy and a node."""

    def __init__(self, proxy: ProxyService, node: CountingNode) -> None:
        self.proxy = proxy
        self.node = node
        self.port = proxy.address.rpartition(":")[2]

    async def reach(self, person: Person, target: str = "node-1", login: str = "root") -> BlockingTls:
        who = person.at(self.proxy.address)
        return await asyncio.to_thread(reach.reach, who.home, who.profile, Request(target, "", login))

    async def refusal(self, person: Person, target: str = "node-1", login: str = "root") -> TeleportError:
        with pytest.raises(TeleportError) as caught:
            await self.reach(person, target, login)
        return caught.value

    async def ssh(self, person: Person, *arguments: str, stdin: bytes = HELLO) -> tuple[int, bytes, str]:
        """Run stock ssh against the proxy itself."""
        files = person.home.files(person.profile)
        options = {
            "UserKnownHostsFile": files.own_known_hosts, "GlobalKnownHostsFile": "none", "IdentityFile": files.ssh_key,
            "CertificateFile": files.ssh_certificate, "IdentitiesOnly": "yes", "IdentityAgent": "none",
            "BatchMode": "yes", "StrictHostKeyChecking": "yes", "Port": self.port, "ConnectTimeout": "10",
        }  # fmt: skip
        argv = ["ssh", "-F", "none", *(word for pair in options.items() for word in ("-o", "=".join(pair)))]
        pipe = asyncio.subprocess.PIPE
        ran = await asyncio.create_subprocess_exec(*argv, *arguments, stdin=pipe, stdout=pipe, stderr=pipe)
        try:
            async with asyncio.timeout(60):
                out, err = await ran.communicate(stdin)
        except BaseException:
            ran.kill()
            await ran.wait()
            raise
        assert ran.returncode is not None
        return ran.returncode, out, err.decode(errors="replace")


def play(world: World, scene: Callable[[Stage], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(90), stage(world) as made:
            await scene(made)

    asyncio.run(main())


@contextlib.asynccontextmanager
async def stage(world: World) -> AsyncIterator[Stage]:
    async with CountingNode() as node, world.proxy() as proxy:
        world.registered = world.registered or [node.resource(env="prod")]
        yield Stage(proxy, node)


def read_all(tls: BlockingTls) -> bytes:
    """Read until the peer has ended."""
    data = tls.take()
    while not tls.ended:
        tls.fill()
        data += tls.take()
    tls.sock.close()
    return data


# -- the framed door ----------------------------------------------------------------------------------------


def test_bytes_go_both_ways_and_ends_are_told_apart(world: World, alice: Person) -> None:
    data = os.urandom(LENGTH)

    async def scene(made: Stage) -> None:
        tls = await made.reach(alice)

        def talk() -> bytes:
            received = b""
            for at in range(0, len(data), 65536):
                tls.give((HELLO if not at else b"") + data[at : at + 65536])
                while tls.pending:
                    tls.flush()
                received += tls.take()
                while len(received) < at // 2:
                    tls.fill()
                    received += tls.take()
            tls.give_end()
            while tls.pending:
                tls.flush()
            return received + read_all(tls)

        assert await asyncio.to_thread(talk) == BANNER + HELLO + data + b"END"
        assert made.node.connections == 1

    play(world, scene)


@pytest.mark.parametrize(
    "pieces", [(b"GET / HTTP/1.1\r\n",), (b"SS", b"L", b"more"), (b"S", b"SH-2", b".0-x\r\n", b"y")]
)
def test_only_what_begins_as_ssh_clients_do_goes_on(pieces: tuple[bytes, ...]) -> None:
    """In pieces too, and on the short way past the reader; what comes after the beginning is not looked at."""
    got, whole = bytearray(), b"".join(pieces)

    def sink(data: bytes | memoryview) -> int:
        got.extend(data)
        return len(data)

    async def main() -> None:
        async with asyncio.timeout(60), tcp_pair() as (client, server):
            guarded = _SSHOnly(server)
            hand_on(guarded, sink)
            sending = await start(send(client))
            try:
                while data := await guarded.read():
                    got.extend(data)
            finally:
                await sending

    async def send(client: Stream) -> None:
        for piece in pieces:
            await client.write(piece)
            await asyncio.sleep(0)
        await client.write_eof()

    if whole.startswith(b"SSH-2.0"):
        asyncio.run(main())
        assert got == whole
    else:
        with pytest.raises(BadParameter, match="SSH"):
            asyncio.run(main())
        assert b"SSH-2.0".startswith(got)


@pytest.mark.parametrize("login", ["postgres", "root"])
def test_a_refusal_arrives_with_its_reason(world: World, alice: Person, login: str) -> None:
    async def scene(made: Stage) -> None:
        world.held = () if login == "postgres" else (policy.lock("lock-9", "stop now", user="alice"),)
        error = await made.refusal(alice, login=login)
        assert error.code == ("POL-NO-LOGIN" if login == "postgres" else "POL-LOCKED")
        assert error.id in world.denials
        assert made.node.connections == 0

    play(world, scene)


def test_an_unregistered_target_is_not_dialled(world: World, alice: Person) -> None:
    async def scene(made: Stage) -> None:
        async with CountingNode() as stranger:
            error = await made.refusal(alice, f"127.0.0.1:{stranger.port}")
            assert isinstance(error, NotFound)
            assert (stranger.connections, made.node.connections) == (0, 0)

    play(world, scene)


def test_an_expired_certificate_is_refused_in_the_handshake(world: World, tmp_path: Path) -> None:
    old = proxy_world.person(world, tmp_path / "old", issued=world.clock.now() - dt.timedelta(hours=5))

    async def scene(made: Stage) -> None:
        error = await made.refusal(old)
        assert isinstance(error, NotAuthenticated)
        assert error.code == "NET-TLS-REFUSED-EXPIRED"
        assert "bad certificate (it has expired)" in error.what
        assert "tsh login" in error.fix
        assert made.node.connections == 0

    play(world, scene)


def test_a_certificate_of_another_cluster_is_refused(world: World, tmp_path: Path) -> None:
    other = proxy_world.world("other.example.com", seed=12)
    stranger = proxy_world.person(other, tmp_path / "stranger", trust=world)

    async def scene(made: Stage) -> None:
        error = await made.refusal(stranger)
        assert error.code == "NET-TLS-REFUSED-UNKNOWN-CA"
        assert made.node.connections == 0

    play(world, scene)


def test_a_proxy_of_another_cluster_is_not_believed(world: World, tmp_path: Path) -> None:
    other = proxy_world.world("other.example.com", seed=12)
    alice = proxy_world.person(world, tmp_path / "alice", trust=other)

    async def scene(made: Stage) -> None:
        assert (await made.refusal(alice)).code == "NET-TLS-UNKNOWN-CA"

    play(world, scene)


def test_a_clock_that_moved_on_refuses_with_a_text(world: World, alice: Person) -> None:
    async def scene(made: Stage) -> None:
        world.clock.advance(dt.timedelta(hours=2))
        assert (await made.refusal(alice)).code == "PKI-EXPIRED"

    play(world, scene)


def test_garbage_instead_of_a_request_is_answered(world: World, alice: Person) -> None:
    async def scene(made: Stage) -> None:
        who = alice.at(made.proxy.address)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reach, "write_request", lambda request: b"\0\0\0\x05hello")
            with pytest.raises(BadParameter) as caught:
                await asyncio.to_thread(reach.reach, who.home, who.profile, Request("node-1"))
        assert caught.value.code == "WIRE-REACH"

    play(world, scene)


def test_a_client_that_does_not_speak_ssh_is_cut_off(world: World, alice: Person) -> None:
    async def scene(made: Stage) -> None:
        tls = await made.reach(alice)

        def talk() -> bytes:
            tls.give(b"GET / HTTP/1.1\r\n\r\n")
            tls.give_end()
            while tls.pending:
                tls.flush()
            return read_all(tls)

        with contextlib.closing(tls.sock), contextlib.suppress(Unavailable):
            assert b"GET" not in await asyncio.to_thread(talk)
        assert made.node.received == b""

    play(world, scene)


def test_a_proxy_that_ends_is_said(world: World, alice: Person) -> None:
    async def main() -> None:
        async with asyncio.timeout(60):
            async with stage(world) as made:
                tls = await made.reach(alice)
                address = made.proxy.address
            with pytest.raises(Unavailable) as caught:
                await asyncio.to_thread(read_all, tls)
            assert caught.value.code in ("NET-TLS-TRUNCATED", "NET-RESET")
            tls.sock.close()
            who = alice.at(address)
            with pytest.raises(Unavailable) as caught:
                await asyncio.to_thread(reach.reach, who.home, who.profile, Request("node-1"))
            assert caught.value.code == "CLIENT-UNREACHABLE"

    asyncio.run(main())


# -- SSH ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["node-1:22", "node-1.example.com:3022", f"{NODE_ID}:22"])
@pytest.mark.parametrize("user", ["root", "alice"])
def test_jump_with_stock_ssh(world: World, alice: Person, target: str, user: str) -> None:
    """`ssh -J` starts `ssh -W`. The user's own name will do: nobody gets an account on the proxy."""

    async def scene(made: Stage) -> None:
        status, out, err = await made.ssh(alice, "-W", target, f"{user}@localhost", stdin=HELLO + b"x" * LENGTH)
        assert (status, err) == (0, "")
        assert out == BANNER + HELLO + b"x" * LENGTH + b"END"
        assert made.node.connections == 1

    play(world, scene)


@pytest.mark.parametrize(
    "request_", ["proxy:node-1:22@example.com", "proxy:node-1:0", "proxy:node-1", "proxy:node-1:22@default@example.com"]
)
def test_subsystem(world: World, alice: Person, request_: str) -> None:
    async def scene(made: Stage) -> None:
        status, out, err = await made.ssh(alice, "-s", "root@localhost", request_)
        assert (status, out, err) == (0, BANNER + HELLO + b"END", "")

    play(world, scene)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-W", "absent:22", "root@localhost"), 'POL-NOT-FOUND: node "absent" not found'),
        (("-s", "root@localhost", "proxy:absent:22@example.com"), 'POL-NOT-FOUND: node "absent" not found'),
        (("-s", "root@localhost", "proxy:node-1:22@leaf"), 'PROXY-CLUSTER: unknown cluster "leaf"'),
        (("-s", "root@localhost", "sftp"), "PROXY-SUBSYSTEM: invalid format for proxy request: 'sftp'"),
        (("root@localhost", "id"), "PROXY-NO-SESSION: a command is not available on the proxy"),
        (("-T", "root@localhost"), "PROXY-NO-SESSION: shell is not available on the proxy"),
    ],
)
def test_refusals_over_ssh_say_why(world: World, alice: Person, arguments: tuple[str, ...], said: str) -> None:
    async def scene(made: Stage) -> None:
        status, out, err = await made.ssh(alice, *arguments, stdin=b"")
        assert (status, out) == (255, b"")
        assert said in err
        assert made.node.connections == 0

    play(world, scene)


def test_jump_to_an_unregistered_target_is_not_dialled(world: World, alice: Person) -> None:
    async def scene(made: Stage) -> None:
        async with CountingNode() as stranger:
            for arguments in (
                ("-W", f"127.0.0.1:{stranger.port}", "root@localhost"),
                ("-W", f"[::1]:{stranger.port}", "root@localhost"),
                ("-s", "root@localhost", f"proxy:127.0.0.1:{stranger.port}@example.com"),
            ):
                status, _, err = await made.ssh(alice, *arguments)
                assert status == 255
                assert "POL-NOT-FOUND" in err
            assert stranger.connections == 0

    play(world, scene)


@pytest.mark.parametrize("option", ["-R 0:127.0.0.1:1", "-D 127.0.0.1:0", "-L 127.0.0.1:0:127.0.0.1:1"])
def test_no_other_forwarding(world: World, alice: Person, option: str) -> None:
    async def scene(made: Stage) -> None:
        status, _, err = await made.ssh(
            alice, "-o", "ExitOnForwardFailure=yes", *option.split(), "-s", "root@localhost", "nothing"
        )
        assert status == 255
        assert "remote port forwarding failed" in err or "PROXY-SUBSYSTEM" in err or "Bad" in err
        assert made.node.connections == 0

    play(world, scene)


def test_login_that_is_no_principal_is_refused_and_recorded(world: World, alice: Person) -> None:
    async def scene(made: Stage) -> None:
        status, _, err = await made.ssh(alice, "-W", "node-1:22", "daemon@localhost")
        assert status == 255
        assert "PKI-LOGIN-NOT-IN-PRINCIPALS" in err
        (event,) = world.events
        assert isinstance(event, AuthAttempt)
        assert (event.user, event.login) == ("alice", "daemon")
        assert event.decision_id in err

    play(world, scene)


def test_a_refused_login_is_refused_when_it_cannot_be_recorded(world: World, alice: Person) -> None:
    async def scene(made: Stage) -> None:
        world.reachable = False
        status, _, err = await made.ssh(alice, "-W", "node-1:22", "daemon@localhost")
        assert status == 255
        assert "PKI-LOGIN-NOT-IN-PRINCIPALS" in err

    play(world, scene)


def test_expired_over_ssh(world: World, tmp_path: Path) -> None:
    old = proxy_world.person(world, tmp_path / "old", issued=world.clock.now() - dt.timedelta(hours=5))

    async def scene(made: Stage) -> None:
        status, _, err = await made.ssh(old, "-W", "node-1:22", "root@localhost")
        assert status == 255
        assert made.node.connections == 0
        assert "PKI-EXPIRED" in err or "expired" in err  # stock ssh may not even offer it

    play(world, scene)


def test_a_stranger_over_ssh_is_refused_and_not_recorded(world: World, tmp_path: Path) -> None:
    other = proxy_world.world("other.example.com", seed=12)
    stranger = proxy_world.person(other, tmp_path / "stranger", trust=world)

    async def scene(made: Stage) -> None:
        status, _, err = await made.ssh(stranger, "-W", "node-1:22", "root@localhost")
        assert status == 255
        assert "PKI-UNKNOWN-CA" in err
        assert world.events == []

    play(world, scene)


def test_the_proxy_proves_itself_to_stock_ssh(world: World, tmp_path: Path) -> None:
    other = proxy_world.world("other.example.com", seed=12)
    alice = proxy_world.person(world, tmp_path / "alice", trust=other)

    async def scene(made: Stage) -> None:
        status, _, err = await made.ssh(alice, "-W", "node-1:22", "root@localhost")
        assert status == 255
        assert "Host key verification failed" in err

    play(world, scene)


def jumps() -> list[asyncio.Task[object]]:
    """Return the tasks that carry somebody's bytes to a node."""
    return [task for task in asyncio.all_tasks() if task.get_name() == "ssh-jump"]


def test_a_client_that_leaves_ends_its_way_to_the_node(world: World, alice: Person) -> None:
    """Also when the node does not care that nobody is there any more."""

    async def scene(made: Stage) -> None:
        made.node.stubborn = True
        running = asyncio.get_running_loop().create_task(
            made.ssh(alice, "-W", "node-1:22", "root@localhost", stdin=HELLO + b"x" * 100)
        )
        await made.node.met.wait()
        await until(jumps)
        (relay,) = jumps()
        running.cancel()  # kills the client
        async with asyncio.timeout(20):
            await asyncio.wait([running, relay])

    play(world, scene)


def test_half_a_banner_is_waited_for_and_then_given_up(world: World) -> None:
    """The port stays open to others meanwhile."""

    async def scene(made: Stage) -> None:
        with socket.create_connection(("127.0.0.1", int(made.port))) as half:
            half.sendall(b"SS")
            with socket.create_connection(("127.0.0.1", int(made.port))) as whole:
                whole.sendall(b"SSH-2.0-x\r\n")
                assert (await asyncio.to_thread(whole.recv, 100)).startswith(b"SSH-2.0-Teleport")

    play(world, scene)


@pytest.mark.parametrize("name", ["", "proxy", "proxy:", "proxy:@c", "Proxy:a", "proxy:a\n", "proxy:" + "a" * 600])
def test_what_is_no_request_for_a_node(name: str) -> None:
    with pytest.raises(BadParameter) as caught:
        parse_subsystem(name)
    assert caught.value.code == "PROXY-SUBSYSTEM"
