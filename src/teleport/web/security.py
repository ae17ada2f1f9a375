"""What holds for every page: headers, where a request may come from, and errors that teach.

Forms carry a token that must equal a `__Host-` cookie (double submit); a request that a browser marks
as coming from another site is refused before any handler sees it.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable

from aiohttp import web

from teleport.base.entropy import Entropy
from teleport.base.errors import AccessDenied, BadParameter, Internal, TeleportError
from teleport.base.log import logger

log = logger("WEB")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""Sent with every answer. The address of an invite page is a secret: it must not travel as a referrer."""

CSRF_COOKIE = "__Host-csrf"


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse requests from other sites and add the headers."""
    if request.method not in ("GET", "HEAD") and request.headers.get("Sec-Fetch-Site", "none") not in (
        "none",
        "same-origin",
    ):
        response: web.StreamResponse = web.Response(status=403, text="this form was sent from another site\n")
    else:
        response = await handler(request)
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store")
    return response


@web.middleware
async def explain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn an error into JSON for programs and into a page for people."""
    try:
        return await handler(request)
    except web.HTTPException as response:
        if response.status >= 400:
            return await _answer(request, BadParameter("WEB-REQUEST", problem=response.reason), response.status)
        raise
    except TeleportError as error:
        return await _answer(request, error, error.kind.http)
    except Exception as error:
        log.error("A request failed", path=request.path_qs[:8], error=error)
        return await _answer(request, Internal("API-INTERNAL"), 500)


async def _answer(request: web.Request, error: TeleportError, status: int) -> web.Response:
    if request.path.startswith(("/webapi/", "/v1/webapi/")):
        body = {
            "error": {
                "code": error.code,
                "message": error.what,
                "why": error.why,
                "fix": error.fix,
                "id": error.id,
                "fields": error.fields,
            }
        }
        return web.json_response(body, status=status)
    from teleport.web.app import render  # this module is imported by it

    return render(request, "error.html", status=status, error=error)


def csrf_token(request: web.Request, entropy: Entropy) -> str:
    """Return the token that the form must carry: the cookie's, or a new one."""
    held = request.cookies.get(CSRF_COOKIE, "")
    return held if len(held) == 64 and held.isalnum() else entropy.token(32).hex()


def keep_csrf(response: web.Response, token: str) -> None:
    """Remember the token in the browser."""
    response.set_cookie(CSRF_COOKIE, token, path="/", secure=True, httponly=True, samesite="Strict")


def check_csrf(request: web.Request, sent: str) -> None:
    """Raise AccessDenied (WEB-CSRF) unless the form carries the cookie's token."""
    held = request.cookies.get(CSRF_COOKIE, "")
    if not held or not hmac.compare_digest(held.encode(), sent.encode()):
        raise AccessDenied("WEB-CSRF")
