"""How a `tctl` command reaches the auth service.

On the auth host it goes through `<data_dir>/admin.sock`: no login, full rights, audited. Anywhere else it
uses the current `tsh` profile, with the rights of that user; with `-i` always the identity file.
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from teleport.api.client import AuthClient, over_stream
from teleport.base.clock import SystemClock
from teleport.base.disk import SystemDisk
from teleport.base.errors import NotFound, Unavailable
from teleport.client.cluster import connect
from teleport.client.credentials import Credentials, Wanted, choose
from teleport.model.address import Address, parse_addr
from teleport.model.config.auth import AUTH_PORT
from teleport.model.resource import KindInfo
from teleport.net.network import SystemNetwork
from teleport.process.settings import DEFAULT_CONFIG, find_config

T = TypeVar("T")


class Where(NamedTuple):
    """What the options of a command say about the way to the auth service."""

    config: str | None = None
    identity: str = ""
    """Path of an identity file."""
    servers: tuple[str, ...] = ()
    """`host:port` of Auth Services and proxies, tried in their order; without any, the proxy of the sign-in."""


_OPTIONS = (
    click.option(
        "-c", "--config", default=None, metavar="FILE",
        help=f"Configuration of the auth host [{DEFAULT_CONFIG}; TELEPORT_CONFIG_FILE].",
    ),
    click.option("-i", "--identity", default="", metavar="FILE", help="Act as the owner of an identity file."),
    click.option(
        "--auth-server", multiple=True, metavar="HOST:PORT",
        help="Auth Service or proxy to use, as -i or your sign-in; several are tried in their order.",
    ),
)  # fmt: skip


def where_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which cluster is meant, and as whom; the function receives `where`."""

    @functools.wraps(function)
    def called(*args: Any, config: str | None, identity: str, auth_server: tuple[str, ...], **rest: Any) -> Any:
        # Without a port it is an Auth Service's.
        servers = tuple(str(parse_addr(text, AUTH_PORT)) for text in auth_server)
        return function(*args, where=Where(config, identity, servers), **rest)

    for option in reversed(_OPTIONS):
        called = option(called)
    return called


def call(where: Where, work: Callable[[AuthClient], Awaitable[T]]) -> T:
    """Run `work` with a client. Raises what `work` raises, or why no way leads to an auth service."""
    network = SystemNetwork()
    socket = _admin_socket(where)
    if socket is not None:
        return _run(lambda: AuthClient(over_stream(lambda: network.dial(f"unix:{socket}"))), work)
    chosen = _credentials(where)
    chosen.check_valid(SystemClock())
    with chosen.in_use():
        return _run(lambda: connect(chosen.home, chosen.profile, network, where.servers), work)


def _run(
    client: Callable[[], AbstractAsyncContextManager[AuthClient]], work: Callable[[AuthClient], Awaitable[T]]
) -> T:
    async def run() -> T:
        async with client() as opened:
            return await work(opened)

    return asyncio.run(run())


def _credentials(where: Where) -> Credentials:
    identity = where.identity or os.environ.get("TELEPORT_IDENTITY_FILE", "")
    # An identity file does not say where its cluster is; a sign-in does, whatever addresses are tried.
    wanted = Wanted(proxy=where.servers[0] if identity and where.servers else "", identity=identity)
    try:
        return choose(os.environ, SystemDisk(), wanted, warn=lambda text: click.echo(f"WARNING: {text}", err=True))
    except NotFound as error:
        if error.code != "CLIENT-NOT-LOGGED-IN":
            raise
        raise Unavailable("CLI-NO-CLUSTER") from None


def _admin_socket(where: Where) -> Path | None:
    """Return the socket of the auth service that the configuration names, if one is there; none for a command that
    names an identity or another place."""
    if where.identity or where.servers:
        return None
    settings = find_config(where.config, os.environ, SystemDisk())
    socket = settings.data_dir / "admin.sock"
    if not settings.auth.enabled:
        return None
    try:
        if socket.is_socket():
            return socket
    except PermissionError as problem:
        raise Unavailable("CLI-ADMIN-SOCKET", path=socket, problem=problem.strerror) from None
    if where.config is not None:
        raise Unavailable("CLI-ADMIN-SOCKET", path=socket, problem="it does not exist")
    return None


def is_auth_host(where: Where) -> bool:
    """Whether the command goes to the Auth Service of this machine."""
    return _admin_socket(where) is not None


async def collect(series: AsyncIterator[T]) -> list[T]:
    """Return everything that a listing yields."""
    return [entry async for entry in series]


def public_address(where: Where) -> str:
    """Return the `host:port` at which people reach the proxy: from the configuration on the auth host,
    from the credentials elsewhere."""
    if _admin_socket(where) is not None:
        return find_config(where.config, os.environ, SystemDisk()).public_address
    return _credentials(where).profile.web_proxy_addr


def join_address(where: Where) -> str:
    """Return the `host:port` at which hosts join: that of the Auth Service on the auth host, the proxy's elsewhere."""
    if _admin_socket(where) is None:
        return public_address(where)
    settings = find_config(where.config, os.environ, SystemDisk())
    host = settings.advertised.host if settings.advertised else settings.nodename
    return str(Address(host, settings.auth.listen.port))


def messages(info: KindInfo, name: str, action: str, *, sub_kind: str = "") -> str:
    """Return what `tctl` says after a change: the kind's own text, or `role "x" has been created`."""
    text = info.messages.get(action)
    return text.format(name=name, sub_kind=sub_kind) if text else f'{info.name} "{name}" has been {action}d'
