"""tsh's own SSH client against a real node behind a real proxy."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from teleport.agents.ssh.service import SSHService
from teleport.agents.ssh.spawner import Spawner
from teleport.base.errors import AccessDenied, NotAuthenticated, TeleportError, Unavailable
from teleport.client import ssh
from teleport.wire.reach import Request
from tests.support import bare_home, policy, proxy_world, ssh_node
from tests.support.forwarder import Forwarder
from tests.support.processes import wait_for
from tests.support.proxy_world import NODE_ID, Person, World, record
from tests.support.ssh_node import LOGIN


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: bytes
    err: str


class Stage:
    """A proxy, a node behind it, and a person."""

    def __init__(self, world: World, node: SSHService, ours: ssh_node.World, person: Person) -> None:
        self.world, self.node, self.ours, self.person = world, node, ours, person

    async def run(
        self, command: str | None, *, host: str = "node-1", login: str = LOGIN, stdin: bytes = b"",
        tell: Callable[[str], None] | None = print,
    ) -> Done:  # fmt: skip
        """Run a command with pipes as its ends."""
        source, feed = os.pipe()
        pairs = [os.pipe(), os.pipe()]
        received: list[list[bytes]] = [[], []]
        threads = [threading.Thread(target=_feed, args=(feed, stdin))]
        threads += [
            threading.Thread(target=_drain, args=(out, kept)) for (out, _), kept in zip(pairs, received, strict=True)
        ]
        for thread in threads:
            thread.start()
        ends = ssh.Ends(source, pairs[0][1], pairs[1][1])
        home, profile = self.person.home, self.person.profile
        request = Request(host, "", login)
        try:
            status = await asyncio.to_thread(
                ssh.run, home, profile, request, host=host, command=command, ends=ends,
                tell=tell,
            )  # fmt: skip
        finally:
            for descriptor in (source, pairs[0][1], pairs[1][1]):
                os.close(descriptor)
            await asyncio.to_thread(lambda: [thread.join(20) for thread in threads])
        return Done(status, b"".join(received[0]), b"".join(received[1]).decode())

    async def refusal(self, command: str | None = "true", **changes: str) -> TeleportError:
        with pytest.raises(TeleportError) as caught:
            await self.run(command, **changes)
        return caught.value


def _feed(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except BrokenPipeError:
        pass
    os.close(descriptor)


def _drain(descriptor: int, kept: list[bytes]) -> None:
    while data := os.read(descriptor, 65536):
        kept.append(data)
    os.close(descriptor)


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    running = Spawner.launch(wrapper=bare_home.wrapper())
    yield running
    running.close()


@pytest.fixture
def world() -> World:
    made = proxy_world.world()
    made.roles = [policy.role("dev", allow={"logins": [LOGIN, "daemon"], "node_labels": {"env": "prod"}})]
    return made


@pytest.fixture
def play(world: World, spawner: Spawner, tmp_path: Path) -> Callable[..., None]:
    ours = ssh_node.World(world.cluster, world.clock, list(world.roles))
    host = ssh_node.host_key(ours)
    person = proxy_world.person(world, tmp_path / "alice", principals=(LOGIN,))

    def run(scene: Callable[[Stage], Awaitable[None]], person: Person = person) -> None:
        async def main() -> None:
            async with asyncio.timeout(90), ssh_node.serving(ours, spawner, host) as node, world.proxy() as proxy:
                world.registered = [record("node-1", node.address, env="prod")]
                await scene(Stage(world, node, ours, person.at(proxy.address)))

        asyncio.run(main())

    return run


Play = Callable[..., None]


def test_output_error_and_status(play: Play) -> None:
    async def scene(made: Stage) -> None:
        assert await made.run("id -un; echo wrong >&2; exit 7") == Done(7, f"{LOGIN}\n".encode(), "wrong\n")

    play(scene)


def test_end_by_signal(play: Play) -> None:
    async def scene(made: Stage) -> None:
        assert (await made.run("kill -TERM $$")).status == 128 + 15

    play(scene)


def test_twenty_megabytes_are_exact_both_ways(play: Play) -> None:
    data = os.urandom(20 << 20)

    async def scene(made: Stage) -> None:
        done = await made.run("cat", stdin=data)
        assert (done.status, done.err) == (0, "")
        assert hashlib.sha256(done.out).digest() == hashlib.sha256(data).digest()

    play(scene)


def test_a_command_that_reads_nothing_does_not_hold_us(play: Play) -> None:
    async def scene(made: Stage) -> None:
        assert (await made.run("exit 3", stdin=b"x" * (8 << 20))).status == 3

    play(scene)


def test_input_from_a_file(play: Play, tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(b"y" * 300_000)

    async def scene(made: Stage) -> None:
        home, profile = made.person.home, made.person.profile
        out = os.open(tmp_path / "out", os.O_RDWR | os.O_CREAT)
        source = os.open(path, os.O_RDONLY)
        try:
            status = await asyncio.to_thread(
                ssh.run, home, profile, Request("node-1", "", LOGIN), host="node-1", command="wc -c",
                ends=ssh.Ends(source, out, out),
            )  # fmt: skip
        finally:
            os.close(source)
            os.close(out)
        assert (status, (tmp_path / "out").read_text().strip()) == (0, "300000")

    play(scene)


def test_a_shell_without_a_terminal(play: Play) -> None:
    async def scene(made: Stage) -> None:
        assert await made.run(None, stdin=b"echo $((6 * 7)); exit 5\n") == (5, b"42\n", "")

    play(scene)


@pytest.mark.parametrize("login", ["postgres", "daemon"])
def test_what_the_proxy_refuses(play: Play, login: str) -> None:
    """`postgres` is in no role; `daemon` is in the role, but not in the certificate."""

    async def scene(made: Stage) -> None:
        error = await made.refusal(login=login)
        assert error.code == ("POL-NO-LOGIN" if login == "postgres" else "POL-NO-PRINCIPAL")
        assert error.id in made.world.denials
        assert made.ours.events == []

    play(scene)


def test_what_the_node_refuses(play: Play) -> None:
    """The node decides for itself: here it knows of a lock that the proxy does not."""

    async def scene(made: Stage) -> None:
        made.ours.held = (policy.lock("lock-9", "stop now", user="alice"),)
        error = await made.refusal()
        assert isinstance(error, AccessDenied)
        assert error.code == "CLIENT-NODE-REFUSED"
        assert "POL-LOCKED" in error.what
        assert "stop now" in error.what

    play(scene)


def test_what_the_node_refuses_at_its_door(play: Play) -> None:
    async def scene(made: Stage) -> None:
        made.ours.clock = made.world.clock
        service = made.node
        service._trust = service._trust.__class__(
            clock=made.world.clock, cluster="other.example.com", authorities=lambda: made.world.cluster.both
        )
        error = await made.refusal()
        assert isinstance(error, NotAuthenticated)
        assert error.code == "CLIENT-NODE-REFUSED"
        assert "PKI-FOREIGN-CLUSTER" in error.what

    play(scene)


def test_a_host_must_have_the_name_that_was_typed(play: Play) -> None:
    """The node's certificate is for node-1; the proxy leads `node-2` there as well."""

    async def scene(made: Stage) -> None:
        made.world.registered = [record("node-2", made.node.address, env="prod")]
        error = await made.refusal(host="node-2")
        assert isinstance(error, NotAuthenticated)
        assert error.code == "CLIENT-HOST-KEY"
        assert made.ours.events == []
        assert (await made.refusal(host=NODE_ID)).code == "CLIENT-HOST-KEY"

    play(scene)


def test_a_host_of_another_authority_is_not_believed(play: Play, world: World, tmp_path: Path) -> None:
    other = proxy_world.world(seed=12)
    doubter = proxy_world.person(world, tmp_path / "doubter", principals=(LOGIN,))
    line = other.cluster.host.spec.active_keys.ssh[0].public_key
    files = doubter.home.files(doubter.profile)
    doubter.home.disk.write(files.own_known_hosts, f"@cert-authority * {line}\n".encode())

    async def scene(made: Stage) -> None:
        assert (await made.refusal()).code == "CLIENT-HOST-KEY"

    play(scene, doubter)


def test_a_connection_that_breaks_is_said(play: Play) -> None:
    async def scene(made: Stage) -> None:
        port = int(made.node.address.rpartition(":")[2])
        with Forwarder(port) as between:
            made.world.registered = [record("node-1", f"127.0.0.1:{between.port}", env="prod")]
            marker = made.person.home.root + "/started"
            running = asyncio.get_running_loop().create_task(made.run(f"touch {marker}; exec sleep 1000", tell=None))
            await asyncio.to_thread(wait_for, "the command", lambda: os.path.exists(marker))
            between.cut()
            with pytest.raises(Unavailable) as caught:
                await running
            assert caught.value.code == "CLIENT-SSH"

    play(scene)


def test_an_expired_certificate(play: Play, world: World, tmp_path: Path) -> None:
    issued = world.clock.now() - dt.timedelta(hours=5)
    old = proxy_world.person(world, tmp_path / "old", principals=(LOGIN,), issued=issued)

    async def scene(made: Stage) -> None:
        error = await made.refusal()
        assert error.code == "NET-TLS-REFUSED-EXPIRED"
        assert made.ours.events == []

    play(scene, old)


def test_no_proxy(world: World, tmp_path: Path) -> None:
    person = proxy_world.person(world, tmp_path / "alice").at("localhost:1")

    with pytest.raises(Unavailable) as caught:
        ssh.connect(person.home, person.profile, Request("node-1"), host="node-1")
    assert caught.value.code == "CLIENT-UNREACHABLE"
