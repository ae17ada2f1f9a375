"""Headers on every answer, requests from other sites, bodies, and errors as pages and as JSON."""

import asyncio

import pytest

from teleport.base.errors import AccessDenied, Unavailable
from teleport.web import security
from tests.support import auth_cluster, virtual_loop, web_site

FORM = "application/x-www-form-urlencoded"


def check_headers(reply):
    for name, value in security.HEADERS.items():
        assert reply.headers.get_all(name) == [value], name
    assert reply.headers["Cache-Control"]


POLICY = security.HEADERS["Content-Security-Policy"]


def test_policy_allows_nothing_by_default():
    assert POLICY.startswith("default-src 'none';")
    assert "unsafe" not in POLICY
    assert "script-src" not in POLICY
    for part in ("form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert part in POLICY
    assert security.HEADERS["Strict-Transport-Security"] == "max-age=31536000"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("HEAD", "/", 200),
        ("GET", "/static/app.css", 200),
        ("GET", "/webapi/ping", 200),
        ("GET", "/web/invite/none", 404),
        ("GET", "/nowhere", 404),
        ("GET", "/webapi/nowhere", 404),
        ("POST", "/", 405),
        ("DELETE", "/webapi/ping", 405),
        ("POST", "/webapi/ssh/certs", 400),
    ],
)
def test_headers_are_on_every_answer(method, path, status):
    async def story(cluster, site):
        reply = await site.ask(method, path)
        assert reply.status == status
        check_headers(reply)

    web_site.run(story)


def test_method_that_is_not_allowed_names_those_that_are():
    async def story(cluster, site):
        reply = await site.ask("POST", "/webapi/ping")
        assert reply.headers["Allow"] == "GET,HEAD"
        assert reply.json["error"]["code"] == "WEB-METHOD"
        assert "GET,HEAD" in reply.json["error"]["why"]

    web_site.run(story)


def test_error_for_a_program_is_json_with_all_words():
    async def story(cluster, site):
        reply = await site.ask("GET", "/webapi/nowhere")
        assert (reply.status, reply.headers.get_content_type()) == (404, "application/json")
        error = reply.json["error"]
        assert error["code"] == "WEB-NOT-FOUND"
        assert all(error[name] for name in ("message", "why", "fix"))
        assert error["fields"] == {}

    web_site.run(story)


def test_error_for_a_person_is_a_page():
    async def story(cluster, site):
        page = await site.ask("GET", "/nowhere")
        assert (page.status, page.headers.get_content_type()) == (404, "text/html")
        assert "<h1>There is no such page</h1>" in page.text
        assert "<code>WEB-NOT-FOUND</code>" in page.text

    web_site.run(story)


class Failing:
    """Accounts that fail. A stand-in for the Auth Service's client, because the real one does not fail to order."""

    def __init__(self, error):
        self.error = error

    async def describe_invite(self, token, browser):
        raise self.error


def with_failing(error, story):
    async def body():
        cluster = auth_cluster.Cluster()
        async with web_site.serving(Failing(error), cluster.entropy) as site:
            await story(site)

    asyncio.run(body())


def test_error_pages_escape_what_they_quote():
    async def story(site):
        page = await site.ask("GET", "/web/invite/x")
        assert page.status == 403
        assert "<script>" not in page.text
        assert "&lt;script&gt;" in page.text

    with_failing(AccessDenied("SSH-ACCOUNT-EXPIRED", login="<script>alert(1)</script>", day="x", id="<id>"), story)


def test_error_page_shows_code_and_id():
    async def story(site):
        page = await site.ask("GET", "/web/invite/x")
        assert page.status == 503
        assert "<code>API-UNAVAILABLE</code> · <code>abc</code>" in page.text

    with_failing(Unavailable("API-UNAVAILABLE", problem="down", id="abc"), story)


def test_unexpected_failure_tells_the_client_nothing(caplog):
    async def story(site):
        page = await site.ask("GET", "/web/invite/the-secret-token")
        assert page.status == 500
        check_headers(page)
        assert "API-INTERNAL" in page.text
        assert "swordfish" not in page.text

    with_failing(ValueError("swordfish"), story)
    (record,) = caplog.records
    assert "the-secret-token" not in str(vars(record))


@pytest.mark.parametrize("site_header", ["cross-site", "same-site", "strange"])
def test_form_from_another_site_is_refused_before_anything_else(site_header):
    async def story(cluster, site):
        page = await site.form("/web/invite/x", {"csrf": "x"}, sec_fetch_site=site_header)
        assert page.status == 403
        assert "WEB-OTHER-SITE" in page.text
        check_headers(page)
        reply = await site.post("/webapi/ssh/certs", {}, sec_fetch_site=site_header)
        assert reply.json["error"]["code"] == "WEB-OTHER-SITE"

    web_site.run(story)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "WEB-CSRF"),
        ({"origin": f"https://{web_site.HOST}"}, "WEB-CSRF"),
        ({"origin": "null"}, "WEB-CSRF"),
        ({"origin": "https://evil.example"}, "WEB-OTHER-SITE"),
        ({"origin": f"http://{web_site.HOST}"}, "WEB-OTHER-SITE"),
        ({"origin": "https://evil.example", "sec_fetch_site": "same-origin"}, "WEB-CSRF"),
        ({"sec_fetch_site": "none"}, "WEB-CSRF"),
    ],
)
def test_origin_counts_where_the_browser_says_nothing_else(headers, code):
    async def story(cluster, site):
        assert code in (await site.form("/web/invite/x", {"csrf": "x"}, **headers)).text

    web_site.run(story)


def test_link_from_another_site_may_be_opened():
    async def story(cluster, site):
        assert (await site.ask("GET", "/", sec_fetch_site="cross-site")).status == 200

    web_site.run(story)


@pytest.mark.parametrize("path", ["/web/invite/x", "/webapi/ssh/certs"])
def test_body_over_the_limit_is_refused(path):
    async def story(cluster, site):
        reply = await site.ask("POST", path, b"x" * 70_000, content_type="application/json")
        assert reply.status == 413
        assert "WEB-TOO-LARGE" in reply.text
        assert "65536" in reply.text
        check_headers(reply)

    web_site.run(story)


def test_body_in_pieces_is_counted_as_well():
    async def story(cluster, site):
        pieces = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
        head = b"POST /webapi/ssh/certs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        reply = web_site.parse(await site.raw(head + pieces * 5 + b"0\r\n\r\n"))
        assert reply.json["error"]["code"] == "WEB-TOO-LARGE"

    web_site.run(story)


def test_compressed_body_is_not_unpacked():
    async def story(cluster, site):
        reply = await site.ask(
            "POST", "/webapi/ssh/certs", b"\x1f\x8b\x08", content_type="application/json", content_encoding="gzip"
        )
        assert (reply.status, reply.json["error"]["code"]) == (400, "WEB-REQUEST")

    web_site.run(story)


def test_body_that_does_not_come_is_given_up():
    async def body():
        cluster = auth_cluster.Cluster()
        async with web_site.serving(Failing(ValueError()), cluster.entropy) as site:
            stream = site.connect()
            await stream.write(b"POST /webapi/ssh/certs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nslow")
            reply = web_site.parse(await web_site.until_end(stream))
            assert (reply.status, reply.json["error"]["code"]) == (504, "WEB-SLOW")
            return asyncio.get_running_loop().time()

    assert security.BODY_WITHIN <= virtual_loop.run(body()) < security.BODY_WITHIN + 6


def test_damaged_body_is_told_of():
    async def story(cluster, site):
        head = b"POST /webapi/ssh/certs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        reply = web_site.parse(await site.raw(head + b"zz\r\nx"))
        assert reply.status == 400
        check_headers(reply)

    web_site.run(story)
