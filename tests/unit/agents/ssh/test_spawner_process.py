"""What a service that somebody has taken over can say to its spawner, and that nothing starts by it."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from teleport.agents.ssh import spawner_messages as messages
from teleport.agents.ssh import spawner_process
from teleport.agents.ssh.spawner import Spawner
from teleport.base.clock import SystemClock
from teleport.base.errors import TeleportError
from teleport.net.ssh import Proof
from tests.support import bare_home, proofs
from tests.support.authorities import cluster
from tests.support.ssh_node import LOGIN
from tests.support.until import until

NOW = SystemClock().now().replace(microsecond=0)
OURS, THEIRS = cluster(now=NOW), cluster(seed=2, now=NOW)
Scene = Callable[[Spawner], Awaitable[None]]


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    running = Spawner.launch(wrapper=bare_home.wrapper())
    yield running
    running.close()


def play(spawner: Spawner, scene: Scene, *, trusting: bool = True) -> None:
    async def main() -> None:
        spawner.connect()
        if trusting:
            await spawner.trust(OURS.name, proofs.lines(OURS))
        try:
            async with asyncio.timeout(60):
                await scene(spawner)
        finally:
            spawner.disconnect()

    asyncio.run(main())


def children(spawner: Spawner) -> list[str]:
    return Path(f"/proc/{spawner.pid}/task/{spawner.pid}/children").read_text().split()


async def refused(work: Awaitable[object], code: str) -> None:
    with pytest.raises(TeleportError) as caught:
        await work
    assert caught.value.code == code


async def shell(spawner: Spawner, admission: int, login: str = LOGIN, id: int = 0) -> None:
    """Ask for a command as the service would, but with whatever the caller says."""
    request = messages.Start(
        id=id or spawner._next(), admission=admission, login=login, command=b"sleep 1000", environment={}
    )
    pipes = [os.pipe() for _ in range(3)]
    try:
        await spawner._ask(request, tuple(reading for reading, _ in pipes))  # type: ignore[arg-type]
    finally:
        for pair in pipes:
            os.close(pair[0])
            os.close(pair[1])


async def helper(spawner: Spawner, admission: int, *descriptors: int) -> None:
    await spawner._ask(messages.Helper(id=spawner._next(), admission=admission), descriptors)


async def nothing_can_be_started(spawner: Spawner, admission: int, login: str = LOGIN) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        await refused(shell(spawner, admission, login), "SSH-ADMIT-MISSING")
        await refused(helper(spawner, admission, theirs.fileno()), "SSH-ADMIT-MISSING")
    assert children(spawner) == []


def test_without_an_admission_nothing_starts(spawner: Spawner) -> None:
    async def scene(spawner: Spawner) -> None:
        for admission in (0, 1, -1, 1 << 80):
            await nothing_can_be_started(spawner, admission)

    play(spawner, scene)


def test_for_another_login_nothing_starts(spawner: Spawner) -> None:
    """Somebody is logged in as `somebody`, whom the machine may have or not."""

    async def scene(spawner: Spawner) -> None:
        admission = await spawner.admit(await proofs.prove(OURS, "somebody"), source="")
        await refused(shell(spawner, admission, LOGIN), "SSH-ADMIT-MISSING")
        await refused(shell(spawner, admission, "somebody"), "SSH-UNKNOWN-USER")
        assert children(spawner) == []

    play(spawner, scene)


def test_after_the_end_of_a_connection_nothing_starts(spawner: Spawner) -> None:
    async def scene(spawner: Spawner) -> None:
        admission = await spawner.admit(await proofs.prove(OURS, LOGIN), source="")
        await spawner.dismiss(admission)
        await nothing_can_be_started(spawner, admission)

    play(spawner, scene)


def test_before_the_authorities_are_known_nobody_is_admitted(spawner: Spawner) -> None:
    async def scene(spawner: Spawner) -> None:
        await refused(spawner.admit(await proofs.prove(OURS, LOGIN), source=""), "SSH-TRUST-MISSING")
        await nothing_can_be_started(spawner, 1)

    play(spawner, scene, trusting=False)


def test_an_authority_cannot_be_added(spawner: Spawner) -> None:
    async def scene(spawner: Spawner) -> None:
        both = {**proofs.lines(OURS), **proofs.lines(THEIRS)}
        await refused(spawner.trust(THEIRS.name, proofs.lines(THEIRS)), "SSH-TRUST-PINNED")
        await refused(spawner.trust(OURS.name, both), "SSH-TRUST-PINNED")
        await refused(spawner.admit(await proofs.prove(THEIRS, LOGIN), source=""), "PKI-UNKNOWN-CA")
        await nothing_can_be_started(spawner, 4)

    play(spawner, scene)


async def forged() -> Proof:
    good, other = await proofs.prove(OURS, LOGIN), await proofs.prove(OURS, LOGIN)
    return replace(good, signature=other.signature)


async def truncated() -> Proof:
    good = await proofs.prove(OURS, LOGIN)
    return replace(good, message=good.message[:-1])


async def without_signature() -> Proof:
    return replace(await proofs.prove(OURS, LOGIN), signature=b"")


async def expired() -> Proof:
    now = SystemClock().now().replace(microsecond=0)
    return await proofs.prove(OURS, LOGIN, expires=now - dt.timedelta(seconds=30))


async def of_another_authority() -> Proof:
    return await proofs.prove(THEIRS, LOGIN)


async def of_another_login() -> Proof:
    return await proofs.prove(OURS, LOGIN, principals=("somebody",))


async def with_another_login() -> Proof:
    return replace(await proofs.prove(OURS, "somebody"), login=LOGIN)


async def bound_to_an_address() -> Proof:
    return await proofs.prove(OURS, LOGIN, pinned_ip="10.0.0.1")


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (forged, "SSH-ADMIT-PROOF"),
        (truncated, "SSH-ADMIT-PROOF"),
        (without_signature, "SSH-ADMIT-PROOF"),
        (with_another_login, "SSH-ADMIT-PROOF"),
        (expired, "PKI-EXPIRED"),
        (of_another_authority, "PKI-UNKNOWN-CA"),
        (of_another_login, "PKI-LOGIN-NOT-IN-PRINCIPALS"),
        (bound_to_an_address, "PKI-SOURCE-ADDRESS"),
    ],
)
def test_a_false_proof_admits_nobody(spawner: Spawner, make: Callable[[], Awaitable[Proof]], code: str) -> None:
    async def scene(spawner: Spawner) -> None:
        id = spawner._next_id
        await refused(spawner.admit(await make(), source="10.0.0.2"), code)
        await nothing_can_be_started(spawner, id)

    play(spawner, scene)


def test_a_proof_counts_once(spawner: Spawner) -> None:
    async def scene(spawner: Spawner) -> None:
        proof = await proofs.prove(OURS, LOGIN)
        admission = await spawner.admit(proof, source="")
        await refused(spawner.admit(proof, source=""), "SSH-ADMIT-REPLAY")
        await spawner.dismiss(admission)
        await refused(spawner.admit(proof, source=""), "SSH-ADMIT-REPLAY")
        await nothing_can_be_started(spawner, admission)

    play(spawner, scene)


def test_a_number_in_use_is_not_taken_again(spawner: Spawner) -> None:
    async def scene(spawner: Spawner) -> None:
        admission = await spawner.admit(await proofs.prove(OURS, LOGIN), source="")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            id = spawner._next_id
            await helper(spawner, admission, theirs.fileno())
            await refused(shell(spawner, admission, id=id), "SSH-SPAWN-MESSAGE")
            await refused(helper(spawner, admission, theirs.fileno()), "SSH-SPAWN-MESSAGE")
            assert len(children(spawner)) == 1
        await spawner.dismiss(admission)
        await until(lambda: not children(spawner))

    play(spawner, scene)


def test_a_helper_serves_a_socket_for_messages_and_nothing_else(spawner: Spawner) -> None:
    async def scene(spawner: Spawner) -> None:
        admission = await spawner.admit(await proofs.prove(OURS, LOGIN), source="")
        reading, writing = os.pipe()
        stream, other = socket.socketpair()
        internet = socket.socket()
        good, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            for given in (
                (), (reading,), (writing,), (stream.fileno(),), (internet.fileno(),), (good.fileno(), end.fileno()),
            ):  # fmt: skip
                await refused(helper(spawner, admission, *given), "SSH-SPAWN-MESSAGE")
            assert children(spawner) == []
        finally:
            for descriptor in (reading, writing):
                os.close(descriptor)
            for each in (stream, other, internet, good, end):
                each.close()
        await spawner.dismiss(admission)

    play(spawner, scene)


def test_a_helper_of_an_account_that_is_not_there(spawner: Spawner) -> None:
    async def scene(spawner: Spawner) -> None:
        admission = await spawner.admit(await proofs.prove(OURS, "no-such-account"), source="")
        await refused(spawner.help(admission), "SSH-UNKNOWN-USER")

    play(spawner, scene)


def test_a_caller_that_gives_up_is_dismissed(spawner: Spawner) -> None:
    async def scene(spawner: Spawner) -> None:
        proof = await proofs.prove(OURS, LOGIN)
        id = spawner._next_id
        admitting = asyncio.get_running_loop().create_task(spawner.admit(proof, source=""))
        await asyncio.sleep(0)
        admitting.cancel()
        await asyncio.wait([admitting])
        assert admitting.cancelled()
        await nothing_can_be_started(spawner, id)

    play(spawner, scene)


def test_a_node_that_makes_no_accounts_is_not_talked_into_it(spawner: Spawner) -> None:
    async def scene(spawner: Spawner) -> None:
        admission = await spawner.admit(await proofs.prove(OURS, "somebody"), source="")
        wanted = messages.Provision(
            id=spawner._next(), admission=admission, mode="keep", groups="", sudoers="ALL=(ALL) NOPASSWD: ALL", uid="",
            gid="", shell="",
        )  # fmt: skip
        for request in (wanted, messages.Sweep(id=spawner._next())):
            await refused(spawner._ask(request), "SSH-HOST-USER-CLOSED")
        await refused(spawner.trust(OURS.name, proofs.lines(OURS), host_users=True), "SSH-TRUST-PINNED")
        assert children(spawner) == []

    play(spawner, scene)


def test_what_is_a_channel() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as good, open("/dev/null", "rb") as file:
        assert spawner_process.is_channel(good.fileno())
        assert not spawner_process.is_channel(file.fileno())
        assert good.fileno() >= 0
