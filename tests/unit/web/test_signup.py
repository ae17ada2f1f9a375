"""Sign-up: a link is described by a GET, used up by the POST that sets the password, and by nothing else."""

import datetime as dt

import pytest

from tests.support import auth_cluster, web_site
from tests.support.auth_cluster import PASSWORD
from tests.support.web_site import CLIENT

GOOD = {"password": PASSWORD, "again": PASSWORD}


async def invited(cluster, name="alice"):
    await cluster.admin.create(auth_cluster.user(name, "access"))
    return (await cluster.admin.create_invite(name)).path


async def send(site, path, fields, *, csrf="", **headers):
    page = await site.ask("GET", path)
    return await site.form(path, {"csrf": csrf or page.csrf, **fields}, cookie=f"__Host-csrf={page.csrf}", **headers)


def test_page_shows_whom_the_link_is_for():
    async def story(cluster, site):
        page = await site.ask("GET", await invited(cluster))
        assert page.status == 200
        assert "Welcome, alice" in page.text
        assert 'datetime="2030-01-01T01:00:00+00:00">2030-01-01 01:00 UTC' in page.text

    web_site.run(story)


def test_cookie_is_of_this_host_alone_and_not_for_scripts():
    async def story(cluster, site):
        page = await site.ask("GET", await invited(cluster))
        name, *attributes = page.headers["Set-Cookie"].split("; ")
        assert name == f"__Host-csrf={page.csrf}"
        assert sorted(attributes) == ["HttpOnly", "Path=/", "SameSite=Strict", "Secure"]

    web_site.run(story)


def test_looking_never_uses_a_link_up():
    async def story(cluster, site):
        path = await invited(cluster)
        for method in ("GET", "HEAD", "GET", "OPTIONS", "PUT"):
            await site.ask(method, path)
        done = await send(site, path, GOOD)
        assert "Your password is set" in done.text

    web_site.run(story)


def test_password_works_and_the_link_is_used_up():
    async def story(cluster, site):
        path = await invited(cluster)
        done = await send(site, path, GOOD)
        assert done.status == 200
        assert "tsh login --proxy=proxy.example.com:443 --user=alice" in done.text
        keys = auth_cluster.public_keys(cluster.entropy)
        assert (await cluster.proxy.login("alice", PASSWORD, **keys)).username == "alice"
        for again in (await site.ask("GET", path), await site.form(path, {})):
            assert again.status in (403, 404)
        assert (await site.ask("GET", path)).status == 404

    web_site.run(story)


def test_event_says_where_the_person_was():
    async def story(cluster, site):
        await send(site, await invited(cluster), GOOD)
        (event,) = await cluster.events("user.password_change")
        assert event["addr.remote"] == CLIENT

    web_site.run(story)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"password": PASSWORD, "again": PASSWORD + "x"}, "WEB-PASSWORDS-DIFFER"),
        ({"password": "short", "again": "short"}, "AUTH-PASSWORD"),
        ({}, "AUTH-PASSWORD"),
    ],
)
def test_mistake_shows_the_form_again_and_keeps_the_link(fields, code):
    async def story(cluster, site):
        path = await invited(cluster)
        page = await send(site, path, fields)
        assert page.status == 400
        assert code in page.text
        assert PASSWORD not in page.text
        assert "Your password is set" in (await send(site, path, GOOD)).text

    web_site.run(story)


@pytest.mark.parametrize("cookie", ["", "__Host-csrf=", "__Host-csrf=" + "0" * 64, "__Host-csrf=\xff\xfe", "other=1"])
def test_form_without_the_cookies_token_is_refused(cookie):
    async def story(cluster, site):
        path = await invited(cluster)
        token = (await site.ask("GET", path)).csrf
        page = await site.form(path, {"csrf": token, **GOOD}, cookie=cookie)
        assert page.status == 403
        assert "WEB-CSRF" in page.text
        assert (await site.ask("GET", path)).status == 200

    web_site.run(story)


def test_wrong_token_in_the_form_is_refused():
    async def story(cluster, site):
        path = await invited(cluster)
        assert "WEB-CSRF" in (await send(site, path, GOOD, csrf="1" * 64)).text
        assert "WEB-CSRF" in (await send(site, path, GOOD, csrf="é")).text

    web_site.run(story)


def test_token_of_the_cookie_is_kept_and_nonsense_replaced():
    async def story(cluster, site):
        path = await invited(cluster)
        page = await site.ask("GET", path)
        assert (await site.ask("GET", path, cookie=f"__Host-csrf={page.csrf}")).csrf == page.csrf
        for strange in ("x", '"><script>', "é" * 64, "-" * 64):
            assert (await site.ask("GET", path, cookie=f"__Host-csrf={strange}")).csrf != strange

    web_site.run(story)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data; boundary=x", b"--x--\r\n"),
        ("text/plain", b"csrf=1"),
        ("application/x-www-form-urlencoded; charset=none", b"csrf=1"),
        ("application/x-www-form-urlencoded; charset=ascii", b"csrf=\xff"),
    ],
)
def test_other_bodies_than_forms_are_refused(kind, body):
    async def story(cluster, site):
        page = await site.ask("POST", await invited(cluster), body, content_type=kind)
        assert page.status == 400
        assert "WEB-REQUEST" in page.text

    web_site.run(story)


def test_link_of_the_other_purpose_and_unknown_links_are_the_same_page():
    async def story(cluster, site):
        path = await invited(cluster)
        pages = [(await site.ask("GET", p)).text for p in ("/web/invite/none", "/web/reset/none", path + "0")]
        assert len(set(pages)) == 1
        assert "AUTH-INVITE" in pages[0]

    web_site.run(story)


def test_expired_link_is_gone():
    async def story(cluster, site):
        path = await invited(cluster)
        cluster.clock.advance(dt.timedelta(hours=1, seconds=1))
        assert (await site.ask("GET", path)).status == 404
        assert (await send_blind(site, path)).status == 404

    async def send_blind(site, path):
        return await site.form(path, {"csrf": "a" * 64, **GOOD}, cookie="__Host-csrf=" + "a" * 64)

    web_site.run(story)
