"""Joining of servers without an agent: a token against a host certificate and a place in the list of nodes.

Whoever has a token may register a server under any name, as agents may. It must not change a server that is there:
that one keeps its id, and may change its labels, only when it signs with the key of the certificate that it got. And
what it registers carries a mark that only the Auth Service writes: such a server is recognised by its id alone
(`agents.forwarding.way`), so that a record that leads to somebody else's address leads nowhere.
"""

from __future__ import annotations

import datetime as dt

from teleport.api.caller import NODE, Caller
from teleport.api.openssh_messages import Former, Joined, JoinServer, statement
from teleport.auth.authorities import Authorities
from teleport.auth.host_certs import check_names
from teleport.auth.join.tokens import Missing, Tokens
from teleport.auth.openssh import server_identity
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy, new_uuid
from teleport.base.errors import AccessDenied, BadParameter, NotFound, TeleportError
from teleport.base.log import logger
from teleport.model.events.cert import CertCreate, CertIdentity
from teleport.model.events.join import InstanceJoin
from teleport.model.kinds.node import JOINED, OPENSSH, Node
from teleport.model.kinds.token import mask
from teleport.model.naming import RESERVED_PREFIX
from teleport.model.resource import load
from teleport.pki import check, issue, keys, ssh
from teleport.pki.signer import Signer
from teleport.store.audit.log import AuditLog
from teleport.store.resources import Resources

LIFE = dt.timedelta(days=365)
"""Lifetime of the host certificate; it joins again before it ends."""
_MOST_NAMES = 20

log = logger("AUTH")


class OpenSSHJoining:
    """Implements `api.services.openssh.Joining`."""

    def __init__(
        self, resources: Resources, tokens: Tokens, audit: AuditLog, authorities: Authorities, signer: Signer,
        clock: Clock, entropy: Entropy, cluster: str,
    ) -> None:  # fmt: skip
        self._resources = resources
        self._tokens = tokens
        self._audit = audit
        self._authorities = authorities
        self._signer = signer
        self._clock = clock
        self._entropy = entropy
        self._cluster = cluster

    async def join(self, caller: Caller, request: JoinServer) -> Joined:
        caller.known()  # the proxy that passes it on; its identity lends nothing to who asks
        try:
            await self._check_token(request)
            name = await self._name(request)
            node = _node(name, request)
        except TeleportError as error:
            log.warn("Failure to join cluster occurred", node_name=request.hostname[:80], error=error,
                     remote_addr=request.client_address, token_name=mask(request.token))  # fmt: skip
            await self._audit.record(self._event(request, False, error=str(error)))
            raise
        identity = server_identity(node, self._cluster, self._clock.now() + LIFE, request.principals)
        made = await issue.ssh_certificate(
            self._signer, await self._authorities.own("host"), identity, key=request.ssh_public_key,
            now=self._clock.now(), entropy=self._entropy,
        )  # fmt: skip
        told = CertCreate(cert_type="host", identity=CertIdentity.of(identity), addr_remote=request.client_address)
        joined = self._event(request, True, host_id=name)
        await self._resources.upsert(node, self._audit.op(told), self._audit.op(joined))
        trusted = (await self._authorities.own("openssh")).trusted_ssh()
        return Joined(
            host_uuid=name, cluster=self._cluster, certificate=made.blob, expires=identity.expires,
            user_authorities=tuple(key.public_key for key in trusted),
        )  # fmt: skip

    async def _check_token(self, request: JoinServer) -> None:
        """Raises AccessDenied (AUTH-JOIN-TOKEN, AUTH-TOKEN-*), BadParameter (AUTH-JOIN-ROLE, AUTH-JOIN-ENDPOINT)."""
        host = ascii(request.hostname[:80])[1:-1]
        token = await self._tokens.find(request.token)
        if isinstance(token, Missing):
            log.info("A token is not there", token_name=mask(request.token[:200]), reason=token.reason)
            raise token.refusal(host, "Node")
        if not token.is_secret:  # the name of any other is no proof of anything
            raise BadParameter("AUTH-JOIN-ENDPOINT", method=token.spec.join_method)
        if "Node" not in token.spec.roles:
            raise BadParameter("AUTH-JOIN-ROLE", host=host, roles=", ".join(token.spec.roles))

    async def _name(self, request: JoinServer) -> str:
        """Return the id of the server: a new one, or its former one, which it has to prove."""
        if request.former is None:
            return new_uuid(self._entropy)
        name = await self._proven(request.former, statement(request.token, request.ssh_public_key))
        try:
            found = await self._resources.get(Node, name)
        except NotFound:
            return name  # it was removed, and comes back as itself
        if JOINED not in found.metadata.labels:
            raise AccessDenied("AUTH-JOIN-FORMER", problem="its id belongs to a node that did not join this way")
        return name

    async def _proven(self, former: Former, said: bytes) -> str:
        try:
            certificate = ssh.parse(former.certificate)
            identity = check.check_host(
                former.certificate, host=certificate.principals[0] if certificate.principals else "",
                authorities=await self._authorities.every(), now=self._clock.now(), cluster=self._cluster,
            )  # fmt: skip
        except TeleportError as error:
            raise AccessDenied("AUTH-JOIN-FORMER", problem=error.what) from None
        if not keys.verify_ssh_signature(keys.load_ssh_blob(certificate.key), former.signature, said):
            raise AccessDenied("AUTH-JOIN-FORMER", problem="the signature is not by the key of its certificate")
        return identity.name.removesuffix(f".{self._cluster}")

    def _event(self, request: JoinServer, success: bool, *, host_id: str = "", error: str = "") -> InstanceJoin:
        return InstanceJoin(
            success=success, host_id=host_id, method="token",
            node_name=ascii(request.hostname[:80])[1:-1], role="Node", token_name=mask(request.token[:200]),
            error=error[:1000], addr_remote=request.client_address,
        )  # fmt: skip


def _node(name: str, request: JoinServer) -> Node:
    """Return the record. Raises BadParameter (AUTH-HOST-REQUEST, KIND-*, PKI-KEY)."""
    if len(request.principals) > _MOST_NAMES:
        raise BadParameter("AUTH-HOST-REQUEST", problem=f"there are more than {_MOST_NAMES} names")
    if any(label.startswith(RESERVED_PREFIX) for label in request.labels):
        raise BadParameter("KIND-LABEL", kind="node", label=RESERVED_PREFIX, problem="it is reserved")
    check_names(name, (request.hostname, *request.principals), frozenset({NODE}))
    keys.load_ssh_blob(request.ssh_public_key)
    made = load(
        {
            "kind": "node", "version": "v2", "sub_kind": OPENSSH,
            "metadata": {"name": name, "labels": {**request.labels, JOINED: "openssh"}},
            "spec": {"hostname": request.hostname, "addr": request.address},
        }
    )  # fmt: skip
    assert isinstance(made, Node)  # noqa: S101 - what a document of that kind becomes
    return made
