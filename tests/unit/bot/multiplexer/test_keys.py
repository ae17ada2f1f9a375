"""The agent of the multiplexer."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import socket

import pytest

from teleport.bot.multiplexer.keys import KeyAgent
from teleport.bot.parts import Held
from teleport.model.identity import Identity
from teleport.pki import keys
from teleport.wire import ssh_agent
from tests.support import authorities, identities

END = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
CLUSTER = authorities.cluster()


def held() -> Held:
    """Return a new key with its certificates."""
    parts = identities.parts(CLUSTER)
    return Held(
        key=parts.key, ssh_certificate=parts.ssh_certificate, tls_certificate=parts.tls_certificate, valid_after=END,
        expires=END, identity=Identity(name="bot-example", cluster="example.com", kind="bot", expires=END),
        authorities=(),
    )  # fmt: skip


def body(message: bytes) -> bytes:
    return ssh_agent.frame(message)[0]


def listed(agent: KeyAgent) -> list[ssh_agent.Identity]:
    return ssh_agent.read_identities(agent.answer(body(ssh_agent.list_identities()))[4:])


def test_nothing_is_there_before_the_first_certificate() -> None:
    assert listed(KeyAgent()) == []


def test_it_signs_with_what_it_lists() -> None:
    agent, one = KeyAgent(), held()
    agent.take(one)
    (identity,) = listed(agent)
    assert (identity.blob, identity.comment) == (
        keys.load_ssh_line(one.ssh_certificate), "teleport:example.com:bot-example"
    )  # fmt: skip
    signature = ssh_agent.read_signature(agent.answer(body(ssh_agent.sign(identity.blob, b"data")))[4:])
    assert keys.verify_ssh_signature(keys.load_private(one.key.encode()).public_key(), signature, b"data")


def test_the_newest_is_listed_and_the_one_before_still_signs() -> None:
    agent, blobs = KeyAgent(), []
    first = held()
    for number in range(3):
        line = (
            first.ssh_certificate
            if number == 0
            else identities.parts(CLUSTER, principals=(f"login-{number}",)).ssh_certificate
        )
        agent.take(dataclasses.replace(first, ssh_certificate=line))
        blobs.append(keys.load_ssh_line(line))
    assert [identity.blob for identity in listed(agent)] == blobs[-1:]
    for blob, kind in zip(blobs, (ssh_agent.FAILURE, ssh_agent.SIGN_RESPONSE, ssh_agent.SIGN_RESPONSE), strict=True):
        assert agent.answer(body(ssh_agent.sign(blob, b"x")))[4] == kind


@pytest.mark.parametrize("message", [ssh_agent.remove(b"key"), ssh_agent.sign(b"another", b"data")])
def test_everything_else_is_refused(message: bytes) -> None:
    agent = KeyAgent()
    agent.take(held())
    assert agent.answer(body(message))[4] == ssh_agent.FAILURE


def test_a_connection_serves_many_questions_and_ends_with_a_bad_one() -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        loop = asyncio.get_running_loop()
        serving = loop.create_task(KeyAgent().serve(theirs))
        question = ssh_agent.list_identities()
        with ours:
            await loop.sock_sendall(ours, question[:2])
            await loop.sock_sendall(ours, question[2:] + question)
            received = b""
            while len(received) < 18:
                received += await loop.sock_recv(ours, 100)
            assert received == 2 * (b"\0\0\0\x05" + bytes([ssh_agent.IDENTITIES_ANSWER]) + bytes(4))
            await loop.sock_sendall(ours, b"\xff\xff\xff\xff")
            assert await loop.sock_recv(ours, 1) == b""
        await serving

    asyncio.run(main())
