"""JSON endpoints for programs: settings of the cluster and sign-in for certificates."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from aiohttp import web

from teleport.base.errors import BadParameter
from teleport.base.struct import Duration, Struct, decode
from teleport.web.app import SITE, SignedIn
from teleport.web.security import client_address

T = TypeVar("T", bound=Struct)


class CertificateRequest(Struct, frozen=True, kw_only=True):
    """Body of `POST /webapi/ssh/certs`: a password against two certificates. Private keys stay with the caller."""

    user: str
    password: str
    ssh_pub_key: str
    tls_pub_key: str
    ttl: Duration = Duration(0)
    """Wished length of validity; 0 leaves it to the roles."""


def routes() -> list[web.RouteDef]:
    """Routes of this file."""
    return [
        web.get("/webapi/ping", ping),
        web.get("/webapi/find", find),
        web.post("/webapi/ssh/certs", certificates),
    ]


async def find(request: web.Request) -> web.Response:
    """Addresses and settings that agents and bots need before they hold a certificate."""
    return web.json_response({"auth": {}, **request.app[SITE].settings})


async def ping(request: web.Request) -> web.Response:
    """As `find`, with what a person needs to sign in."""
    site = request.app[SITE]
    return web.json_response({**site.settings, "auth": dict(site.auth_settings)})


async def certificates(request: web.Request) -> web.Response:
    """Exchange user name and password for certificates, where no second factor is asked for."""
    asked = await read_body(request, CertificateRequest)
    site, address = request.app[SITE], client_address(request)
    with site.guesses.attempt(address):
        reply = await site.accounts.login(
            asked.user,
            asked.password,
            ssh_public_key=asked.ssh_pub_key,
            tls_public_key=asked.tls_pub_key,
            ttl=float(asked.ttl),
            client_address=address,
            code="",
        )
    return answer(reply)


async def read_body(request: web.Request, shape: type[T]) -> T:
    """Return the JSON body of a request. Raises BadParameter (WEB-REQUEST)."""
    if request.content_type != "application/json":
        raise BadParameter("WEB-REQUEST", problem="the body must be application/json")
    try:
        return decode(await request.read(), shape)
    except (msgspec.DecodeError, msgspec.ValidationError) as problem:
        # The text of the problem names fields and types, never values: a password cannot leak through it.
        raise BadParameter("WEB-REQUEST", problem=str(problem)) from None


def answer(reply: SignedIn) -> web.Response:
    """Return certificates and the authority of the cluster's hosts as programs expect them."""
    return web.json_response(
        {
            "username": reply.username,
            "cert": reply.ssh_certificate,
            "tls_cert": reply.tls_certificate,
            "host_signers": [
                {
                    "domain_name": reply.cluster,
                    "checking_keys": list(reply.host_ssh_keys),
                    "tls_certs": list(reply.host_tls_certificates),
                }
            ],
        }
    )
