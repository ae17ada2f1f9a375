"""Sign-up and password reset: the page behind `/web/invite/<token>` and `/web/reset/<token>`.

A GET only describes the link, so that mail scanners and previews do not use it up; the successful POST
burns it in the same commit that stores the password and the authenticator app.
"""

from __future__ import annotations

from aiohttp import web

from teleport.base.errors import BadParameter, TeleportError
from teleport.web import qr, security
from teleport.web.app import SITE, render
from teleport.web.forms import checked_fields


def routes() -> list[web.RouteDef]:
    """Routes of this file."""
    return [
        web.get("/web/{purpose:invite|reset}/{token}", show),
        web.post("/web/{purpose:invite|reset}/{token}", complete),
    ]


async def show(request: web.Request) -> web.Response:
    """The form that sets a password and enrols an authenticator app."""
    return await _form(request)


async def complete(request: web.Request) -> web.Response:
    """Set the password, enrol the app and burn the link."""
    fields = await checked_fields(request)
    password, again = fields.get("password", ""), fields.get("again", "")
    token, browser = request.match_info["token"], fields["csrf"]
    invitation = await request.app[SITE].accounts.describe_invite(token, browser)
    try:
        if password != again:
            raise BadParameter("WEB-PASSWORDS-DIFFER")
        await request.app[SITE].accounts.complete_invite(
            token,
            password,
            client_address=security.client_address(request),
            browser=browser,
            code=fields.get("code", ""),
        )
    except BadParameter as problem:
        return await _form(request, problem)
    return render(request, "done.html", user=invitation.user, enrolled=invitation.enrolment is not None)


async def _form(request: web.Request, problem: TeleportError | None = None) -> web.Response:
    site = request.app[SITE]
    # The token of the form is also what makes the offered secret this browser's own.
    csrf = security.csrf_token(request, site.entropy)
    invitation = await site.accounts.describe_invite(request.match_info["token"], csrf)
    offered = invitation.enrolment
    response = render(
        request,
        "password.html",
        status=400 if problem else 200,
        user=invitation.user,
        purpose=invitation.purpose,
        expires=invitation.expires,
        secret=grouped(offered.secret) if offered else "",
        picture=qr.svg(offered.uri) if offered else "",
        problem=problem,
        csrf=csrf,
    )
    security.keep_csrf(response, csrf)
    return response


def grouped(secret: str) -> str:
    """Return a secret as people read it when they type it: in groups of four."""
    return " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
