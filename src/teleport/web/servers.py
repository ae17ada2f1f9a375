"""The first page after signing in: the servers that the user may reach.

What is listed is decided by the Auth Service for the session's user, as for `tsh ls`.
"""

from __future__ import annotations

from aiohttp import web

from teleport.api.messages import Selection
from teleport.base.errors import NotAuthenticated
from teleport.base.text import label_text
from teleport.model.kinds.node import Node
from teleport.web import security, session
from teleport.web.app import SITE, render

PAGE = 500
"""Servers of one page."""


def routes() -> list[web.RouteDef]:
    """Routes of this file."""
    return [web.get(session.HOME, servers)]


async def servers(request: web.Request) -> web.Response:
    """List servers; without a session, lead to the sign-in page."""
    site, token, address = request.app[SITE], session.token_of(request), security.client_address(request)
    selection = Selection(kind="node", after=request.query.get("after", ""), limit=PAGE)
    try:
        person = await site.accounts.web_describe(token, client_address=address)
        page = await site.accounts.web_page(token, selection, client_address=address)
    except NotAuthenticated:
        return session.to_sign_in(request)
    nodes = [node for node in page.resources if isinstance(node, Node)]
    rows = [(node.spec.hostname, node.spec.addr, label_text(node.labels_now())) for node in nodes]
    csrf = security.csrf_token(request, site.entropy)
    response = render(
        request, "servers.html", person=person, rows=sorted(rows), next=page.next, csrf=csrf, first=not selection.after
    )  # fmt: skip
    security.keep_csrf(response, csrf)
    return response
