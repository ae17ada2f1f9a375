"""Signing in and out with a browser: cookies, forms, where a sign-in leads, and what a refusal says."""

import pytest

from teleport.base import errors
from tests.support import auth_cluster, web_site
from tests.support.auth_cluster import PASSWORD
from tests.support.enrolled import enrolled
from tests.support.web_person import Tab, cookie_attributes, signed_in


def run(story):
    web_site.run(story, "otp")


def test_password_and_code_begin_a_session():
    async def story(cluster, site):
        person, tab = await enrolled(cluster), Tab(site)
        reply = await tab.sign_in(person)
        assert (reply.status, reply.headers["Location"]) == (303, "/web")
        assert cookie_attributes(reply, "__Host-session") == {"HttpOnly", "Path=/", "SameSite=Lax", "Secure"}
        assert len(reply.session) == 64
        assert reply.headers["Cache-Control"] == "no-store"
        page = await tab.get("/web")
        assert page.status == 200
        assert ">alice<" in page.text

    run(story)


def test_form_asks_for_what_the_cluster_asks_for():
    async def story(cluster, site):
        page = await site.ask("GET", "/web/login")
        assert page.status == 200
        assert 'autocomplete="one-time-code"' in page.text

    run(story)

    async def without(cluster, site):
        assert "one-time-code" not in (await site.ask("GET", "/web/login")).text
        await cluster.make_user("alice", "access")
        reply = await Tab(site).send("/web/login", {"username": "alice", "password": PASSWORD})
        assert (reply.status, len(reply.session)) == (303, 64)

    web_site.run(without)


def test_whatever_was_wrong_looks_alike():
    async def story(cluster, site):
        person = await enrolled(cluster)
        await cluster.admin.create(auth_cluster.user("bob", "access"))
        pages = set()
        for name, password, code in (
            ("alice", PASSWORD, person.wrong_code()),
            ("alice", "wrong password!", person.code()),
            ("bobby", PASSWORD, person.code()),
            ("bob", PASSWORD, person.code()),
        ):
            reply = await Tab(site).send("/web/login", {"username": name, "password": password, "code": code})
            assert reply.status == 401
            assert "Set-Cookie" in reply.headers
            assert PASSWORD not in reply.text
            pages.add(reply.text.replace(reply.csrf, "").replace(name, ""))
        assert len(pages) == 1
        assert "Invalid username, password or second factor." in pages.pop()

    run(story)


def test_refusal_keeps_the_name_and_where_to_go_and_begins_no_session():
    async def story(cluster, site):
        person, tab = await enrolled(cluster), Tab(site)
        reply = await tab.sign_in(person, person.wrong_code(), next="/web/x")
        assert "__Host-session" not in str(reply.headers)
        assert 'name="username" type="text" value="alice"' in reply.text
        assert 'name="next" value="/web/x"' in reply.text
        assert "__Host-session" not in tab.cookies

    run(story)


def test_lock_out_is_told():
    async def story(cluster, site):
        person, tab = await enrolled(cluster), Tab(site)
        statuses = [(await tab.sign_in(person, person.wrong_code())).status for _ in range(6)]
        assert statuses == [401] * 5 + [429]
        assert (await tab.sign_in(person)).status == 429

    run(story)


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example", "/web//evil.example", "/", "",
        "/web/../../x", "/web/./x", "/web\r\nSet-Cookie: a=b", "/web/%2e%2e/x", "/webx", "javascript:alert(1)",
        "/web?x=//evil", "/web#x", "web", "/web/é", "/web/.x", "/web/" + "a" * 20000 + "/",
    ],
)  # fmt: skip
def test_sign_in_leads_nowhere_else(target):
    async def story(cluster, site):
        person = await enrolled(cluster)
        reply = await Tab(site).sign_in(person, next=target)
        assert (reply.status, reply.headers["Location"]) == (303, "/web")
        shown = await site.ask("GET", "/web/login?next=//evil.example")
        assert "evil" not in shown.text

    run(story)


def test_sign_in_leads_back_to_a_page_of_ours():
    async def story(cluster, site):
        person = await enrolled(cluster)
        assert (await Tab(site).sign_in(person, next="/web/a-b/c.d~e")).headers["Location"] == "/web/a-b/c.d~e"

    run(story)


@pytest.mark.parametrize("path", ["/web/login", "/web/logout"])
def test_form_without_the_cookies_token_is_refused(path):
    async def story(cluster, site):
        person, tab = await signed_in(cluster, site)
        fields = {"username": "alice", "password": PASSWORD, "code": person.code(1)}
        csrf, session = tab.cookies["__Host-csrf"], tab.cookies["__Host-session"]
        for form, cookie in (
            ({"csrf": csrf, **fields}, f"__Host-session={session}"),
            ({"csrf": "0" * 64, **fields}, f"__Host-session={session}; __Host-csrf={csrf}"),
            (fields, f"__Host-session={session}; __Host-csrf={csrf}"),
            (fields, f"__Host-session={session}; __Host-csrf="),
        ):
            reply = await site.form(path, form, cookie=cookie)
            assert (reply.status, "WEB-CSRF" in reply.text) == (403, True)
        cross = await tab.send("/web", fields, to=path, sec_fetch_site="cross-site")
        assert (cross.status, "WEB-OTHER-SITE" in cross.text) == (403, True)
        assert (await tab.get("/web")).status == 200

    run(story)


def test_sign_out_ends_the_session_on_both_sides():
    async def story(cluster, site):
        _, tab = await signed_in(cluster, site)
        held = tab.cookies["__Host-session"]
        reply = await tab.send("/web", {}, to="/web/logout")
        assert (reply.status, reply.headers["Location"], reply.session) == (303, "/web/login", "")
        assert "__Host-session" not in tab.cookies
        assert (await site.ask("GET", "/web", cookie=f"__Host-session={held}")).status == 303
        with pytest.raises(errors.NotAuthenticated):
            await cluster.proxy.web_describe(held)

    run(story)


def test_looking_at_the_sign_out_ends_nothing():
    async def story(cluster, site):
        _, tab = await signed_in(cluster, site)
        assert (await tab.get("/web/logout")).status == 405
        assert (await tab.get("/web")).status == 200

    run(story)


def test_signing_in_again_gives_a_new_token_and_ends_the_old():
    async def story(cluster, site):
        person, tab = await signed_in(cluster, site)
        first = tab.cookies["__Host-session"]
        assert (await tab.sign_in(person, person.code(1))).status == 303
        assert tab.cookies["__Host-session"] != first
        assert (await site.ask("GET", "/web", cookie=f"__Host-session={first}")).status == 303

    run(story)


def test_planted_token_is_not_taken_over():
    async def story(cluster, site):
        person, tab = await enrolled(cluster), Tab(site)
        tab.cookies["__Host-session"] = "f" * 64
        await tab.sign_in(person)
        assert tab.cookies["__Host-session"] != "f" * 64
        assert (await site.ask("GET", "/web", cookie="__Host-session=" + "f" * 64)).status == 303

    run(story)


def test_what_was_typed_is_escaped_and_cut():
    async def story(cluster, site):
        tab = Tab(site)
        strange = '"><script>alert(1)</script>' + "x" * 1000
        reply = await tab.send("/web/login", {"username": strange, "password": "p" * 12, "code": "123456"})
        assert reply.status == 401
        assert "<script" not in reply.text
        assert len(reply.text) < 5000

    run(story)
