"""The TLS port: who is let in, who is refused where and with which code, and how many."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from teleport.api.client import AuthClient
from teleport.auth.door import Limits, Tally
from teleport.base import errors
from tests.support.auth_cluster import Cluster, user
from tests.support.auth_door import OpenDoor, Pair, open_door
from tests.support.raw_h2 import RawH2


def through(story: Callable[[OpenDoor], Awaitable[None]], limits: Limits | None = None) -> None:
    async def body() -> None:
        async with asyncio.timeout(60), open_door(limits) as door:
            await story(door)

    asyncio.run(body())


async def code_of(work: Awaitable[Any]) -> str:
    with pytest.raises(errors.TeleportError) as caught:
        await work
    return caught.value.code


async def refusals(cluster: Cluster, count: int = 1) -> list[dict[str, Any]]:
    """Return the audited refusals; they are written while the client already knows."""
    async with asyncio.timeout(10):
        while len(found := await cluster.events("auth")) < count:  # noqa: ASYNC110
            await asyncio.sleep(0)
    return found


def test_a_user_calls_what_their_roles_allow() -> None:
    async def story(door: OpenDoor) -> None:
        client = door.client(await door.user("alice", "editor"))
        assert [found.name async for found in client.list("role")] == ["access", "auditor", "editor"]
        assert await code_of(door.client(await door.user("bob", "access")).create(user("x", "access"))) == "POL-NO-VERB"

    through(story)


def test_nobody_reaches_ping_and_nothing_else() -> None:
    async def story(door: OpenDoor) -> None:
        client = door.client(None)
        assert (await client.ping())[0] == door.cluster.service.cluster
        assert await code_of(client.get("user", "alice")) == "API-NO-CERTIFICATE"

    through(story)


def test_a_host_is_refused_by_the_application_with_a_code() -> None:
    async def story(door: OpenDoor) -> None:
        client = door.client(await door.node())
        await client.ping()
        for call in (client.create_invite("alice"), client.verify_audit(), client.login("a", "b", ssh_public_key="",
                                                                                       tls_public_key="")):  # fmt: skip
            assert await code_of(call) == "API-AUDIENCE"
        assert await code_of(client.get("user", "alice")) == "POL-SYSTEM"

    through(story)


def test_s1_23_an_expired_certificate_is_refused_in_the_handshake_with_the_same_code_on_both_sides() -> None:
    async def story(door: OpenDoor) -> None:
        client = door.client(await door.expired())
        with pytest.raises(errors.NotAuthenticated) as caught:
            await client.ping()
        assert caught.value.code == "API-CERT-EXPIRED"
        assert caught.value.what == "remote error: tls: bad certificate"
        (event,) = await refusals(door.cluster)
        assert (event["code"], event["addr.remote"]) == ("T3007W", "127.0.0.1")
        assert event["error"] == "remote error: tls: bad certificate (API-CERT-EXPIRED)"
        assert "expired" in event["message"]
        assert event.get("user", "") == ""

    through(story)


def test_a_certificate_of_another_cluster_is_refused_in_the_handshake_with_another_code() -> None:
    async def story(door: OpenDoor) -> None:
        async with open_door(seed=8) as elsewhere:
            foreign = await elsewhere.user()
        with pytest.raises(errors.NotAuthenticated) as caught:
            await door.client(foreign).ping()
        assert caught.value.code == "API-CERT-UNKNOWN-CA"
        (event,) = await refusals(door.cluster)
        assert "(API-CERT-UNKNOWN-CA)" in event["error"]

    through(story)


def test_a_key_that_does_not_fit_its_certificate_gets_nowhere() -> None:
    async def story(door: OpenDoor) -> None:
        mine, theirs = await door.user("mallory"), await door.user("alice")
        with pytest.raises(errors.BadParameter):
            await door.context(Pair(theirs.certificate, mine.key))

    through(story)


def test_a_certificate_for_another_address_is_told_so_and_audited() -> None:
    async def story(door: OpenDoor) -> None:
        identity = door.cluster.identity("alice", roles=("editor",), principals=("root",), pinned_ip="192.0.2.1")
        client = door.client(await door.certify(identity))
        for _ in range(2):
            assert await code_of(client.ping()) == "PKI-SOURCE-ADDRESS"
        (event,) = await refusals(door.cluster)
        assert "PKI-SOURCE-ADDRESS" in event["error"]

    through(story)


def test_strangers_cannot_fill_the_audit_log() -> None:
    async def story(door: OpenDoor) -> None:
        expired = await door.expired()
        for _ in range(12):
            assert await code_of(door.client(expired).ping()) == "API-CERT-EXPIRED"
        assert len(await refusals(door.cluster)) == 1

    through(story)


def test_a_source_without_a_certificate_has_few_connections() -> None:
    async def story(door: OpenDoor) -> None:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(2):  # two that do not go on, and one that is nobody
                silent = await door.network.dial(door.address)
                stack.push_async_callback(silent.close)
                await silent.write(b"\x16\x03\x01")
            nobody = door.client(None)
            await nobody.ping()
            assert await code_of(door.client(None).ping()) in {"NET-TLS-EOF", "NET-RESET"}
            assert "(API-CONNECTIONS)" in (await refusals(door.cluster))[0]["error"]
            await nobody.close()
            await until_answered(lambda: door.client(None))
        await until_answered(lambda: door.client(None))

    through(story, Limits(strangers=3))


def test_a_sender_who_says_nothing_has_few_connections() -> None:
    async def story(door: OpenDoor) -> None:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(2):
                silent = await door.network.dial(door.address)
                stack.push_async_callback(silent.close)
            assert await code_of(door.client(None).ping()) in {"NET-TLS-EOF", "NET-RESET"}
            assert "(API-CONNECTIONS)" in (await refusals(door.cluster))[0]["error"]
        await until_answered(lambda: door.client(None))

    through(story, Limits(arriving=2))


async def until_answered(make: Callable[[], AuthClient]) -> None:
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(errors.Unavailable):
                await make().ping()
                return
            await asyncio.sleep(0)


def test_an_identity_has_few_connections_and_others_have_theirs() -> None:
    async def story(door: OpenDoor) -> None:
        alice, bob = await door.user("alice"), await door.user("bob")
        held = [door.client(alice) for _ in range(2)]
        for client in held:
            await client.ping()
        assert await code_of(door.client(alice).ping()) == "API-CONNECTIONS"
        await door.client(bob).ping()
        await held.pop().close()
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(errors.LimitExceeded):
                    await door.client(alice).ping()
                    break
                await asyncio.sleep(0)

    through(story, Limits(callers=2))


def test_a_peer_that_does_not_shake_hands_is_dropped() -> None:
    async def story(door: OpenDoor) -> None:
        for greeting in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"):
            stream = await door.network.dial(door.address)
            began = time.monotonic()
            if greeting:
                await stream.write(greeting)
            with contextlib.suppress(errors.Unavailable):
                while await stream.read():
                    pass
            assert time.monotonic() - began < 5
            await stream.close()
        assert await door.cluster.events("auth") == []

    through(story, Limits(handshake=0.2))


def test_a_message_of_200_mb_is_refused_when_its_length_has_come() -> None:
    """Stock clients wait for room before they send more; this one has the first five bytes only, and an answer."""

    async def story(door: OpenDoor) -> None:
        stream = await door.open(await door.user())
        peer = RawH2(stream)
        call = peer.call("/teleport.v1.Resources/Create")
        peer.h2.send_data(call, struct.pack(">BI", 0, 200_000_000))
        trailers = await peer.trailers(call)
        assert (trailers["grpc-status"], "200000000 bytes" in trailers["grpc-message"]) == ("8", True)
        await stream.close()

    through(story)


def test_the_limits_that_nobody_set() -> None:
    assert Limits() == Limits(handshake=10.0, strangers=32, callers=64)


def test_places_are_counted_by_key_and_given_back() -> None:
    tally = Tally(1)
    with tally.place("a") as first, tally.place("a") as second, tally.place("b") as other:
        assert (first, second, other) == (True, False, True)
    with pytest.raises(ZeroDivisionError), tally.place("a"):
        raise ZeroDivisionError
    with tally.place("a") as again:
        assert again
    assert not tally._held
