"""Membership: this process as a member of a cluster whose Auth Service runs elsewhere.

It joins at the first start, keeps its identity on disk (`process.identity`), and gives the services of the process
their way to the Auth Service. Whatever it needs of the Auth Service it asks for again until it gets it: the log says
what is missing. Once the process has an identity it shows its token to nobody.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import ssl
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TypeVar

from teleport.api.client import AuthClient, over_stream
from teleport.api.cluster_view import ClusterView
from teleport.api.messages import ClusterSettings, HostRequest, MadeCertificates
from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.disk import Disk
from teleport.base.entropy import Entropy
from teleport.base.errors import BadParameter, TeleportError
from teleport.base.log import logger
from teleport.base.retry import Backoff, retry
from teleport.base.version_order import check_fit
from teleport.client.auth_way import AuthWay
from teleport.client.cluster import auth_protocol
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.net.stream import Stream
from teleport.pki import authority, contexts, x509
from teleport.process import auth_access
from teleport.process.identity import FOLDER, HostIdentity, IdentityStore, RoleIdentity, Wanted, keeping
from teleport.process.settings import Settings
from teleport.version import VERSION
from teleport.wire.tunnel import ALPN as TUNNEL_ALPN

log = logger("PROC:1")

T = TypeVar("T")

INSTANCE = "Instance"
NOT_JOINED = "Failed to join the cluster, it is tried again"
OTHER_VERSION = "The cluster is of a version with which this process does not work, it is asked again"
NO_SETTINGS = "The Auth Service does not say what holds in the cluster, it is asked again"
NOT_CERTIFIED = "The Auth Service does not certify a service of this process, it is asked again"
BACKOFF = Backoff(first=2.0, most=60.0)
"""After a refusal: what is wrong with a token or a pin is not put right in seconds, and each attempt is recorded."""
NOT_THERE = Backoff(first=1.0, most=5.0)
"""While nobody answers."""


@dataclasses.dataclass(frozen=True)
class Admission:
    """What joining gives."""

    identity: HostIdentity
    authorities: tuple[str, ...]
    """Certificates (PEM) of the host authority."""

    async def dial(self, way: AuthWay) -> Stream:
        """Return a connection to the Auth Service, directly or through a proxy that passes it on, on which both sides
        have proven themselves. Raises NotAuthenticated and Unavailable (NET-TLS-*), and what dialling raises."""
        return await way.open(self._context(), (auth_protocol(self.identity.cluster),), x509.CLUSTER_NAME)

    async def dial_tunnel(self, way: AuthWay, *, own_port: bool) -> Stream:
        """Return such a connection to a proxy, for a tunnel; `own_port`: at the port that it has for these. Raises as
        `dial`."""
        open_way = way.tunnel if own_port else way.open
        return await open_way(self._context(), (TUNNEL_ALPN,), x509.CLUSTER_NAME)

    def _context(self) -> ssl.SSLContext:
        return contexts.client_context(
            host_authorities=[data for text in self.authorities for data in x509.split_pem(text)],
            certificate=self.identity.tls_certificate, key=self.identity.keys.tls,
        )  # fmt: skip


Join = Callable[[Wanted, Admission | None], Awaitable[Admission]]
"""Joins with the token of the configuration. Whoever has an identity already shows it and keeps its id."""


class Membership:
    """Implements `process.auth_access.AuthAccess`; ready when every service of the process is certified."""

    name = "instance"

    def __init__(
        self, settings: Settings, *, disk: Disk, clock: Clock, entropy: Entropy, way: AuthWay, join: Join,
        backoff: Backoff = BACKOFF,
    ) -> None:  # fmt: skip
        """`way` leads to the Auth Service; `join` gets the first identity."""
        self.settings = settings
        self._clock = clock
        self._entropy = entropy
        self._way = way
        self._join = join
        self._backoff = backoff
        self._store = IdentityStore(disk, settings.data_dir)
        self._authorities: tuple[str, ...] = ()
        self._clients: dict[str, list[AuthClient]] = {}
        roles = auth_access.wanted(settings)
        self._roles = tuple(sorted(wanted.role for wanted in roles))
        instance = Wanted(INSTANCE, settings.nodename, also=self._roles)
        self._identities = {wanted.role: self._role(wanted) for wanted in (instance, *roles)}

    def _role(self, wanted: Wanted) -> RoleIdentity:
        async def issue(request: HostRequest) -> MadeCertificates:
            return await self._registrar.issue_host(request)

        return RoleIdentity(
            wanted, issue=issue, clock=self._clock, entropy=self._entropy, store=self._store, on_change=self._renewed
        )  # fmt: skip

    # -- what services take

    @property
    def host_uuid(self) -> str:
        """See AuthAccess.host_uuid."""
        return self._identities[INSTANCE].current.host_uuid

    def identity(self, role: str) -> RoleIdentity:
        """See AuthAccess.identity."""
        return self._identities[role]

    def client(self, role: str) -> AuthClient:
        """See AuthAccess.client."""
        client = AuthClient(over_stream(lambda: self._dial(role)))
        self._clients.setdefault(role, []).append(client)
        return client

    @property
    def proxy(self) -> str:
        """See AuthAccess.proxy."""
        return self._way.target if self._way.proxies else ""

    async def dial_proxy(self, role: str) -> Stream:
        """See AuthAccess.dial_proxy."""
        return await self._admission(role).dial_tunnel(self._way, own_port=not self.settings.tls_routing)

    async def dial_auth(self) -> Stream:
        """See AuthAccess.dial_auth."""
        return await self._way.bare()

    # -- life

    async def run(self, ready: Callable[[], None]) -> None:
        """Join if need be, then keep everything fresh until cancelled. Raises BadParameter (PROC-NO-TOKEN,
        PROC-IDENTITY) and what the disk raises."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._close)
            await self._enter()
            if not self.settings.skip_version_check:
                await self._until(OTHER_VERSION, self._check_version)
            self.settings = self.settings.of_cluster(await self._until(NO_SETTINGS, self._ask_settings))
            for identity in self._identities.values():
                await self._until(NOT_CERTIFIED, functools.partial(self._ensure, identity))
                stack.push_async_callback(tasks.cancel, keeping(identity))
            log.info(
                "This process acts in the cluster", cluster=self._cluster, host_uuid=self.host_uuid,
                roles=",".join(self._identities),
            )  # fmt: skip
            ready()
            await self._follow_authorities()

    async def _enter(self) -> None:
        """Have an Instance identity that covers every service of the process."""
        instance, held = self._identities[INSTANCE], self._store.load(INSTANCE)
        self._authorities = self._store.authorities()
        if held is not None and self._authorities and self._clock.now() < held.expires:
            self._use(held)
            if not self._missing(held):
                log.info("Using the identity on disk", cluster=held.cluster, host_uuid=held.host_uuid)
                return
        if not self.settings.join.token:
            types = ",".join(self._roles).lower()
            raise BadParameter("PROC-NO-TOKEN", folder=self.settings.data_dir / FOLDER, types=types,
                               source=self.settings.source)  # fmt: skip
        await self._until(NOT_JOINED, functools.partial(self._admit, instance))
        log.info("Joined the cluster", cluster=self._cluster, host_uuid=self.host_uuid)

    async def _admit(self, instance: RoleIdentity) -> None:
        """Join, and keep what comes of it; whoever joins once more, with another token, stays the same host."""
        former = Admission(instance.current, self._authorities) if instance.ready else None
        admitted = await self._join(instance.wanted, former)
        self._store.save_authorities(admitted.authorities)  # first: an identity without them is of no use
        self._authorities = admitted.authorities
        self._store.save(admitted.identity)
        self._use(admitted.identity)

    def _use(self, held: HostIdentity) -> None:
        """Act as an identity, with every role that it has: a token may be for more than this process runs."""
        instance = self._identities[INSTANCE]
        instance.wanted = dataclasses.replace(instance.wanted, also=held.also)
        instance.use(held)

    def _missing(self, held: HostIdentity) -> list[str]:
        return [role for role in self._roles if role not in held.also]

    async def _ensure(self, identity: RoleIdentity) -> None:
        await identity.ensure(self.host_uuid, self._cluster)

    async def _check_version(self) -> None:
        """Raise NotSupported (VER-TOO-OLD, VER-TOO-NEW) for an Auth Service with which this program does not work."""
        _, theirs = await self._registrar.ping()
        check_fit(VERSION, theirs, who=self.settings.nodename)

    async def _ask_settings(self) -> ClusterSettings:
        return await self._registrar.cluster_settings()

    async def _until(self, message: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until it succeeds. What is wrong with the token or the address today may be put right tomorrow."""

        def failed(error: Exception, wait: float) -> None:
            log.error(message, error=error, seconds=f"{wait:.1f}")

        async def named() -> T:
            try:
                return await attempt()
            except TeleportError as error:
                raise await self._way.named(error) from error

        async def reached() -> T:
            return await retry(named, entropy=self._entropy, backoff=NOT_THERE, on_failure=failed)

        return await retry(
            reached, entropy=self._entropy, backoff=self._backoff, again=(TeleportError,), on_failure=failed
        )  # fmt: skip

    async def _follow_authorities(self) -> None:
        """Keep the host authority's certificates as the cluster has them, until cancelled."""
        view = ClusterView(self.client(INSTANCE), ("cert_authority",), clock=self._clock, entropy=self._entropy)
        following = tasks.spawn(view.run(lambda: None), name="host authority", on_error=_lost)
        seen = 0
        try:
            while True:
                seen = await view.changed(seen)
                trusted = authority.trusted_tls(view.all(CertAuthority), "host")
                own = tuple(x509.pem(data) for data, owner in trusted.items() if owner == self._cluster)
                if own and own != self._authorities:
                    self._store.save_authorities(own)
                    self._authorities = own
                    log.info("The host authority of the cluster has changed", certificates=len(own))
        finally:
            await tasks.cancel(following)

    async def _close(self) -> None:
        every = [client for clients in self._clients.values() for client in clients]
        await asyncio.gather(*(client.close() for client in every))

    # -- connections

    @property
    def _cluster(self) -> str:
        return self._identities[INSTANCE].current.cluster

    @property
    def _registrar(self) -> AuthClient:
        """A client for what the process as a whole asks."""
        return self._clients[INSTANCE][0] if self._clients.get(INSTANCE) else self.client(INSTANCE)

    async def _dial(self, role: str) -> Stream:
        return await self._admission(role).dial(self._way)

    def _admission(self, role: str) -> Admission:
        return Admission(self._identities[role].current, self._authorities)

    def _renewed(self, identity: HostIdentity) -> None:
        """Let the next call of a role open a connection with its new certificate: the former one ends."""
        for client in self._clients.get(identity.role, ()):
            client.reconnect()


def _lost(error: BaseException) -> None:
    log.error("The host authority of the cluster is no longer followed", error=error)
