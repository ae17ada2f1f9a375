"""What the parts of a bot are to each other: where files go, what services do, and what they may ask the bot for.

A service never sees how the bot keeps itself alive; a destination never sees what stands in the files.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from teleport.api.bot_messages import Output
from teleport.api.client import AuthClient
from teleport.api.messages import Authority
from teleport.model.identity import Identity


class Destination(Protocol):
    """A place for files. Methods raise `base.errors` (DEST-*, DISK-*, and for Secrets KUBE-*)."""

    @property
    def folder(self) -> str:
        """Absolute path, without links; empty where files have none."""
        ...

    async def prepare(self, names: Sequence[str]) -> None:
        """Make the place ready, once, before anything is written: `names` are the files that may come. Where a bot
        keeps itself, others may not (DEST-STORAGE)."""
        ...

    async def check(self) -> None:
        """See that files can be written and that only who may can read them. Before each generation."""
        ...

    async def read(self, name: str) -> bytes | None:
        """Return a file's content; None when there is none. A name may have one folder in it (`cockroach/node.key`)."""
        ...

    async def write(self, files: Mapping[str, bytes]) -> None:
        """Replace files: each is whole at any moment, and all are prepared before the first is replaced."""
        ...

    def __str__(self) -> str:
        """As errors name it: `directory: /opt/machine-id`, `memory`, `kubernetes_secret: NAME`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A private key with its certificates: the bot's own, or those of an output. One key for SSH and TLS."""

    key: str = field(repr=False)
    """PEM, PKCS #8."""
    ssh_certificate: str
    """One line, as OpenSSH writes it."""
    tls_certificate: str
    """PEM."""
    identity: Identity
    """Whom the certificates name."""
    valid_after: dt.datetime
    expires: dt.datetime
    authorities: tuple[Authority, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyFacts:
    """What `/webapi/find` of the proxy says, and where it was asked."""

    address: str
    """`host:port` of the proxy for everything that goes through it: what it advertises, or with TBOT_USE_PROXY_ADDR
    what the configuration says."""
    ssh_address: str
    tls_routing: bool
    upgrade: bool
    """Whether connections must be carried over WebSocket or HTTP upgrade (a load balancer ends TLS)."""
    found: Mapping[str, Any]
    """The answer itself."""


class Bot(Protocol):
    """What services may ask of the bot. Methods raise `base.errors`."""

    @property
    def cluster(self) -> str:
        """Name of the cluster."""
        ...

    async def issue(self, wanted: Output, key: str) -> Held:
        """Return certificates for an output's key (PEM); the public keys of `wanted` are filled in from it. `ttl` and
        roles as in `wanted`."""
        ...

    def client(self, held: Held | None = None) -> AbstractAsyncContextManager[AuthClient]:
        """Yield a client of the Auth Service that acts as `held`; without it, as the bot itself."""
        ...

    async def proxy(self) -> ProxyFacts:
        """Ask the proxy what it is. Raises Unavailable (BOT-PROXY-PING) when it cannot be asked."""
        ...


class Service(Protocol):
    """One entry of `services`."""

    name: str
    interval: float
    """Seconds between generations."""
    runs_once: bool
    """Whether it can be used with `oneshot`."""

    async def prepare(self) -> None:
        """Make its destination ready. Raises what no later attempt would mend."""
        ...

    async def generate(self, bot: Bot) -> None:
        """Do what is due: at the start, after each interval, and on reload."""
        ...

    async def serve(self, bot: Bot, ready: Callable[[], None]) -> None:
        """Run until cancelled, where the service listens; return at once where it does not."""
        ...


Make = Callable[[Any], Service]
"""Makes the service of a section of `model.config.tbot_services`."""

Sleep = Callable[[float], Awaitable[None]]
