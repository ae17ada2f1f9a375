"""Signing in with a second factor: uniform refusals, codes that count once, failures that count all."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from teleport.auth.mfa_devices import Device, Held
from teleport.base import errors
from teleport.base.errors import TeleportError
from teleport.store.backend import Append, Delete
from tests.support import auth_cluster
from tests.support.auth_cluster import PASSWORD, Cluster
from tests.support.enrolled import STEP, Person, enrolled, run


async def refusal(person: Person, code: str, password: str = PASSWORD, name: str | None = None) -> TeleportError:
    with pytest.raises(TeleportError) as caught:
        await person.sign_in(code, password, name)
    return caught.value


def told(error: TeleportError) -> tuple[Any, ...]:
    return type(error), error.code, error.fields, error.id, str(error), error.why, error.fix


def test_password_and_code_give_certificates() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        assert (await person.sign_in(person.code())).username == "alice"
        (login,) = await cluster.events("user.login")
        assert (login["code"], login["success"], login["addr.remote"]) == ("T1000I", True, "192.0.2.7")

    run(story)


def test_whatever_was_wrong_is_told_alike() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        await cluster.admin.create(auth_cluster.user("bob", "access"))
        wrong, right = person.wrong_code(), person.code()
        tries = [
            (wrong, PASSWORD, "alice"), (right, "wrong password!", "alice"), (wrong, "wrong password!", "alice"),
            (right, PASSWORD, "bob"), (right, PASSWORD, "nobody"), (right, PASSWORD, "../alice"), (right, PASSWORD, ""),
            ("abc", PASSWORD, "alice"), ("1" * 5000, PASSWORD, "nobody"), (right, PASSWORD, "x" * 5000),
        ]  # fmt: skip
        seen = [told(await refusal(person, *fields)) for fields in tries]
        assert len({repr(entry) for entry in seen}) == 1
        assert seen[0][1] == "AUTH-LOGIN-MFA"
        assert seen[0][4] == "invalid username, password or second factor"
        failed = await cluster.events("user.login")
        assert {event["error"] for event in failed} == {"invalid username, password or second factor"}

    run(story)


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_a_password_without_a_code_is_told_to_bring_one_and_costs_no_attempt(name: str) -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        for password in (PASSWORD, "wrong password!") * 4:
            error = await refusal(person, "", password, name)
            assert isinstance(error, errors.BadParameter)
            assert error.code == "AUTH-MFA-REQUIRED"
        assert (await person.sign_in(person.code())).username == "alice"

    run(story)


@pytest.mark.parametrize("what", ["code", "password", "both", "unknown"])
def test_five_failures_of_any_kind_shut_out(what: str) -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        kinds = {"code": ["code"], "password": ["password"], "both": ["code", "password"], "unknown": ["code"]}[what]
        name = "nobody" if what == "unknown" else "alice"
        codes = []
        for number in range(6):
            kind = kinds[number % len(kinds)]
            code = person.wrong_code() if kind == "code" else person.code()
            codes.append((await refusal(person, code, PASSWORD if kind == "code" else "wrong password!", name)).code)
        assert codes == ["AUTH-LOGIN-MFA"] * 5 + ["AUTH-LOCKED-OUT"]
        assert (await refusal(person, person.next_code(), PASSWORD, name)).code == "AUTH-LOCKED-OUT"
        cluster.clock.advance(dt.timedelta(minutes=31))
        if what != "unknown":
            assert (await person.sign_in(person.code())).username == "alice"

    run(story)


def test_many_guesses_at_once_are_five() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        right = {person.code(late) for late in (-1, 0, 1)}
        guesses = [text for number in range(40) if (text := f"{number:06}") not in right]
        told_codes = await asyncio.gather(*(refusal(person, guess) for guess in guesses))
        assert [error.code for error in told_codes].count("AUTH-LOGIN-MFA") == 5

    run(story)


def test_a_code_counts_once() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        await person.sign_in(code := person.code())
        for _ in range(2):
            assert (await refusal(person, code)).code == "AUTH-LOGIN-MFA"
        cluster.clock.advance(STEP)
        assert (await refusal(person, code)).code == "AUTH-LOGIN-MFA"
        assert (await person.sign_in(person.code())).username == "alice"

    run(story)


def test_of_many_who_use_one_code_at_once_one_gets_in() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        code = person.code()
        results = await asyncio.gather(
            *(person.sign_in(code) for _ in range(3)), *(person.web_sign_in(code) for _ in range(2)),
            return_exceptions=True,
        )  # fmt: skip
        assert sum(not isinstance(result, BaseException) for result in results) == 1

    run(story)


def test_two_servers_over_one_store_accept_a_code_once() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        code, first = person.code(), cluster.service
        second = cluster.build()
        await second.start()

        async def at(service: Any) -> Any:
            cluster.service = service
            task = asyncio.ensure_future(person.sign_in(code))  # noqa: TID251 - a person beside another
            await asyncio.sleep(0)
            return task

        tasks = [await at(service) for service in (first, second, first, second)]
        results = await asyncio.gather(*tasks, return_exceptions=True)
        cluster.service = first
        await second.close()
        assert sum(not isinstance(result, BaseException) for result in results) == 1

    run(story)


def test_an_older_code_is_not_good_after_a_newer_one() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        await person.sign_in(person.code(1))
        for late in (-1, 0, 1):
            assert (await refusal(person, person.code(late))).code == "AUTH-LOGIN-MFA"
        cluster.clock.advance(STEP)
        assert (await person.sign_in(person.code(1))).username == "alice"

    run(story)


def test_a_code_beside_a_wrong_password_is_still_good() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        assert (await refusal(person, person.code(), "wrong password!")).code == "AUTH-LOGIN-MFA"
        assert (await person.sign_in(person.code())).username == "alice"

    run(story)


def test_a_lock_is_told_after_password_and_code_and_uses_the_code_up() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        lock = await cluster.admin.create(auth_cluster.document_of("lock", "", {"target": {"user": "alice"}}))
        assert (await refusal(person, person.wrong_code())).code == "AUTH-LOGIN-MFA"
        assert (await refusal(person, person.code())).code == "POL-LOCKED"
        await cluster.admin.delete("lock", lock.name)
        assert (await refusal(person, person.code())).code == "AUTH-LOGIN-MFA"
        assert (await person.sign_in(person.code(1))).username == "alice"

    run(story)


def test_a_user_without_a_device_cannot_sign_in() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        (key,) = [item.key async for item in cluster.backend.scan("/web/users/alice/mfa/")]
        await cluster.backend.commit(Delete(key))
        assert (await refusal(person, person.code())).code == "AUTH-LOGIN-MFA"

    run(story)


def before_the_commit(cluster: Cluster, change: Callable[[], Awaitable[object]]) -> None:
    """Let something happen between the look at the credentials and the commit of the first sign-in."""
    commit, pending = cluster.backend.commit, [change]

    async def disturbed(*ops: Any) -> Any:
        if pending and any(isinstance(op, Append) and b'"user.login"' in op.data for op in ops):
            await pending.pop()()
        return await commit(*ops)

    cluster.backend.commit = disturbed  # type: ignore[method-assign]


def test_a_reset_during_a_sign_in_wins() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        before_the_commit(cluster, lambda: cluster.admin.create_reset("alice"))
        assert (await refusal(person, person.code())).code == "AUTH-LOGIN-MFA"
        assert await cluster.events("cert.create") == []

    run(story)


def test_a_code_that_is_used_during_a_sign_in_is_not_good_for_it() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)

        async def use() -> None:
            (item,) = [item async for item in cluster.backend.scan("/web/users/alice/mfa/")]
            device = msgspec.json.decode(item.value, type=Device)
            step = int(cluster.clock.now().timestamp()) // 30
            await cluster.backend.commit(Held(item.key, item.revision, device).used_op(step, cluster.clock.now()))

        before_the_commit(cluster, use)
        assert (await refusal(person, person.code())).code == "AUTH-LOGIN-MFA"
        assert (await person.sign_in(person.code(1))).username == "alice"

    run(story)


def test_a_change_of_the_user_during_a_sign_in_is_seen() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)

        async def change() -> None:
            alice = await cluster.admin.get("user", "alice")
            spec = msgspec.structs.replace(alice.spec, roles=("auditor",))
            await cluster.admin.update(msgspec.structs.replace(alice, spec=spec))

        before_the_commit(cluster, change)
        _, session = await person.web_sign_in(person.code())
        assert session.roles == ("auditor",)

    run(story)


def test_a_user_who_changes_forever_is_refused() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)

        async def change() -> None:
            alice = await cluster.admin.get("user", "alice")
            await cluster.admin.update(alice)
            before_the_commit(cluster, change)

        before_the_commit(cluster, change)
        assert (await refusal(person, person.code())).code == "AUTH-LOGIN-MFA"
        assert await cluster.events("cert.create") == []

    run(story)


def test_a_failure_is_recorded_though_the_user_changed_meanwhile() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        for _ in range(4):
            await refusal(person, person.wrong_code())

        async def change() -> None:
            await cluster.admin.update(await cluster.admin.get("user", "alice"))

        before_the_commit(cluster, change)
        await refusal(person, person.wrong_code())
        assert len(await cluster.events("user.login")) == 5
        assert (await refusal(person, person.code())).code == "AUTH-LOCKED-OUT"

    run(story)


def test_sign_in_without_second_factors_needs_no_code() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.make_user("alice", "access")
        nobody = Person(cluster, "alice", "A" * 32)
        assert (await nobody.sign_in("")).username == "alice"
        assert (await nobody.sign_in("123456")).username == "alice"
        assert (await refusal(nobody, "", "wrong password!")).code == "AUTH-LOGIN"

    auth_cluster.run(story)
