"""The cookie of a session, and which paths are ours."""

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from teleport.web import session


@pytest.mark.parametrize(
    ("cookie", "token"),
    [
        ("__Host-session=" + "a0" * 32, "a0" * 32),
        ("x=1; __Host-session=" + "0" * 64, "0" * 64),
        ("__Host-session=" + "A" * 64, ""),
        ("__Host-session=" + "0" * 63, ""),
        ("__Host-session=" + "0" * 65, ""),
        ("__Host-session=" + "é" * 64, ""),
        ("__Secure-session=" + "0" * 64, ""),
        ("session=" + "0" * 64, ""),
        ("__Host-session=" + "0" * 64 + "; __Host-session=x", ""),
        ("", ""),
    ],
)
def test_only_what_can_be_a_token_is_one(cookie, token):
    assert session.token_of(make_mocked_request("GET", "/", headers={"Cookie": cookie})) == token


def test_cookie_is_of_this_host_alone_and_not_for_scripts():
    response = web.Response()
    session.keep(response, "0" * 64)
    kept = response.cookies[session.COOKIE].OutputString()
    assert sorted(kept.split("; ")) == sorted(
        [f"__Host-session={'0' * 64}", "HttpOnly", "Path=/", "SameSite=Lax", "Secure"]
    )
    session.drop(response)
    assert "Max-Age=0" in response.cookies[session.COOKIE].OutputString()
    assert "Secure" in response.cookies[session.COOKIE].OutputString()


@pytest.mark.parametrize("path", ["/web", "/web/x", "/web/a-b_c/d.e~f"])
def test_own_paths(path):
    assert session.own_path(path) == path


@pytest.mark.parametrize(
    "path",
    ["", "/", "//x", "/web/", "/web//x", "/web/..", "/web/.", "/web/x/", "/web?x", "/web#x", "/web/%2e", "/webx", "web",
     "/web/x\n", "/web\\x", "\\\\x", "http:/web", "/web/x y", "/web/\u2028", "/x/../web"],
)  # fmt: skip
def test_other_paths_become_the_front_page(path):
    assert session.own_path(path) == "/web"


def test_way_to_the_sign_in_keeps_where_one_wanted_to_go():
    def location(path):
        response = session.to_sign_in(make_mocked_request("GET", path))
        assert response.status == 303
        return response.headers["Location"]

    assert location("/web") == "/web/login"
    assert location("/web/a/b?x=1") == "/web/login?next=%2Fweb%2Fa%2Fb"
    assert location("/web//evil.example") == "/web/login"
