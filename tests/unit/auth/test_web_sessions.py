"""Sessions of browsers: how they begin, how they end, and that they see what their user may see."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from typing import Any

import msgspec
import pytest

from teleport.api.messages import Selection
from teleport.base import errors
from teleport.base.errors import TeleportError
from teleport.store.backend import Delete
from tests.support import auth_cluster
from tests.support.auth_cluster import PASSWORD, Cluster, document_of, node, role
from tests.support.enrolled import Person, complete, enrolled, run

NODES = Selection(kind="node")


async def code_of(cluster: Cluster, token: str, address: str = "192.0.2.7") -> str:
    """Return the code with which the session is refused; empty if it is not."""
    try:
        await cluster.proxy.web_describe(token, client_address=address)
    except TeleportError as error:
        return error.code
    return ""


def minutes(number: float) -> dt.timedelta:
    return dt.timedelta(minutes=number)


async def seen(cluster: Cluster, token: str) -> list[str]:
    return [found.spec.hostname for found in (await cluster.proxy.web_page(token, NODES)).resources]


def test_a_session_says_whose_it_is() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        token, began = await person.web_sign_in(person.code())
        found = await cluster.proxy.web_describe(token)
        assert found == began
        assert (found.user, found.roles, found.expires) == ("alice", ("access",), cluster.clock.now() + minutes(720))
        assert len(bytes.fromhex(token)) == 32
        (login,) = await cluster.events("user.login")
        assert (login["success"], login["addr.remote"]) == (True, "192.0.2.7")

    run(story)


def test_the_store_has_the_hash_of_the_token_alone() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        token, _ = await person.web_sign_in(person.code())
        everything = repr([(item.key, item.value) async for item in cluster.backend.scan("/")])
        assert token not in everything
        assert hashlib.sha256(token.encode()).hexdigest() in everything
        assert token not in repr(await cluster.events())

    run(story)


@pytest.mark.parametrize("token", ["", "0" * 64, "x" * 64, "0" * 63, "é" * 64, "../users/alice", "A" * 64, "0" * 9999])
def test_forged_tokens_are_refused(token: str) -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        await person.web_sign_in(person.code())
        for call in (cluster.proxy.web_describe(token), cluster.proxy.web_page(token, NODES)):
            with pytest.raises(errors.NotAuthenticated) as caught:
                await call
            assert caught.value.code == "AUTH-SESSION"
        await cluster.proxy.web_sign_out(token)

    run(story)


def test_the_users_rights_decide_what_is_listed() -> None:
    async def story(cluster: Cluster) -> None:
        for name, env in (("n1", "dev"), ("n2", "prod"), ("n3", "dev")):
            await cluster.client(cluster.host("Node", uuid=name)).upsert(node(name, env=env))
        await cluster.admin.create(role("developer", logins=["root"], node_labels={"env": ["dev"]}))
        person = await enrolled(cluster, "alice", "developer")
        token, _ = await person.web_sign_in(person.code())
        assert await seen(cluster, token) == ["n1", "n3"]
        as_user = cluster.client(cluster.user("alice", "developer"))
        assert [found.name async for found in as_user.list("node")] == ["n1", "n3"]
        with pytest.raises(errors.AccessDenied):
            await cluster.proxy.web_page(token, Selection(kind="user"))
        first = await cluster.proxy.web_page(token, Selection(kind="node", limit=1))
        rest = await cluster.proxy.web_page(token, Selection(kind="node", limit=1, after=first.next))
        assert [found.name for found in (*first.resources, *rest.resources)] == ["n1", "n3"]
        # A role that is taken away is gone at once: a session carries no certificate with the roles of before.
        alice = await cluster.admin.get("user", "alice")
        spec = msgspec.structs.replace(alice.spec, roles=("auditor",))
        await cluster.admin.update(msgspec.structs.replace(alice, spec=spec))
        assert await seen(cluster, token) == []

    run(story)


def test_a_session_that_is_not_used_ends() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        token, _ = await person.web_sign_in(person.code())
        for _ in range(5):
            cluster.clock.advance(minutes(9))
            assert await code_of(cluster, token) == ""
        cluster.clock.advance(minutes(10))
        assert await code_of(cluster, token) == "AUTH-SESSION"

    run(story)


def test_looks_in_quick_succession_are_noted_once() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        token, _ = await person.web_sign_in(person.code())
        key = f"/web/sessions/{hashlib.sha256(token.encode()).hexdigest()}"
        revisions = set()
        for _ in range(10):
            await code_of(cluster, token)
            revisions.add((await cluster.backend.get(key)).revision)
            cluster.clock.advance(dt.timedelta(seconds=4))
        assert len(revisions) == 2

    run(story)


def test_of_two_requests_at_once_both_are_served() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        token, _ = await person.web_sign_in(person.code())
        cluster.clock.advance(minutes(5))
        assert await asyncio.gather(*(code_of(cluster, token) for _ in range(5))) == [""] * 5

    run(story)


def test_a_session_ends_with_its_time_however_much_it_is_used() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.admin.create(role("short", options={"max_session_ttl": "20m"}))
        person = await enrolled(cluster, "alice", "short")
        token, _ = await person.web_sign_in(person.code())
        for _ in range(4):
            cluster.clock.advance(minutes(4.9))
            assert await code_of(cluster, token) == ""
        cluster.clock.advance(minutes(0.5))
        assert await code_of(cluster, token) == "AUTH-SESSION"

    run(story)


def test_signing_out_ends_it_and_others_go_on() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        first, _ = await person.web_sign_in(person.code())
        second, _ = await person.web_sign_in(person.code(1))
        await cluster.proxy.web_sign_out(first)
        await cluster.proxy.web_sign_out(first)
        assert (await code_of(cluster, first), await code_of(cluster, second)) == ("AUTH-SESSION", "")

    run(story)


def test_signing_in_again_ends_the_former_session_of_the_browser() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        former, _ = await person.web_sign_in(person.code())
        with pytest.raises(errors.NotAuthenticated):
            await person.web_sign_in(person.wrong_code(), former=former)
        assert await code_of(cluster, former) == ""
        token, _ = await person.web_sign_in(person.code(1), former=former)
        assert (await code_of(cluster, former), await code_of(cluster, token)) == ("AUTH-SESSION", "")
        assert token != former

    run(story)


def test_a_token_that_was_planted_is_never_used() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        token, _ = await person.web_sign_in(person.code(), former="f" * 64)
        assert token != "f" * 64
        assert await code_of(cluster, "f" * 64) == "AUTH-SESSION"

    run(story)


@pytest.mark.parametrize("target", [{"user": "alice"}, {"role": "access"}])
def test_a_lock_ends_the_session_for_good(target: dict[str, str]) -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        token, _ = await person.web_sign_in(person.code())
        lock = await cluster.admin.create(document_of("lock", "", {"target": target}))
        assert await code_of(cluster, token) == "POL-LOCKED"
        assert await code_of(cluster, token) == "AUTH-SESSION"
        with pytest.raises(errors.AccessDenied):
            await person.web_sign_in(person.code(1))
        await cluster.admin.delete("lock", lock.name)
        assert await code_of(cluster, token) == "AUTH-SESSION"

    run(story)


async def _reset(cluster: Cluster) -> None:
    await cluster.admin.create_reset("alice")


async def _another_password(cluster: Cluster) -> None:
    await complete(cluster, (await cluster.admin.create_reset("alice")).token)


async def _delete(cluster: Cluster) -> None:
    await cluster.admin.delete("user", "alice")


async def _made_anew(cluster: Cluster) -> None:
    await cluster.admin.delete("user", "alice")
    await enrolled(cluster)


async def _expire(cluster: Cluster) -> None:
    alice = await cluster.admin.get("user", "alice")
    spec = msgspec.structs.replace(alice.spec, expires=cluster.clock.now() - minutes(1))
    await cluster.admin.update(msgspec.structs.replace(alice, spec=spec))


async def _no_role(cluster: Cluster) -> None:
    await cluster.backend.commit(Delete("/roles/access"))


@pytest.mark.parametrize("change", [_reset, _another_password, _delete, _made_anew, _expire, _no_role])
def test_a_session_does_not_outlive_what_it_rests_on(change: Any) -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        token, _ = await person.web_sign_in(person.code())
        assert await code_of(cluster, token) == ""
        await change(cluster)
        assert await code_of(cluster, token) == "AUTH-SESSION"

    run(story)


def test_a_role_can_bind_the_session_to_the_address() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.admin.create(role("pinned", options={"pin_source_ip": True}))
        person = await enrolled(cluster, "alice", "pinned")
        token, _ = await person.web_sign_in(person.code())
        assert await code_of(cluster, token) == ""
        assert await code_of(cluster, token, "192.0.2.8") == "AUTH-SESSION"
        assert await code_of(cluster, token) == "AUTH-SESSION", "a token that was used elsewhere is no longer good"

    run(story)


def test_failures_at_the_web_and_at_the_command_are_counted_together() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        codes = []
        for number in range(6):
            attempt = person.web_sign_in if number % 2 else person.sign_in
            with pytest.raises(TeleportError) as caught:
                await attempt(person.wrong_code())
            codes.append(caught.value.code)
        assert codes == ["AUTH-LOGIN-MFA"] * 5 + ["AUTH-LOCKED-OUT"]

    run(story)


def test_other_services_cannot_use_a_session() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        token, _ = await person.web_sign_in(person.code())
        for caller in (cluster.host("Node"), cluster.user("eve", "editor"), cluster.host("Auth")):
            with pytest.raises(errors.AccessDenied) as caught:
                await cluster.client(caller).web_describe(token)
            assert caught.value.code == "API-AUDIENCE"

    run(story)


def test_without_second_factors_a_password_is_enough() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.make_user("alice", "access")
        token, _ = await Person(cluster, "alice", "A" * 32).web_sign_in("", PASSWORD)
        assert await code_of(cluster, token) == ""

    auth_cluster.run(story)
