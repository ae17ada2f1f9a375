"""Failed sign-ins by source: how many, for how long, and what counts."""

import asyncio

import pytest

from teleport.base.errors import BadParameter, LimitExceeded, NotAuthenticated
from teleport.web import guesses
from teleport.web.guesses import Guesses, source_of
from tests.support import auth_cluster, virtual_loop, web_site
from tests.support.auth_cluster import PASSWORD


def fail(counted, address="192.0.2.1", error=None):
    with pytest.raises(type(error) if error else NotAuthenticated), counted.attempt(address):
        raise error or NotAuthenticated("AUTH-LOGIN")


def refused(counted, address="192.0.2.1"):
    try:
        with counted.attempt(address):
            return False
    except LimitExceeded as error:
        return error.code == "WEB-GUESSES"


def run(story):
    async def body():
        await story(Guesses())

    virtual_loop.run(body())


def test_failures_are_refused_from_the_limit_on_until_they_are_old():
    async def story(counted):
        for _ in range(guesses.LIMIT):
            assert not refused(counted)
            fail(counted)
        assert refused(counted)
        assert not refused(counted, "192.0.2.2")
        await asyncio.sleep(guesses.WINDOW - 1)
        assert refused(counted)
        await asyncio.sleep(1)
        assert not refused(counted)

    run(story)


def test_what_succeeds_and_what_is_no_guess_is_not_counted():
    async def story(counted):
        for _ in range(3 * guesses.LIMIT):
            with counted.attempt("192.0.2.1"):
                pass
            fail(counted, error=BadParameter("WEB-PASSWORDS-DIFFER"))
        assert not refused(counted)

    run(story)


def test_many_at_once_are_no_way_around():
    async def story(counted):
        begun = [counted.attempt("192.0.2.1") for _ in range(guesses.LIMIT)]
        for one in begun:
            one.__enter__()
        assert refused(counted)
        begun[0].__exit__(None, None, None)
        assert not refused(counted)

    run(story)


def test_memory_is_bounded(monkeypatch):
    async def story(counted):
        monkeypatch.setattr(guesses, "_SOURCES", 3)
        for number in range(10):
            fail(counted, f"192.0.2.{number}")
        assert len(counted._failures) == 3

    run(story)


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"), ("fe80::1%eth0", "fe80::/64"), ("", ""), ("odd", "odd"),
    ],
)  # fmt: skip
def test_sources(address, source):
    assert source_of(address) == source


@pytest.mark.parametrize("path", ["/webapi/ssh/certs", "/webapi/mfa/login/finish", "/web/login"])
def test_every_door_counts_and_tells_the_same_of_every_name(path, monkeypatch):
    monkeypatch.setattr(guesses, "LIMIT", 3)

    async def story(cluster, site):
        await cluster.admin.create(auth_cluster.user("alice", "access"))
        keys = auth_cluster.public_keys(cluster.entropy)

        async def guess(name):
            if path == "/web/login":
                page = await site.ask("GET", path)
                form = {"csrf": page.csrf, "username": name, "password": "wrong password!"}
                reply = await site.form(path, form, cookie=f"__Host-csrf={page.csrf}")
                return reply.status, reply.text.replace(page.csrf, "").replace(name, "")
            wish = {"user": name, "password": PASSWORD, "ssh_pub_key": keys["ssh_public_key"],
                    "tls_pub_key": keys["tls_public_key"]}  # fmt: skip
            reply = await site.post(path, wish)
            return reply.status, str({**reply.json["error"], "id": ""})

        for number in range(3):
            assert (await guess(f"user-{number}"))[0] == 401
        told = {await guess("alice"), await guess("mallory")}
        assert [status for status, _ in told] == [429]
        assert "WEB-GUESSES" in told.pop()[1]

    web_site.run(story)
