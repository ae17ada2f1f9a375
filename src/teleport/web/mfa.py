"""JSON endpoints for programs: sign-in with a second factor, in two steps.

The first step says what is asked for, to everybody alike: it looks at no password, so it tells nothing
about one and costs nothing to answer. The second has both at once.
"""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from teleport.base.errors import BadParameter
from teleport.base.struct import Duration, Struct
from teleport.web import login
from teleport.web.app import SITE
from teleport.web.security import client_address


class BeginRequest(Struct, frozen=True, kw_only=True):
    """Body of `POST /webapi/mfa/login/begin`."""

    user: str = ""
    password: str = msgspec.field(default="", name="pass")
    """Not looked at."""
    passwordless: bool = False


class FinishRequest(Struct, frozen=True, kw_only=True):
    """Body of `POST /webapi/mfa/login/finish`."""

    user: str
    password: str
    totp_code: str = ""
    ssh_pub_key: str
    tls_pub_key: str
    ttl: Duration = Duration(0)
    """Wished length of validity; 0 leaves it to the roles."""
    webauthn_challenge_response: Any = None
    compatibility: str = ""
    route_to_cluster: str = ""
    kubernetes_cluster: str = ""


def routes() -> list[web.RouteDef]:
    """Routes of this file."""
    return [web.post("/webapi/mfa/login/begin", begin), web.post("/webapi/mfa/login/finish", finish)]


async def begin(request: web.Request) -> web.Response:
    """Say what is asked for beside the password."""
    if (await login.read_body(request, BeginRequest)).passwordless:
        raise _not_yet("passwordless")
    return web.json_response({"totp_challenge": request.app[SITE].auth_settings.get("second_factor") == "otp"})


async def finish(request: web.Request) -> web.Response:
    """Exchange user name, password and code for certificates."""
    asked = await login.read_body(request, FinishRequest)
    site = request.app[SITE]
    unacted = {
        "webauthn_challenge_response": asked.webauthn_challenge_response is not None,
        "compatibility": asked.compatibility not in ("", "standard"),
        "route_to_cluster": asked.route_to_cluster not in ("", site.cluster),
        "kubernetes_cluster": asked.kubernetes_cluster != "",
    }
    for field, used in unacted.items():
        if used:
            raise _not_yet(field)
    address = client_address(request)
    with site.guesses.attempt(address):
        reply = await site.accounts.login(
            asked.user,
            asked.password,
            code=asked.totp_code,
            ssh_public_key=asked.ssh_pub_key,
            tls_public_key=asked.tls_pub_key,
            ttl=float(asked.ttl),
            client_address=address,
        )
    return login.answer(reply)


def _not_yet(field: str) -> BadParameter:
    return BadParameter("WEB-REQUEST", problem=f"{field} is not supported yet")
