"""Enrolment by a link: whose secret it is, that it is proven first, and that a reset begins anew."""

from __future__ import annotations

import asyncio
import urllib.parse

import msgspec
import pytest

from teleport.base import errors
from teleport.base.errors import TeleportError
from teleport.store.backend import Put
from tests.support import auth_cluster
from tests.support.auth_cluster import CLUSTER, PASSWORD, Cluster
from tests.support.enrolled import BROWSER, Person, complete, enrolled, invited, run


async def offered(cluster: Cluster, token: str, browser: str = BROWSER) -> Person:
    found = (await cluster.proxy.describe_invite(token, browser)).enrolment
    assert found is not None
    return Person(cluster, "alice", found.secret)


async def refusal(cluster: Cluster, token: str, **fields: str) -> TeleportError:
    with pytest.raises(TeleportError) as caught:
        await cluster.proxy.complete_invite(token, fields.pop("password", PASSWORD), **fields)
    return caught.value


def test_a_link_offers_a_secret_as_text_and_as_address() -> None:
    async def story(cluster: Cluster) -> None:
        found = (await cluster.proxy.describe_invite(await invited(cluster), BROWSER)).enrolment
        assert found is not None
        assert len(found.secret) == 32
        address = urllib.parse.urlsplit(found.uri)
        assert urllib.parse.unquote(address.path) == f"/{CLUSTER}:alice"
        assert urllib.parse.parse_qs(address.query)["secret"] == [found.secret]
        assert found.secret not in repr(found)

    run(story)


def test_each_browser_is_offered_its_own_secret_each_time_the_same() -> None:
    async def story(cluster: Cluster) -> None:
        token = await invited(cluster)
        browsers = [BROWSER, "c" * 64, "", "\udcff"]
        secrets = [(await offered(cluster, token, browser)).app.secret for browser in browsers[:3]]
        assert len(set(secrets)) == 3
        assert secrets == [(await offered(cluster, token, browser)).app.secret for browser in browsers[:3]]
        other = await invited(cluster, "bob")
        assert (await offered(cluster, other)).app.secret not in secrets

    run(story)


def test_looking_stores_nothing_and_the_secret_stays_out_of_the_store_until_it_is_proven() -> None:
    async def story(cluster: Cluster) -> None:
        token = await invited(cluster)
        before = [(item.key, item.value) async for item in cluster.backend.scan("/")]
        await offered(cluster, token)
        assert [(item.key, item.value) async for item in cluster.backend.scan("/")] == before

    run(story)


def test_a_wrong_code_changes_nothing_and_the_right_one_enrols() -> None:
    async def story(cluster: Cluster) -> None:
        token = await invited(cluster)
        person = await offered(cluster, token)
        elsewhere = await offered(cluster, token, "c" * 64)
        before = [(item.key, item.value) async for item in cluster.backend.scan("/")]
        for code in (person.wrong_code(), "", person.code(-2), person.code(2), elsewhere.code()):
            assert (await refusal(cluster, token, browser=BROWSER, code=code)).code == "AUTH-CODE"
        assert (await refusal(cluster, token, browser="c" * 64, code=person.code())).code == "AUTH-CODE"
        assert (
            await refusal(cluster, token, browser=BROWSER, code=person.code(), device_name="a\nb")
        ).code == "KIND-NAME"
        short = await refusal(cluster, token, browser=BROWSER, code=person.code(), password="short")
        assert short.code == "AUTH-PASSWORD-LENGTH"
        assert [(item.key, item.value) async for item in cluster.backend.scan("/")] == before
        assert await cluster.events("mfa.add", "user.password_change") == []
        await cluster.proxy.complete_invite(
            token, PASSWORD, browser=BROWSER, code=person.code(), device_name="phone", client_address="192.0.2.7:1"
        )  # fmt: skip
        assert (await refusal(cluster, token, browser=BROWSER, code=person.next_code())).code == "AUTH-INVITE"
        assert (await person.sign_in(person.next_code())).username == "alice"
        (event,) = await cluster.events("mfa.add")
        assert (event["code"], event["user"], event["mfa_device_name"], event["mfa_device_type"]) == (
            "T1006I", "alice", "phone", "TOTP",
        )  # fmt: skip
        assert event["addr.remote"] == "192.0.2.7"

    run(story)


def test_of_many_who_use_a_link_at_once_one_enrols() -> None:
    async def story(cluster: Cluster) -> None:
        token = await invited(cluster)
        people = [await offered(cluster, token, f"{number:064}") for number in range(8)]
        results = await asyncio.gather(
            *(cluster.proxy.complete_invite(token, PASSWORD, browser=f"{number:064}", code=person.code())
              for number, person in enumerate(people)),
            return_exceptions=True,
        )  # fmt: skip
        winners = [person for person, result in zip(people, results, strict=True) if result is None]
        assert len(winners) == 1
        assert (await winners[0].sign_in(winners[0].next_code())).username == "alice"
        assert len(await cluster.events("mfa.add")) == 1

    run(story)


def test_the_code_of_the_sign_up_does_not_sign_in() -> None:
    async def story(cluster: Cluster) -> None:
        token = await invited(cluster)
        person = await offered(cluster, token)
        await cluster.proxy.complete_invite(token, PASSWORD, browser=BROWSER, code=person.code())
        with pytest.raises(errors.NotAuthenticated):
            await person.sign_in(person.code())
        with pytest.raises(errors.NotAuthenticated):
            await person.sign_in(person.code(-1))
        assert (await person.sign_in(person.code(1))).username == "alice"

    run(story)


def test_a_reset_forgets_the_device_and_enrols_another() -> None:
    async def story(cluster: Cluster) -> None:
        old = await enrolled(cluster)
        reset = await cluster.admin.create_reset("alice")
        (gone,) = await cluster.events("mfa.delete")
        assert (gone["code"], gone["user"], gone["owner"], gone["mfa_device_name"]) == (
            "T1007I", "admin@test", "alice", "otp",
        )  # fmt: skip
        assert [item.key async for item in cluster.backend.scan("/web/users/alice/mfa/")] == []
        assert (await refusal(cluster, reset.token, browser=BROWSER, code=old.code())).code == "AUTH-CODE"
        new = await complete(cluster, reset.token)
        assert new.app.secret != old.app.secret
        with pytest.raises(errors.NotAuthenticated):
            await old.sign_in(old.next_code())
        assert (await new.sign_in(new.code())).username == "alice"

    run(story)


def test_a_link_without_a_seed_enrols_nothing() -> None:
    """As one that was made before there were second factors."""

    async def story(cluster: Cluster) -> None:
        token = await invited(cluster)
        (item,) = [item async for item in cluster.backend.scan("/web/invites/")]
        link = {**msgspec.json.decode(item.value), "seed": ""}
        await cluster.backend.commit(Put(item.key, msgspec.json.encode(link), item.expires))
        with pytest.raises(errors.NotFound) as caught:
            await cluster.proxy.describe_invite(token, BROWSER)
        assert caught.value.code == "AUTH-INVITE"

    run(story)


def test_a_device_does_not_outlive_its_user() -> None:
    async def story(cluster: Cluster) -> None:
        await enrolled(cluster)
        await cluster.admin.delete("user", "alice")
        assert [item.key async for item in cluster.backend.scan("/web/users/alice/")] == []

    run(story)


def test_a_cluster_without_second_factors_offers_and_asks_nothing() -> None:
    async def story(cluster: Cluster) -> None:
        token = await invited(cluster)
        assert (await cluster.proxy.describe_invite(token, BROWSER)).enrolment is None
        await cluster.proxy.complete_invite(token, PASSWORD)
        assert await cluster.events("mfa.add") == []
        nobody = Person(cluster, "alice", "A" * 32)
        assert (await nobody.sign_in("")).username == "alice"

    auth_cluster.run(story)


def test_nothing_of_a_secret_or_a_code_gets_into_the_audit_log() -> None:
    async def story(cluster: Cluster) -> None:
        person = await enrolled(cluster)
        await person.sign_in(code := person.next_code())
        written = repr(await cluster.events())
        assert code not in written
        assert person.app.secret.hex() not in written

    run(story)
