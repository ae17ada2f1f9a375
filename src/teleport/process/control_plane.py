"""The Auth Service as a part of the process: its store, its listeners, and clients of it in memory.

It serves three doors with the same methods: the admin socket, TLS on 3025, and memory for services in
this process, each of which acts under its own system role.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack

from teleport.api.caller import Caller
from teleport.api.client import AuthClient, over_stream
from teleport.api.messages import HostRequest
from teleport.auth import admin_socket
from teleport.auth.join import clouds
from teleport.auth.service import AuthService
from teleport.base import tasks
from teleport.base.append import SystemFolder
from teleport.base.clock import Clock
from teleport.base.disk import SystemDisk
from teleport.base.entropy import Entropy
from teleport.base.errors import Internal
from teleport.base.log import logger
from teleport.model.config.section import proxy_mode
from teleport.model.identity import Identity
from teleport.net.memory import memory_pair
from teleport.net.network import Network
from teleport.net.stream import Stream
from teleport.pki import authority, contexts, keys
from teleport.pki.signer import Signer
from teleport.process import auth_access, presence, static_tokens
from teleport.process.identity import RoleIdentity, keeping
from teleport.process.presence import Presence
from teleport.process.settings import Settings
from teleport.store.recordings.index_shelf import IndexShelf
from teleport.store.sqlite import SqliteBackend

log = logger("AUTH")

ALPN = "h2"
END_OF_TIME = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)
"""Services in this process live as long as it does; their identities never reach a certificate."""


class ControlPlane:
    """Runs the Auth Service, and is the AuthAccess of the services beside it."""

    name = "auth"

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        entropy: Entropy,
        network: Network,
        signer: Signer,
        host_uuid: str,
    ) -> None:
        self._clock = clock
        self._entropy = entropy
        self._network = network
        self._signer = signer
        self.host_uuid = host_uuid
        self.settings = settings
        self._identities: dict[str, RoleIdentity] = {}
        self._service: AuthService | None = None
        self._inner: set[asyncio.Task[None]] = set()
        self._clients: list[AuthClient] = []
        self.address = ""
        """Where the Auth Service listens for TLS, once it is ready."""

    async def run(self, ready: Callable[[], None]) -> None:
        """Serve until cancelled."""
        settings = self.settings
        async with AsyncExitStack() as stack:
            backend = await SqliteBackend.open(settings.data_dir / "backend", self._clock)
            stack.push_async_callback(backend.close)
            service = AuthService(
                backend=backend,
                signer=self._signer,
                clock=self._clock,
                entropy=self._entropy,
                cluster=settings.cluster_name,
                host_id=self.host_uuid,
                records=SystemFolder(str(settings.data_dir / "log" / "records")),
                indexes=IndexShelf(SystemDisk(), str(settings.data_dir / "log" / "records")),
                recording_mode=settings.auth.recording_mode,
                checks_host_keys=settings.auth.checks_host_keys,
                second_factor=settings.auth.authentication.required,
                web_idle=float(settings.auth.web_idle_timeout),
                clouds=clouds.of_environment(settings.environment, SystemDisk()),
                static_tokens=static_tokens.read(settings.auth.static_tokens, SystemDisk()),
                settings=settings.for_cluster(),
                allow_old=settings.allow_old_clients,
                networking=settings.auth.networking,
            )
            await service.start()
            stack.push_async_callback(service.close)
            self._service = service
            stack.push_async_callback(self._end_inner)
            admin = await admin_socket.listen(
                self._network,
                service,
                settings.data_dir,
                owner=os.stat(settings.data_dir).st_uid,
                host=settings.nodename,
                clock=self._clock,
            )
            stack.push_async_callback(admin.close, 0.0)
            mode = proxy_mode(settings.auth.proxy_protocol)
            door = service.door(await self._tls_context(service), proxy_protocol=mode)
            listener = await self._network.listen(str(settings.auth.listen), door.serve)
            stack.push_async_callback(listener.close, 0.0)
            self.address = _dialable(listener.address)
            log.info("Auth Service is listening", address=listener.address, cluster=settings.cluster_name)
            await self._certify(stack)
            present = Presence(
                self.client("Auth"), lambda: presence.of_auth(settings, self.host_uuid), clock=self._clock,
                entropy=self._entropy,
            )  # fmt: skip
            stack.push_async_callback(present.stop)
            present.start()
            ready()
            await service.run()

    def client(self, system_role: str) -> AuthClient:
        """Return a client for a service of this process, which acts as `system_role`; closed with this one."""
        own = {"Instance": ("Instance", "Node", "Proxy")}.get(system_role, (system_role,))
        identity = Identity(
            name=f"{self.host_uuid}.{self.settings.cluster_name}",
            cluster=self.settings.cluster_name,
            kind="host",
            roles=(system_role,),
            system_roles=own,
            expires=END_OF_TIME,
        )

        async def dial() -> Stream:
            assert self._service is not None  # noqa: S101 - services start after this one
            near, far = memory_pair()
            work = self._service.serve(far, Caller(identity, "memory"))
            task = tasks.spawn(work, name=f"auth for {system_role}", on_error=_inner_failed)
            self._inner.add(task)
            task.add_done_callback(self._inner.discard)
            return near

        client = AuthClient(over_stream(dial))
        self._clients.append(client)
        return client

    def identity(self, role: str) -> RoleIdentity:
        """See AuthAccess.identity. Keys stay in memory and live as long as the process."""
        return self._identities[role]

    @property
    def proxy(self) -> str:
        """See AuthAccess.proxy."""
        return ""

    async def dial_proxy(self, role: str) -> Stream:
        """See AuthAccess.dial_proxy. Raises Internal (PROC-NO-PROXY)."""
        raise Internal("PROC-NO-PROXY", role=role)

    async def dial_auth(self) -> Stream:
        """See AuthAccess.dial_auth."""
        return await self._network.dial(self.address)

    async def _certify(self, stack: AsyncExitStack) -> None:
        """Have the other services of this process certified, and keep their certificates fresh."""
        registrar = self.client("Instance")
        for wanted in auth_access.wanted(self.settings):
            identity = RoleIdentity(wanted, issue=registrar.issue_host, clock=self._clock, entropy=self._entropy)
            await identity.ensure(self.host_uuid, self.settings.cluster_name)
            self._identities[wanted.role] = identity
            stack.push_async_callback(tasks.cancel, keeping(identity))

    async def _end_inner(self) -> None:
        await asyncio.gather(*(client.close() for client in self._clients))
        for task in list(self._inner):
            await tasks.cancel(task)

    async def _tls_context(self, service: AuthService) -> ssl.SSLContext:
        """Certify a key for this run and trust the cluster's authorities."""
        key, ssh_key = keys.make_p256(self._entropy), keys.make_ed25519(self._entropy)
        async with self.client("Auth") as client:
            issued = await client.issue_host(
                HostRequest(
                    host_uuid=self.host_uuid,
                    node_name=self.settings.nodename,
                    roles=("Auth",),
                    ssh_public_key=keys.ssh_line(keys.ssh_blob(ssh_key.public_key())),
                    tls_public_key=keys.public_pem(key.public_key()),
                )
            )
        trusted = await service.authorities.every()
        roots = [*authority.trusted_tls(trusted, "user"), *authority.trusted_tls(trusted, "host")]
        return contexts.server_context(
            certificate=issued.tls_certificate,
            key=keys.private_pem(key).decode(),
            client_authorities=roots,
            client_required=False,
            alpn=(f"teleport-auth@{self.settings.cluster_name.encode().hex()}", ALPN),
        )


def _dialable(address: str) -> str:
    """Return an address that this machine can dial for one that it listens on."""
    host, _, port = address.rpartition(":")
    return {"0.0.0.0": f"127.0.0.1:{port}", "[::]": f"[::1]:{port}"}.get(host, address)  # noqa: S104


def _inner_failed(error: BaseException) -> None:
    log.error("A service in this process lost its connection to the Auth Service", error=error)
