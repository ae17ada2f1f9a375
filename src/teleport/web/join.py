"""The JSON endpoint with which a server without an agent joins: a token against a host certificate.

The proxy lends whoever asks nothing of its own: it passes the words on, with the address they came from.
"""

from __future__ import annotations

import base64
import binascii

from aiohttp import web

from teleport.api.openssh_messages import Former, JoinServer
from teleport.base.errors import BadParameter, NotSupported
from teleport.base.struct import Struct
from teleport.pki import keys
from teleport.web.app import SITE
from teleport.web.login import read_body
from teleport.web.security import client_address


class FormerServer(Struct, frozen=True, kw_only=True):
    """What a server shows to keep its id."""

    certificate: str
    """Its host certificate, one line."""
    signature: str
    """SSH signature over `api.openssh_messages.statement`, base64."""


class ServerRequest(Struct, frozen=True, kw_only=True):
    """Body of `POST /webapi/openssh/join`."""

    token: str
    hostname: str
    address: str
    ssh_pub_key: str
    labels: dict[str, str] = {}
    principals: tuple[str, ...] = ()
    former: FormerServer | None = None


def routes() -> list[web.RouteDef]:
    """Routes of this file."""
    return [web.post("/webapi/openssh/join", join)]


async def join(request: web.Request) -> web.Response:
    """Exchange a token for a host certificate, and tell the server whom to trust."""
    asked = await read_body(request, ServerRequest)
    site, address = request.app[SITE], client_address(request)
    if site.servers is None:
        raise NotSupported("WEB-REQUEST", problem="servers do not join here")
    wanted = JoinServer(
        token=asked.token, hostname=asked.hostname, address=asked.address, labels=asked.labels,
        principals=asked.principals, ssh_public_key=keys.load_ssh_line(asked.ssh_pub_key), client_address=address,
        former=_former(asked.former),
    )  # fmt: skip
    with site.guesses.attempt(address):
        joined = await site.servers.join(wanted)
    return web.json_response(
        {
            "host_uuid": joined.host_uuid, "cluster": joined.cluster, "cert": keys.ssh_line(joined.certificate),
            "expires": joined.expires.isoformat(), "user_cas": list(joined.user_authorities),
        }
    )  # fmt: skip


def _former(shown: FormerServer | None) -> Former | None:
    if shown is None:
        return None
    try:
        return Former(keys.load_ssh_line(shown.certificate), base64.b64decode(shown.signature, validate=True))
    except binascii.Error:
        raise BadParameter("WEB-REQUEST", problem="the signature is not base64") from None
