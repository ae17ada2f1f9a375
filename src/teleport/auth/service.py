"""AuthService: builds the features of the control plane and hands them to one gRPC server.

Nothing is decided here. Connections come from outside: `serve` takes any Stream with the Caller that was
found for it, so the admin socket, the memory network and TLS are the same to it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence

from teleport.api import rpc
from teleport.api.caller import Caller
from teleport.api.messages import ClusterSettings
from teleport.api.services import audit as audit_api
from teleport.api.services import audit_proof as audit_proof_api
from teleport.api.services import audit_query as audit_query_api
from teleport.api.services import bots as bots_api
from teleport.api.services import certificates as certificates_api
from teleport.api.services import decisions as decisions_api
from teleport.api.services import inventory as inventory_api
from teleport.api.services import join as join_api
from teleport.api.services import login as login_api
from teleport.api.services import openssh as openssh_api
from teleport.api.services import recordings as recordings_api
from teleport.api.services import reflection
from teleport.api.services import resources as resources_api
from teleport.api.services import status as status_api
from teleport.api.services import users as users_api
from teleport.api.services import web_sessions as web_sessions_api
from teleport.auth import bootstrap, hooks, networking_config
from teleport.auth.attempts import Attempts
from teleport.auth.audit import Audit
from teleport.auth.audit_delivery import Delivery
from teleport.auth.audit_proof import AuditProof
from teleport.auth.audit_query import AuditQueries
from teleport.auth.authorities import Authorities
from teleport.auth.authorize import Authorizer
from teleport.auth.bots.admission import Admission
from teleport.auth.bots.certificates import BotCertificates
from teleport.auth.bots.hooks import BotHooks
from teleport.auth.bots.instances import Instances
from teleport.auth.bots.lockout import Lockout
from teleport.auth.bots.outputs import Outputs
from teleport.auth.bots.renewal import Renewals
from teleport.auth.bots.routes import Routes
from teleport.auth.database_certs import DatabaseCertificates
from teleport.auth.decisions import Decisions
from teleport.auth.denials import Denials
from teleport.auth.door import Door, Limits
from teleport.auth.host_certs import HostCertificateIssuer
from teleport.auth.inventory import Inventory
from teleport.auth.invites import Invites
from teleport.auth.join import methods as join_methods
from teleport.auth.join.clouds import Clouds, of_environment
from teleport.auth.join.join_state import StateKeeper
from teleport.auth.join.service import Joining
from teleport.auth.join.tokens import TokenHooks, Tokens
from teleport.auth.login import Login
from teleport.auth.mfa_devices import Devices
from teleport.auth.networking_config import KIND as NETWORKING
from teleport.auth.networking_config import NetworkingHooks
from teleport.auth.openssh import OpenSSHCertificates
from teleport.auth.openssh_join import OpenSSHJoining
from teleport.auth.openssh_server import ServerCertificates
from teleport.auth.passwords import Cost, Passwords
from teleport.auth.recording_archive import Archive
from teleport.auth.recording_keys import KIND as RECORDING_CONFIG
from teleport.auth.recording_keys import ConfigHooks, RecordingKeys
from teleport.auth.recording_screens import Screens
from teleport.auth.recordings import Recordings
from teleport.auth.refusals import Refusals
from teleport.auth.resources import Resources
from teleport.auth.second_factor import Kind as FactorKind
from teleport.auth.second_factor import SecondFactor
from teleport.auth.semaphores import SemaphoreHooks
from teleport.auth.session_ending import SessionTerminationHooks
from teleport.auth.sign_in import SignIn
from teleport.auth.status import Status
from teleport.auth.user_certs import UserCertificates
from teleport.auth.user_signing import UserSigning
from teleport.auth.users import Users
from teleport.auth.web_sessions import IDLE, WebSessions
from teleport.base import tasks
from teleport.base.append import Folder
from teleport.base.clock import Clock
from teleport.base.disk import MemoryDisk
from teleport.base.entropy import Entropy
from teleport.base.errors import TeleportError
from teleport.base.log import logger
from teleport.model.kinds.bot import Bot
from teleport.model.kinds.cluster_networking_config import ClusterNetworkingConfigSpec
from teleport.model.kinds.semaphore import Semaphore
from teleport.model.kinds.session_termination import SessionTermination
from teleport.model.kinds.token import Token
from teleport.net.fetch import Fetch, SystemFetch
from teleport.net.proxy_protocol import Mode, ProxyProtocol
from teleport.net.stream import Stream
from teleport.pki import client_address
from teleport.pki.signer import Signer
from teleport.store.audit.log import AuditLog
from teleport.store.backend import Backend
from teleport.store.recordings.catalogue import Catalogue
from teleport.store.recordings.files import RecordingFiles
from teleport.store.recordings.index_shelf import IndexShelf
from teleport.store.resources import Resources as Store
from teleport.wire.proxy_header import ProxyHeader

log = logger("AUTH")

_COUNT_EVERY = 15.0
"""Seconds between looks at whether counts of denials are to be written."""


class AuthService:
    """The control plane of one cluster, over a backend and a signer that it does not own."""

    def __init__(
        self,
        *,
        backend: Backend,
        signer: Signer,
        clock: Clock,
        entropy: Entropy,
        cluster: str,
        host_id: str,
        records: Folder,
        recording_mode: str = "",
        checks_host_keys: bool | None = None,
        indexes: IndexShelf | None = None,
        second_factor: FactorKind = "otp",
        web_idle: float = IDLE,
        password_cost: Cost | None = None,
        static_tokens: Sequence[Token] = (),
        settings: ClusterSettings | None = None,
        networking: ClusterNetworkingConfigSpec | None = None,
        fetch: Fetch | None = None,
        clouds: Clouds | None = None,
        allow_old: bool = False,
    ) -> None:
        """`host_id` names the audit log of this server. `records` is the folder of session recordings, `recording_mode`
        and `checks_host_keys` what the configuration file says of them, if anything, `indexes` where the indexes of
        their screens lie; without there are none. `web_idle`: seconds after which a browser's session that is not used
        ends. `password_cost` is for tests. `static_tokens`: those of the configuration file.
        `networking`: what it says of silent connections, None: nothing. `settings` are told to services elsewhere.
        `fetch` and `clouds` are asked about proofs of join methods (`auth.join.methods`). With `allow_old` processes of
        versions that are not supported any more may come too."""
        self.cluster = cluster
        self.store = Store(backend, clock)
        self.audit_log = AuditLog(backend, host_id, clock, entropy, cluster)
        self.authorities = Authorities(self.store, cluster)
        self._backend, self._signer, self._clock, self._entropy = backend, signer, clock, entropy
        self._passwords = Passwords(backend, entropy, cost=password_cost)
        self._second_factor, self._web_idle = second_factor, web_idle
        self._denials = Denials(backend, self.audit_log, clock, entropy)
        self._refusals = Refusals(self.audit_log, clock, host_id)
        self._authorizer = Authorizer(self.store, self._denials, clock, cluster)
        self.inventory = Inventory(self.store, self.audit_log, self._authorizer, clock, allow_old=allow_old)
        self._allow_old = allow_old
        self._tokens = Tokens(backend, self.store, clock, static_tokens)
        states = StateKeeper(self.authorities, signer, clock, cluster)
        self._join_methods = join_methods.table(
            backend, self.store, states, fetch or SystemFetch(), clouds or of_environment({}, MemoryDisk()), clock,
            entropy, cluster,
        )  # fmt: skip
        self._recording_mode, self._checks_host_keys = recording_mode, checks_host_keys
        self._settings, self._networking = settings, networking
        self.archive = Archive(
            RecordingFiles(records), Catalogue(backend), self.store, signer, self.audit_log, clock, entropy
        )  # fmt: skip
        self._recording_keys = RecordingKeys(self.store, signer, self.audit_log, self._authorizer, clock)
        self.screens: Screens | None = None
        if indexes is not None:
            self.screens = Screens(
                self.archive, self._recording_keys, indexes, backend, signer, self.audit_log, self._authorizer, clock,
                entropy,
            )  # fmt: skip
        features = self._features()
        features = (*features, *reflection.methods(features))
        self._server = rpc.Server(features, clock=clock, entropy=entropy, on_defect=_defect, on_refusal=_refusal)

    def _features(self) -> Sequence[rpc.Method]:
        backend, clock, entropy, cluster = self._backend, self._clock, self._entropy, self.cluster
        store, trail, signer, passwords = self.store, self.audit_log, self._signer, self._passwords
        invites, attempts = Invites(backend, clock, entropy), Attempts(backend, store, clock)
        authorizer, search = self._authorizer, self.screens.search if self.screens else None
        self.proof = AuditProof(backend, trail, authorizer, self.authorities, signer, clock, cluster)
        certificates = UserCertificates(authorizer, self.authorities, signer, clock, entropy, cluster)
        devices = Devices(backend, entropy)
        factors = SecondFactor(devices, trail, clock, cluster, self._second_factor)
        sign_in = SignIn(backend, trail, clock, passwords, attempts, factors)
        login = Login(
            backend, trail, passwords, attempts, invites, factors, sign_in, certificates, self.authorities
        )  # fmt: skip
        kinds = hooks.table(store, clock, entropy, passwords, devices, attempts, invites, cluster)
        more: dict[str, hooks.Hooks] = {
            RECORDING_CONFIG: ConfigHooks(), NETWORKING: NetworkingHooks(), Semaphore.info.name: SemaphoreHooks(clock),
            SessionTermination.info.name: SessionTerminationHooks(store, authorizer, clock),
            Token.info.name: TokenHooks(self._tokens, clock, entropy), Bot.info.name: BotHooks(store, clock),
        }  # fmt: skip
        resources = Resources(store, trail, authorizer, {**kinds, **more}, clock)
        browsers = WebSessions(
            backend, store, clock, entropy, sign_in, passwords, certificates, resources, idle=self._web_idle
        )  # fmt: skip
        hosts = HostCertificateIssuer(trail, authorizer, self.authorities, signer, clock, entropy, cluster)
        databases = DatabaseCertificates(trail, authorizer, self.authorities, signer, clock, entropy)
        servers = OpenSSHCertificates(
            backend, store, trail, authorizer, self.authorities, signer, clock, entropy, cluster
        )  # fmt: skip
        own, instances = BotCertificates(store, certificates, self.authorities, clock), Instances(store, clock, entropy)
        lockout = Lockout(store, trail, clock, entropy)
        admission = Admission(store, trail, own, instances, lockout)
        renewals = Renewals(store, trail, authorizer, own, instances, lockout, clock)
        outputs = Outputs(store, trail, authorizer, certificates, own, Routes(store, authorizer), clock)
        signing = UserSigning(store, trail, authorizer, self.authorities, certificates)
        return (
            *resources_api.methods(resources),
            *users_api.methods(Users(backend, store, trail, authorizer, passwords, attempts, invites, factors)),
            *login_api.methods(login),
            *web_sessions_api.methods(browsers),
            *certificates_api.methods(hosts, signing, databases),
            *join_api.methods(self._joining(hosts, admission)),
            *bots_api.methods(renewals, outputs),
            *inventory_api.methods(self.inventory),
            *openssh_api.methods(
                servers,
                OpenSSHJoining(store, self._tokens, trail, self.authorities, signer, clock, entropy, cluster),
                ServerCertificates(trail, authorizer, self.authorities, signer, clock, entropy, cluster),
            ),
            *audit_api.methods(Audit(backend, trail, authorizer)),
            *audit_query_api.methods(
                AuditQueries(trail, authorizer, clock), Delivery(backend, trail, authorizer, clock)
            ),
            *audit_proof_api.methods(self.proof),
            *recordings_api.methods(Recordings(self.archive, self._recording_keys, trail, authorizer, search)),
            *decisions_api.methods(Decisions(store, self._denials, authorizer, certificates)),
            *status_api.methods(Status(authorizer, self.authorities, cluster, self._settings)),
        )

    def _joining(self, hosts: HostCertificateIssuer, bots: Admission) -> Joining:
        return Joining(
            self._tokens, self.audit_log, self._authorizer, self.authorities, hosts, bots, self._join_methods,
            self._clock, self._entropy, self.cluster, self._allow_old,
        )  # fmt: skip

    @property
    def methods(self) -> dict[str, rpc.Method]:
        """Every method by path, with its audience."""
        return dict(self._server.methods)

    async def start(self) -> None:
        """Create the cluster at the first start. Raises BadParameter (AUTH-OTHER-CLUSTER)."""
        await bootstrap.ensure(
            self._backend, self.store, self.audit_log, self._signer, self._clock, self._entropy, self.cluster
        )  # fmt: skip
        await self._recording_keys.ensure(self._recording_mode, self._checks_host_keys)
        await networking_config.ensure(self.store, self._networking)
        await self._tokens.publish()
        await self._passwords.warm_up()

    async def run(self) -> None:
        """Do what has to be done regularly, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.proof.run())
            group.create_task(self.archive.run())
            group.create_task(self.inventory.run())
            if self.screens is not None:
                group.create_task(self.screens.indexer.run())
            await tasks.every(_COUNT_EVERY, self._count, entropy=self._entropy, first=_COUNT_EVERY)

    async def _count(self) -> None:
        try:
            await self._denials.close_windows()
            await self._refusals.close_windows()
        except TeleportError as error:
            log.warn("Counts of denials were not written", error=error)

    async def serve(self, stream: Stream, caller: Caller) -> None:
        """Serve one connection of `caller` until it ends."""
        await self._server.serve(stream, caller)

    def door(self, context: ssl.SSLContext, limits: Limits | None = None, *, proxy_protocol: Mode = "") -> Door:
        """Return what serves connections of the network, with a TLS context that asks for certificates.

        `proxy_protocol` is what it does with PROXY headers of load balancers; those of the cluster's own proxies
        are always taken."""
        limits = limits or Limits()
        headers = ProxyProtocol(
            proxy_protocol, clock=self._clock, log=log, verify=self._verify, timeout=limits.handshake
        )  # fmt: skip
        return Door(
            context, serve=self.serve, authorities=self.authorities.every, refusals=self._refusals, clock=self._clock,
            cluster=self.cluster, limits=limits, arrive=headers.receive,
        )  # fmt: skip

    async def _verify(self, header: ProxyHeader) -> None:
        authorities = await self.authorities.every()
        client_address.check(header, authorities=authorities, now=self._clock.now(), cluster=self.cluster)

    async def close(self) -> None:
        """End all calls and write what is still only in memory. The backend and the signer stay open."""
        await self._server.close()
        await self._denials.close_windows(all=True)
        await self._refusals.close_windows(all=True)
        await self.proof.close()
        self._passwords.close()


def _defect(method: str, id: str, error: BaseException) -> None:
    log.error("A call failed unexpectedly", method=method, id=id, error=error)


def _refusal(error: TeleportError) -> None:
    """Say in the log of every call that a lock has refused."""
    if error.code == "POL-LOCKED":
        log.warn(error.what)
