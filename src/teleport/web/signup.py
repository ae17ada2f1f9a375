"""Sign-up and password reset: the page behind `/web/invite/<token>` and `/web/reset/<token>`.

A GET only describes the link, so that mail scanners and previews do not use it up; the successful POST
burns it in the same commit that stores the password.
"""

from __future__ import annotations

from aiohttp import web

from teleport.base.errors import BadParameter, TeleportError
from teleport.web import security
from teleport.web.app import SITE, render


def routes() -> list[web.RouteDef]:
    """Routes of this file."""
    return [
        web.get("/web/{purpose:invite|reset}/{token}", show),
        web.post("/web/{purpose:invite|reset}/{token}", complete),
    ]


async def show(request: web.Request) -> web.Response:
    """The form that sets a password."""
    return await _form(request)


async def complete(request: web.Request) -> web.Response:
    """Set the password and burn the link."""
    fields = await request.post()
    security.check_csrf(request, str(fields.get("csrf", "")))
    password, again = str(fields.get("password", "")), str(fields.get("again", ""))
    token = request.match_info["token"]
    invitation = await request.app[SITE].accounts.describe_invite(token)
    try:
        if password != again:
            raise BadParameter("WEB-PASSWORDS-DIFFER")
        await request.app[SITE].accounts.complete_invite(token, password)
    except BadParameter as problem:
        return await _form(request, problem)
    return render(request, "done.html", user=invitation.user)


async def _form(request: web.Request, problem: TeleportError | None = None) -> web.Response:
    site = request.app[SITE]
    invitation = await site.accounts.describe_invite(request.match_info["token"])
    csrf = security.csrf_token(request, site.entropy)
    response = render(
        request,
        "password.html",
        status=400 if problem else 200,
        user=invitation.user,
        purpose=invitation.purpose,
        expires=invitation.expires,
        problem=problem,
        csrf=csrf,
    )
    security.keep_csrf(response, csrf)
    return response
