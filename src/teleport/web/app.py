"""The web application: pages for people and the JSON endpoints that `tsh` calls.

Server-rendered, no script, no foreign resource. The proxy hands it finished TLS streams; what it wants
from the auth service is the `Accounts` protocol, which `api.client.AuthClient` fulfils.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from aiohttp import web

from teleport.api.messages import Page, Selection, WebSession
from teleport.api.openssh_messages import Joined, JoinServer
from teleport.base.entropy import Entropy
from teleport.net.stream import Stream
from teleport.web import pages, security
from teleport.web.guesses import Guesses

MAX_BODY = 64 * 1024
"""Bytes of a request body: sign-in and sign-up forms are far smaller."""


ASSETS = {"app.css": "text/css", "icon.svg": "image/svg+xml"}
"""Files under /static and their media types."""


class Invitation(Protocol):
    """What a link stands for, as far as its holder may know."""

    @property
    def user(self) -> str: ...
    @property
    def purpose(self) -> str: ...
    @property
    def expires(self) -> dt.datetime: ...
    @property
    def enrolment(self) -> Enrolment | None: ...


class Enrolment(Protocol):
    """Secret of an authenticator app that is not enrolled yet."""

    @property
    def secret(self) -> str: ...
    @property
    def uri(self) -> str: ...


class SignedIn(Protocol):
    """The outcome of a sign-in."""

    @property
    def username(self) -> str: ...
    @property
    def ssh_certificate(self) -> str: ...
    @property
    def tls_certificate(self) -> str: ...
    @property
    def host_ssh_keys(self) -> tuple[str, ...]: ...
    @property
    def host_tls_certificates(self) -> tuple[str, ...]: ...
    @property
    def cluster(self) -> str: ...


class Accounts(Protocol):
    """What the pages need of the auth service. Methods raise `base.errors`."""

    async def describe_invite(self, token: str, browser: str) -> Invitation: ...
    async def complete_invite(
        self, token: str, password: str, *, client_address: str, browser: str, code: str
    ) -> None: ...  # fmt: skip
    async def login(
        self,
        user: str,
        password: str,
        *,
        ssh_public_key: str,
        tls_public_key: str,
        ttl: float,
        client_address: str,
        code: str,
    ) -> SignedIn: ...
    async def web_sign_in(
        self, user: str, password: str, code: str, *, client_address: str, former: str
    ) -> tuple[str, WebSession]: ...
    async def web_describe(self, token: str, *, client_address: str) -> WebSession: ...
    async def web_sign_out(self, token: str) -> None: ...
    async def web_page(self, token: str, selection: Selection, *, client_address: str) -> Page: ...


class Servers(Protocol):
    """Who takes in servers without an agent: `api.openssh_calls.OpenSSHCalls`."""

    async def join(self, asked: JoinServer) -> Joined: ...


Inner: TypeAlias = Callable[[Stream], Awaitable[None]]


@dataclass(frozen=True)
class Site:
    """What every handler needs."""

    accounts: Accounts
    entropy: Entropy
    cluster: str
    public_address: str
    """`host:port` that people type; redirects and forms stay on it."""
    settings: Mapping[str, Any]
    """Body of `/webapi/find`; `/webapi/ping` adds `auth`."""
    auth_settings: Mapping[str, Any]
    guesses: Guesses
    """Failed sign-ins by source."""
    servers: Servers | None = None
    """None: servers do not join here."""
    inner: Inner | None = None
    """Serves what comes inside an upgraded connection; None: there are no upgrades here."""
    trust_forwarded: bool = False
    """Whether a load balancer says in X-Forwarded-For who its clients are."""


SITE = web.AppKey("site", Site)


def build(
    *,
    accounts: Accounts,
    entropy: Entropy,
    cluster: str,
    public_address: str,
    settings: Mapping[str, Any],
    auth_settings: Mapping[str, Any],
    servers: Servers | None = None,
    inner: Inner | None = None,
    trust_forwarded: bool = False,
) -> web.Application:
    """Return the application. It keeps no state but how many sign-ins failed from where."""
    from teleport.web import join, login, mfa, sign_in, signup, upgrade  # they import SITE from here
    from teleport.web import servers as pages_of_servers

    app = web.Application(
        middlewares=[security.add_headers, security.refuse_doubtful, security.explain_errors, security.take_body],
        client_max_size=MAX_BODY,
    )
    app[SITE] = Site(
        accounts=accounts,
        entropy=entropy,
        cluster=cluster,
        public_address=public_address,
        settings=settings,
        auth_settings=auth_settings,
        guesses=Guesses(),
        servers=servers,
        inner=inner,
        trust_forwarded=trust_forwarded,
    )
    app.add_routes([web.get("/", front), *(web.get(f"/static/{name}", drawn) for name in ASSETS)])
    for part in (signup, login, mfa, sign_in, pages_of_servers, join, upgrade):
        app.add_routes(part.routes())
    return app


async def front(request: web.Request) -> web.Response:
    """The front page: what this is and how to sign in."""
    return render(request, "front.html")


async def drawn(request: web.Request) -> web.Response:
    """The one style sheet and the one picture: all that a browser may keep."""
    name = request.path.rpartition("/")[2]
    return web.Response(text=pages.asset(name), content_type=ASSETS[name], headers={"Cache-Control": "max-age=300"})


def render(request: web.Request, page: str, *, status: int = 200, **values: object) -> web.Response:
    """Return a page with the values every page has."""
    site = request.app[SITE]
    text = pages.page(page, {"cluster": site.cluster, "public_address": site.public_address, **values})
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")
