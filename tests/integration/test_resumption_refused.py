"""Who may come back to a connection on a node, and who may not: tsh's own client and a real SSH Service, without a
proxy between them."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from teleport.agents.ssh.service import SSHService
from teleport.base.errors import AccessDenied, TeleportError
from teleport.client.resumption import Means, ResumableCarrier
from teleport.client.ssh_client.connection import Connection, engine_of
from teleport.client.ssh_client.stream import ByteStream
from teleport.client.ssh_client.trust import HostTrust, UserKey
from teleport.pki import keys
from teleport.wire.resumption_opening import read_answer, read_greeting
from tests.support import policy, ssh_node
from tests.support.plain_way import PlainWay
from tests.support.ssh_node import LOGIN, Client, World
from tests.support.until import until


class Person:
    """Somebody at a workstation whose connection is lost; everything here blocks."""

    def __init__(self, client: Client, address: str) -> None:
        host, _, port = address.rpartition(":")
        self.place = host, int(port)
        self.key = self.came_with = UserKey(client.key, client.certificate.blob)
        self.source = ""
        """The address from which it comes back."""
        self.may_go = threading.Event()
        """Whether it is time to come back."""
        self.may_go.set()
        self.told: list[str] = []
        authority = keys.load_ssh_line(client.world.cluster.host.spec.active_keys.ssh[0].public_key)
        trust = HostTrust("node-1", frozenset({authority}), client.world.clock.now)
        engine = engine_of(LOGIN, self.key, trust)
        self.way = self._dial()
        self.way.ask(first := engine.take())
        means = Means(self._reach, lambda: self.came_with, "node-1", self.told.append)  # type: ignore[arg-type]
        self.connection = Connection.begun(
            ResumableCarrier(self.way, first, means), engine, "node-1"  # type: ignore[arg-type]
        )  # fmt: skip
        self.stream: ByteStream = self.connection.open_stream(command="exec cat")

    def _dial(self, source: str = "") -> PlainWay:
        return PlainWay(socket.create_connection(self.place, 60, (source, 0) if source else None))

    def _reach(self, node: str) -> PlainWay:
        assert node == "node-uuid-1"
        assert self.may_go.wait(60)
        self.way = self._dial(self.source)
        return self.way

    def says(self, data: bytes) -> bool:
        """Say something, and hear it again."""
        self.stream.write(data)
        return self.stream.read_exactly(len(data)) == data

    def lose(self) -> None:
        self.way.sock.shutdown(socket.SHUT_RDWR)

    def replay(self) -> int | None:
        """Say on a new carrier what was said on an earlier one to come back; return the answer."""
        other = self._dial()
        try:
            other.answer(lambda data: (None, read_greeting(data)[1]))
            other.ask(self.way.asked)
            found: list[int | None] = []

            def answer(data: bytes) -> tuple[None, int]:
                theirs, size = read_answer(data)
                found.append(theirs)
                return None, size

            other.answer(answer)
            return found[-1]
        finally:
            other.sock.close()

    def refused(self) -> None:
        """Lose the connection, and hear that it does not go on."""
        self.lose()
        with pytest.raises(AccessDenied) as caught:
            self.says(b"again")
        assert caught.value.code == "CLIENT-RESUME-REFUSED"

    def leave(self) -> None:
        self.connection.close()


Scene = Callable[[Person, Callable[[], None]], None]
Run = Callable[..., None]


@pytest.fixture
def run(play: Callable[..., None], client: Client) -> Run:
    def run(scene: Callable[[Person], None], made: Client = client) -> None:
        async def main(node: SSHService) -> None:
            def act() -> None:
                person = Person(made, node.address)
                try:
                    assert person.says(b"hello")
                    scene(person)
                finally:
                    person.leave()

            await asyncio.to_thread(act)

        play(main)

    return run


def test_who_signed_in_comes_back_and_what_they_said_to_do_so_is_good_once(run: Run) -> None:
    def scene(person: Person) -> None:
        for number in range(2):
            person.lose()
            assert person.says(b"again %d" % number)
            assert person.replay() is None
            assert person.says(b"still here")
        assert len(person.told) == 4

    run(scene)


def test_another_certificate_of_the_same_user_does_not_come_back(run: Run, world: World, tmp_path: Path) -> None:
    other = ssh_node.client(world, tmp_path / "other")

    def scene(person: Person) -> None:
        person.came_with = UserKey(other.key, other.certificate.blob)
        person.refused()

    run(scene)


def test_another_certificate_of_the_same_key_does_not_come_back(run: Run, world: World, client: Client) -> None:
    who = world.cluster.identity(
        roles=("dev",), principals=(LOGIN,), expires=world.clock.now() + dt.timedelta(hours=2)
    )  # fmt: skip
    renewed = world.cluster.ssh(who, client.public, now=world.clock.now())

    def scene(person: Person) -> None:
        person.came_with = UserKey(client.key, renewed.blob)
        person.refused()

    run(scene)


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"])
def test_a_certificate_bound_to_an_address_comes_back_from_there_alone(
    run: Run, world: World, tmp_path: Path, source: str
) -> None:
    pinned = ssh_node.client(world, tmp_path / "pinned", pinned_ip="127.0.0.1")

    def scene(person: Person) -> None:
        person.source = source
        if source == "127.0.0.1":
            person.lose()
            assert person.says(b"again")
        else:
            person.refused()

    run(scene, pinned)


def test_a_certificate_that_has_ended_meanwhile_does_not_come_back(run: Run, world: World) -> None:
    def scene(person: Person) -> None:
        world.clock.advance(dt.timedelta(hours=2))  # type: ignore[attr-defined]
        person.refused()

    run(scene)


def test_a_lock_ends_a_session_whose_client_is_away(play: Callable[..., None], world: World, client: Client) -> None:
    async def main(node: SSHService) -> None:
        person = await asyncio.to_thread(Person, client, node.address)
        try:
            assert await asyncio.to_thread(person.says, b"hello")
            person.may_go.clear()
            person.lose()
            heard = asyncio.get_running_loop().create_task(asyncio.to_thread(person.says, b"again"))
            world.held = (policy.lock(user="alice"),)
            await world.wait_for("T2004I")
            await until(lambda: not world.trackers)
            person.may_go.set()
            with contextlib.suppress(TeleportError):  # refused; or it was back in time for the last words
                assert not await heard
        finally:
            person.may_go.set()
            await asyncio.to_thread(person.leave)

    play(main)
