"""AuthService: builds the features of the control plane and hands them to one gRPC server.

Nothing is decided here. Connections come from outside: `serve` takes any Stream with the Caller that was
found for it, so the admin socket, the memory network and TLS are the same to it.
"""

from __future__ import annotations

from collections.abc import Sequence

from teleport.api import rpc
from teleport.api.caller import Caller
from teleport.api.services import audit as audit_api
from teleport.api.services import certificates as certificates_api
from teleport.api.services import decisions as decisions_api
from teleport.api.services import login as login_api
from teleport.api.services import resources as resources_api
from teleport.api.services import status as status_api
from teleport.api.services import users as users_api
from teleport.auth import bootstrap, hooks
from teleport.auth.attempts import Attempts
from teleport.auth.audit import Audit
from teleport.auth.authorities import Authorities
from teleport.auth.authorize import Authorizer
from teleport.auth.decisions import Decisions
from teleport.auth.denials import Denials
from teleport.auth.host_certs import HostCertificateIssuer
from teleport.auth.invites import Invites
from teleport.auth.login import Login
from teleport.auth.passwords import Cost, Passwords
from teleport.auth.resources import Resources
from teleport.auth.status import Status
from teleport.auth.user_certs import UserCertificates
from teleport.auth.users import Users
from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.errors import TeleportError
from teleport.base.log import logger
from teleport.net.stream import Stream
from teleport.pki.signer import Signer
from teleport.store.audit.log import AuditLog
from teleport.store.backend import Backend
from teleport.store.resources import Resources as Store

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
        password_cost: Cost | None = None,
    ) -> None:
        """`host_id` names the audit log of this server. `password_cost` is for tests."""
        self.cluster = cluster
        self.store = Store(backend, clock)
        self.audit_log = AuditLog(backend, host_id, clock, entropy, cluster)
        self.authorities = Authorities(self.store, cluster)
        self._backend, self._signer, self._clock, self._entropy = backend, signer, clock, entropy
        self._passwords = Passwords(backend, entropy, cost=password_cost)
        self._denials = Denials(backend, self.audit_log, clock, entropy)
        self._server = rpc.Server(self._features(), clock=clock, entropy=entropy, on_defect=_defect)

    def _features(self) -> Sequence[rpc.Method]:
        backend, clock, entropy, cluster = self._backend, self._clock, self._entropy, self.cluster
        store, trail, signer, passwords = self.store, self.audit_log, self._signer, self._passwords
        invites, attempts = Invites(backend, clock, entropy), Attempts(backend, store, clock)
        authorizer = Authorizer(store, self._denials, clock, cluster)
        certificates = UserCertificates(authorizer, self.authorities, signer, clock, entropy, cluster)
        login = Login(backend, trail, clock, passwords, attempts, invites, certificates, self.authorities)
        kinds = hooks.table(store, clock, entropy, passwords, attempts, invites, cluster)
        hosts = HostCertificateIssuer(trail, authorizer, self.authorities, signer, clock, entropy, cluster)
        return (
            *resources_api.methods(Resources(store, trail, authorizer, kinds)),
            *users_api.methods(Users(backend, store, trail, authorizer, passwords, attempts, invites)),
            *login_api.methods(login),
            *certificates_api.methods(hosts),
            *audit_api.methods(Audit(backend, trail, authorizer)),
            *decisions_api.methods(Decisions(store, self._denials, authorizer, certificates)),
            *status_api.methods(Status(authorizer, self.authorities, cluster)),
        )

    @property
    def methods(self) -> dict[str, rpc.Method]:
        """Every method by path, with its audience."""
        return dict(self._server.methods)

    async def start(self) -> None:
        """Create the cluster at the first start. Raises BadParameter (AUTH-OTHER-CLUSTER)."""
        await bootstrap.ensure(
            self._backend, self.store, self.audit_log, self._signer, self._clock, self._entropy, self.cluster
        )  # fmt: skip
        await self._passwords.warm_up()

    async def run(self) -> None:
        """Do what has to be done regularly, until cancelled."""
        await tasks.every(_COUNT_EVERY, self._count, entropy=self._entropy, first=_COUNT_EVERY)

    async def _count(self) -> None:
        try:
            await self._denials.close_windows()
        except TeleportError as error:
            log.warn("Counts of denials were not written", error=error)

    async def serve(self, stream: Stream, caller: Caller) -> None:
        """Serve one connection of `caller` until it ends."""
        await self._server.serve(stream, caller)

    async def close(self) -> None:
        """End all calls and write what is still only in memory. The backend and the signer stay open."""
        await self._server.close()
        await self._denials.close_windows(all=True)
        self._passwords.close()


def _defect(method: str, id: str, error: BaseException) -> None:
    log.error("A call failed unexpectedly", method=method, id=id, error=error)
