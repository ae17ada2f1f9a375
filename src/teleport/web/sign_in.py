"""Signing in and out with a browser: `/web/login` and `/web/logout`."""

from __future__ import annotations

from aiohttp import web

from teleport.base.errors import AccessDenied, BadParameter, LimitExceeded, NotAuthenticated, TeleportError
from teleport.web import security, session
from teleport.web.app import SITE, render
from teleport.web.forms import checked_fields

_LONGEST_NAME = 256


def routes() -> list[web.RouteDef]:
    """Routes of this file."""
    return [
        web.get(session.SIGN_IN, show),
        web.post(session.SIGN_IN, sign_in),
        web.post("/web/logout", sign_out),
    ]


async def show(request: web.Request) -> web.Response:
    """The sign-in form."""
    return _form(request, user="", target=request.query.get("next", ""))


async def sign_in(request: web.Request) -> web.Response:
    """Begin a session. A token that the browser held before ends: it gets a new one with every sign-in."""
    fields = await checked_fields(request)
    user, target = fields.get("username", ""), fields.get("next", "")
    site, address = request.app[SITE], security.client_address(request)
    try:
        with site.guesses.attempt(address):
            token, _ = await site.accounts.web_sign_in(
                user,
                fields.get("password", ""),
                fields.get("code", ""),
                client_address=address,
                former=session.token_of(request),
            )
    except (NotAuthenticated, LimitExceeded, BadParameter, AccessDenied) as problem:
        return _form(request, user=user[:_LONGEST_NAME], target=target, problem=problem)
    response = session.redirect(session.own_path(target))
    session.keep(response, token)
    return response


async def sign_out(request: web.Request) -> web.Response:
    """End the session, here and in the browser."""
    await checked_fields(request)
    await request.app[SITE].accounts.web_sign_out(session.token_of(request))
    response = session.redirect(session.SIGN_IN)
    session.drop(response)
    return response


def _form(request: web.Request, *, user: str, target: str, problem: TeleportError | None = None) -> web.Response:
    site = request.app[SITE]
    csrf = security.csrf_token(request, site.entropy)
    response = render(
        request,
        "sign_in.html",
        status=problem.kind.http if problem else 200,
        user=user,
        target=session.own_path(target),
        asks_code=site.auth_settings.get("second_factor") == "otp",
        problem=problem,
        csrf=csrf,
    )
    security.keep_csrf(response, csrf)
    return response
