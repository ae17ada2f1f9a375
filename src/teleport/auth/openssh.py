"""Certificates for connections that the proxy ends: as which host it stands before users, and as whom before servers.

A proxy gets neither of them for the asking. It may stand for a node only where the cluster wants its connections ended
at the proxy. It may go on as a user only with the user's own proof of having just signed in; whether that user may, is
decided here again, with the roles and locks that are stored, and each proof is good for one certificate of two minutes.
So a proxy that somebody has taken over cannot name users that never came, nor keep what they brought for later.

Servers without an agent get a certificate of the openssh authority. A node gets one of the user authority that says
what the user's own says, for this node alone, and who records the session: that mark stands in nothing that users get.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass

import msgspec

from teleport.access.action import Connect
from teleport.access.checker import Grant
from teleport.access.explain import user_error
from teleport.access.roleset import Options
from teleport.access.system import host_id
from teleport.api.caller import Caller
from teleport.api.openssh_messages import Certified, LoginAt
from teleport.auth.authorities import Authorities
from teleport.auth.authorize import Authorizer, Rights
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.errors import AccessDenied, AlreadyExists, TeleportError
from teleport.model.address import parse_addr
from teleport.model.events.base import caller_fields
from teleport.model.events.cert import CertCreate, CertIdentity
from teleport.model.identity import Identity
from teleport.model.kinds.node import SSH_PORT, Node, public_address
from teleport.model.kinds.session_recording_config import SessionRecordingConfig
from teleport.pki import issue, keys, login_proof, ssh
from teleport.pki.signer import Signer
from teleport.store.audit.log import AuditLog
from teleport.store.backend import Absent, Backend, Put
from teleport.store.resources import Resources

TARGET_LIFE = dt.timedelta(hours=1)
"""How long a proxy may stand for a node with one certificate."""
LOGIN_LIFE = dt.timedelta(minutes=2)
"""How long a certificate opens a server: it is for a connection that is being made."""
_USED = "/openssh_logins/"
"""Where the proofs stand that were used, until the certificates in them have ended."""
_ABSENT = ("STORE-RESOURCE-NOT-FOUND", "STORE-RESOURCE-NAME")


@dataclass(frozen=True)
class _Going:
    """Who goes on, as which account, with which key (blob), until when."""

    identity: Identity
    login: str
    key: bytes
    expires: dt.datetime


class OpenSSHCertificates:
    """Implements `api.services.openssh.Certifier`."""

    def __init__(
        self, backend: Backend, resources: Resources, audit: AuditLog, authorizer: Authorizer,
        authorities: Authorities, signer: Signer, clock: Clock, entropy: Entropy, cluster: str,
    ) -> None:  # fmt: skip
        self._backend = backend
        self._resources = resources
        self._audit = audit
        self._authorizer = authorizer
        self._authorities = authorities
        self._signer = signer
        self._clock = clock
        self._entropy = entropy
        self._cluster = cluster

    async def issue_target(self, caller: Caller, node: str, ssh_public_key: bytes) -> Certified:
        rights = await self._authorizer.rights(caller)
        target = await self._node(rights, node)
        if not target.agentless and not await self._ends_at_proxy():
            raise AccessDenied("AUTH-OPENSSH-TARGET", node=target.spec.hostname)
        identity = server_identity(target, self._cluster, self._clock.now() + TARGET_LIFE)
        made = await issue.ssh_certificate(
            self._signer, await self._authorities.own("host"), identity, key=_plain(ssh_public_key),
            now=self._clock.now(), entropy=self._entropy,
        )  # fmt: skip
        event = CertCreate(cert_type="host", identity=CertIdentity.of(identity), **caller_fields(rights.identity))
        await self._audit.record(event)
        return Certified(made.blob, identity.expires)

    async def issue_login(self, caller: Caller, request: LoginAt) -> Certified:
        rights = await self._authorizer.rights(caller)
        node = await self._node(rights, request.node)
        if not node.agentless and not await self._ends_at_proxy():
            raise AccessDenied("AUTH-OPENSSH-TARGET", node=node.spec.hostname)
        identity = login_proof.verify(
            request.proof, login=request.login, authorities=await self._authorities.every(), now=self._clock.now(),
            cluster=self._cluster,
        )  # fmt: skip
        grant = await self._permit(identity, request.login, node)
        expires = min(self._clock.now() + LOGIN_LIFE, identity.expires).replace(microsecond=0)
        going = _Going(identity, request.login, _plain(request.ssh_public_key), expires)
        made = await (
            self._for_sshd(going, grant.options) if node.agentless
            else self._for_node(going, node, by=host_id(rights.identity))
        )  # fmt: skip
        told = CertIdentity(
            user=identity.name, roles=identity.roles, logins=(request.login,), expires=expires,
            teleport_cluster=self._cluster,
        )  # fmt: skip
        event = CertCreate(
            cert_type="user", identity=told, target=node.name, addr_remote=request.client_address,
            **caller_fields(rights.identity),
        )  # fmt: skip
        used = Put(_USED + hashlib.sha256(request.proof.session_id).hexdigest(), b"", identity.expires, Absent())
        try:
            await self._backend.commit(used, self._audit.op(event))
        except AlreadyExists:
            raise AccessDenied("AUTH-OPENSSH-REPLAY", user=identity.name) from None
        return Certified(made.blob, expires)

    async def _for_sshd(self, going: _Going, options: Options) -> ssh.SSHCertificate:
        return await issue.login_certificate(
            self._signer, await self._authorities.own("openssh"), user=going.identity.name, login=going.login,
            key=going.key, extensions=_extensions(options), now=self._clock.now(), expires=going.expires,
            entropy=self._entropy,
        )  # fmt: skip

    async def _for_node(self, going: _Going, node: Node, *, by: str) -> ssh.SSHCertificate:
        """Everything that the user's own certificate says, for this login and this node, and that `by` records."""
        carried = msgspec.structs.replace(
            going.identity, principals=(going.login,), expires=going.expires, recorded_by=by, only_at=node.name
        )  # fmt: skip
        return await issue.ssh_certificate(
            self._signer, await self._authorities.own("user"), carried, key=going.key, now=self._clock.now(),
            entropy=self._entropy,
        )  # fmt: skip

    async def _node(self, rights: Rights, name: str) -> Node:
        kind = Node.info.name
        await self._authorizer.demand(rights, "read", kind)
        try:
            found = await self._resources.get(Node, name)
        except TeleportError as error:
            if error.code not in _ABSENT:
                raise
            raise await self._authorizer.absent(rights, "read", kind, name) from None
        await self._authorizer.demand(rights, "read", found, asked=name)
        return found

    async def _permit(self, identity: Identity, login: str, node: Node) -> Grant:
        """Decide as the proxy did, without believing it. Raises AccessDenied and NotFound (POL-*)."""
        roles = await self._authorizer.role_set(identity.roles, identity.traits)
        decision = Rights(identity, roles, await self._authorizer.conditions()).decide(Connect(login), node)
        if isinstance(decision, Grant):
            return decision
        raise user_error(decision, await self._authorizer.keep(decision), node.spec.hostname)

    async def _ends_at_proxy(self) -> bool:
        return (await self._resources.get(SessionRecordingConfig, "")).at_proxy


def server_identity(node: Node, cluster: str, expires: dt.datetime, principals: tuple[str, ...] = ()) -> Identity:
    """Return whom a host certificate for a node names: the id, the host name, both with the cluster, and the host of
    each address under which it is reached."""
    name, host = node.name, node.spec.hostname
    reached = [parse_addr(addr, SSH_PORT).host for addr in (public_address(node), node.spec.addr) if addr]
    names = (f"{name}.{cluster}", name, *((f"{host}.{cluster}", host) if host else ()), *reached, *principals)
    return Identity(
        name=f"{name}.{cluster}", cluster=cluster, kind="host", roles=("Node",), system_roles=("Node",),
        principals=tuple(dict.fromkeys(names)), expires=expires.replace(microsecond=0),
    )  # fmt: skip


def _plain(blob: bytes) -> bytes:
    """Return a key that is to be certified. Raises BadParameter (PKI-KEY)."""
    keys.load_ssh_blob(blob)
    return blob


def _extensions(options: Options) -> tuple[str, ...]:
    """Return what the server may let a session do (OpenSSH's PROTOCOL.certkeys)."""
    allowed = {
        "permit-pty": True, "permit-port-forwarding": options.local_forwarding or options.remote_forwarding,
        "permit-agent-forwarding": options.forward_agent, "permit-X11-forwarding": options.permit_x11_forwarding,
    }  # fmt: skip
    return tuple(name for name, on in allowed.items() if on)
