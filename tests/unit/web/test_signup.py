"""Sign-up: a link is described by a GET, used up by the POST that sets the password, and by nothing else."""

import datetime as dt

import pytest

from teleport.auth import totp
from teleport.base import errors
from teleport.web import qr
from tests.support import auth_cluster, web_site
from tests.support.auth_cluster import PASSWORD
from tests.support.enrolled import Person, enrolled
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
        assert "tsh login --proxy=proxy.example.com:443 --user=alice" in done.shown
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


def otp(story):
    web_site.run(story, "otp")


async def form_of(cluster, site, path, cookie=""):
    """Return the page, the app that was enrolled with what it shows, and the cookie of the browser."""
    page = await site.ask("GET", path, **({"cookie": cookie} if cookie else {}))
    return page, Person(cluster, "alice", page.secret), f"__Host-csrf={page.csrf}"


def test_page_offers_an_authenticator_app_as_picture_and_as_text():
    async def story(cluster, site):
        page, person, _ = await form_of(cluster, site, await invited(cluster))
        assert len(person.app.secret) == 20
        assert page.secret.count(" ") == 7
        assert str(qr.svg(totp.uri(person.app.secret, issuer="example.com", account="alice"))) in page.text
        assert 'autocomplete="one-time-code"' in page.text

    otp(story)


def test_wrong_code_shows_why_and_keeps_link_and_secret():
    async def story(cluster, site):
        path = await invited(cluster)
        page, person, cookie = await form_of(cluster, site, path)
        for code in (person.wrong_code(), "", person.code(-2)):
            again = await site.form(path, {"csrf": page.csrf, **GOOD, "code": code}, cookie=cookie)
            assert (again.status, "AUTH-CODE" in again.text, again.secret) == (400, True, page.secret)
            assert PASSWORD not in again.text
        done = await site.form(path, {"csrf": page.csrf, **GOOD, "code": person.code()}, cookie=cookie)
        assert "Your password is set" in done.text
        assert "wait until the app shows the next one" in done.text
        assert page.secret not in done.text
        assert (await person.sign_in(person.code(1))).username == "alice"

    otp(story)


def test_secret_in_the_form_is_not_taken():
    async def story(cluster, site):
        path = await invited(cluster)
        page, _, cookie = await form_of(cluster, site, path)
        own = Person(cluster, "alice", "A" * 32)
        fields = {"secret": "A" * 32, "totp_secret": "A" * 32, "browser": "x", "code": own.code()}
        again = await site.form(path, {"csrf": page.csrf, **GOOD, **fields}, cookie=cookie)
        assert "AUTH-CODE" in again.text

    otp(story)


def test_another_browser_has_another_secret_and_both_keep_theirs():
    async def story(cluster, site):
        path = await invited(cluster)
        first, person, cookie = await form_of(cluster, site, path)
        other, _, _ = await form_of(cluster, site, path)
        assert other.secret != first.secret
        assert (await form_of(cluster, site, path, cookie))[0].secret == first.secret
        done = await site.form(path, {"csrf": first.csrf, **GOOD, "code": person.code()}, cookie=cookie)
        assert "Your password is set" in done.text

    otp(story)


def test_reset_page_enrols_anew():
    async def story(cluster, site):
        old = await enrolled(cluster)
        path = (await cluster.admin.create_reset("alice")).path
        page, new, cookie = await form_of(cluster, site, path)
        assert "The app that you used before is forgotten" in page.text
        await site.form(path, {"csrf": page.csrf, **GOOD, "code": new.code()}, cookie=cookie)
        with pytest.raises(errors.NotAuthenticated):
            await old.sign_in(old.code(1))
        assert (await new.sign_in(new.code(1))).username == "alice"

    otp(story)
