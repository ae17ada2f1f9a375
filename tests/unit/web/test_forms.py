"""Forms: only forms, only text, only from pages of ours."""

import pytest

from tests.support import web_site

COOKIE = "__Host-csrf=" + "a" * 64


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data; boundary=x", b"--x--\r\n"),
        ("text/plain", b"csrf=" + b"a" * 64),
        ("application/x-www-form-urlencoded; charset=none", b"csrf=1"),
        ("application/x-www-form-urlencoded; charset=ascii", b"csrf=\xff"),
    ],
)
def test_other_bodies_are_refused_before_anything_else(kind, body):
    async def story(cluster, site):
        for path in ("/web/login", "/web/logout"):
            page = await site.ask("POST", path, body, content_type=kind, cookie=COOKIE)
            assert (page.status, "WEB-REQUEST" in page.text) == (400, True)

    web_site.run(story)


def test_token_of_another_browser_is_refused():
    async def story(cluster, site):
        page = await site.form("/web/login", {"csrf": "b" * 64}, cookie=COOKIE)
        assert (page.status, "WEB-CSRF" in page.text) == (403, True)
        taken = await site.form("/web/login", {"csrf": "a" * 64}, cookie=COOKIE)
        assert taken.status == 401

    web_site.run(story)
