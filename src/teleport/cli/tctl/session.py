"""How a `tctl` command reaches the auth service.

On the auth host it goes through `<data_dir>/admin.sock`: no login, full rights, audited. Anywhere else it
uses the current `tsh` profile, with the rights of that user.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from teleport.api.client import AuthClient, over_stream
from teleport.base.clock import SystemClock
from teleport.base.disk import SystemDisk
from teleport.base.errors import NotAuthenticated, NotFound, Unavailable
from teleport.client.cluster import connect
from teleport.client.profile import Home
from teleport.model.address import parse_addr
from teleport.model.config.auth import AUTH_PORT
from teleport.model.resource import KindInfo
from teleport.net.network import SystemNetwork
from teleport.process.settings import DEFAULT_CONFIG, find_config

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

_SERVERS = f"{__name__}.servers"
"""Where click keeps the addresses of `--auth-server` while a command runs."""


def _remember(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> None:
    """Keep `host:port` of each address; without a port it is an Auth Service's."""
    context.meta[_SERVERS] = tuple(str(parse_addr(text, AUTH_PORT)) for text in value)


_config = click.option(
    "-c", "--config", "config", default=None, metavar="FILE",
    help=f"Configuration of the auth host [{DEFAULT_CONFIG}; TELEPORT_CONFIG_FILE].",
)  # fmt: skip
_auth_server = click.option(
    "--auth-server", multiple=True, metavar="HOST:PORT", expose_value=False, callback=_remember,
    help="Auth Service or proxy to use, with your sign-in; several are tried in their order.",
)  # fmt: skip


def config_option(command: F) -> F:
    """Give a command the options that say which cluster is meant: every one takes them."""
    return _auth_server(_config(command))


def call(config: str | None, work: Callable[[AuthClient], Awaitable[T]]) -> T:
    """Run `work` with a client. Raises what `work` raises, or why no way leads to an auth service."""

    async def run() -> T:
        async with _client(config) as client:
            return await work(client)

    return asyncio.run(run())


@asynccontextmanager
async def _client(config: str | None) -> AsyncIterator[AuthClient]:
    servers = click.get_current_context().meta.get(_SERVERS, ())
    socket = None if servers else _admin_socket(config)
    network = SystemNetwork()
    if socket is not None:
        async with AuthClient(over_stream(lambda: network.dial(f"unix:{socket}"))) as client:
            yield client
        return
    home = Home.from_environment(os.environ, SystemDisk())
    try:
        profile = home.current()
    except NotFound:
        raise Unavailable("CLI-NO-CLUSTER") from None
    if profile.valid_until <= SystemClock().now():
        raise NotAuthenticated(
            "CLIENT-EXPIRED", user=profile.user, proxy=profile.proxy_host, until=profile.valid_until.isoformat()
        )
    async with connect(home, profile, network, servers) as client:
        yield client


def _admin_socket(config: str | None) -> Path | None:
    """Return the socket of the auth service that the configuration names, if one is there."""
    settings = find_config(config, os.environ, SystemDisk())
    socket = settings.data_dir / "admin.sock"
    if not settings.auth.enabled:
        return None
    try:
        if socket.is_socket():
            return socket
    except PermissionError as problem:
        raise Unavailable("CLI-ADMIN-SOCKET", path=socket, problem=problem.strerror) from None
    if config is not None:
        raise Unavailable("CLI-ADMIN-SOCKET", path=socket, problem="it does not exist")
    return None


async def collect(series: AsyncIterator[T]) -> list[T]:
    """Return everything that a listing yields."""
    return [entry async for entry in series]


def public_address(config: str | None) -> str:
    """Return the `host:port` at which people reach the proxy: from the configuration on the auth host,
    from the profile elsewhere."""
    if _admin_socket(config) is not None:
        return find_config(config, os.environ, SystemDisk()).public_address
    return Home.from_environment(os.environ, SystemDisk()).current().web_proxy_addr


def messages(info: KindInfo, name: str, action: str, *, sub_kind: str = "") -> str:
    """Return what `tctl` says after a change: the kind's own text, or `role "x" has been created`."""
    text = info.messages.get(action)
    return text.format(name=name, sub_kind=sub_kind) if text else f'{info.name} "{name}" has been {action}d'
