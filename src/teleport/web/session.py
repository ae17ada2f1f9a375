"""The session of a browser, as far as the browser's side goes: its cookie, and the way to the sign-in page.

What a session is and whose stands in the Auth Service (`auth.web_sessions`); here only its token passes by.
"""

from __future__ import annotations

import re
import urllib.parse

from aiohttp import web

COOKIE = "__Host-session"
HOME = "/web"
SIGN_IN = "/web/login"

_TOKEN = re.compile(r"[0-9a-f]{64}")
_OWN_PATH = re.compile(r"/web(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")


def token_of(request: web.Request) -> str:
    """Return the token that the browser sent; empty for none, and for what cannot be one."""
    held = request.cookies.get(COOKIE, "")
    return held if _TOKEN.fullmatch(held) else ""


def keep(response: web.Response, token: str) -> None:
    """Let the browser keep a token until it is closed."""
    # Lax: a link to a page from elsewhere finds the person signed in; a form from elsewhere does not.
    response.set_cookie(COOKIE, token, path="/", secure=True, httponly=True, samesite="Lax")


def drop(response: web.Response) -> None:
    """Let the browser forget the token."""
    response.del_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Lax")


def own_path(text: str) -> str:
    """Return `text` if it is the path of one of our pages, otherwise the front one: no way leads elsewhere."""
    return text if _OWN_PATH.fullmatch(text) else HOME


def redirect(path: str) -> web.Response:
    """Return the answer that sends the browser to one of our pages, with a GET."""
    return web.Response(status=303, headers={"Location": path})


def to_sign_in(request: web.Request) -> web.Response:
    """Send the browser to the sign-in page, which leads back here."""
    target = own_path(request.path)
    query = "" if target == HOME else f"?next={urllib.parse.quote(target, safe='')}"
    response = redirect(SIGN_IN + query)
    drop(response)
    return response
