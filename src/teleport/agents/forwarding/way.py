"""The way on from the proxy to the server, of one user's connection: made when the first channel needs it, once.

The server has to show a host certificate of the cluster for one of its names, before anything is said to it. What the
proxy shows is a certificate for this user, this login and the next two minutes; its key never leaves this process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from teleport.agents.ssh.authority import Authority
from teleport.api.openssh_messages import Certified, LoginAt
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.base.errors import Internal, NotAuthenticated, TeleportError, Unavailable
from teleport.model.address import parse_addr
from teleport.model.kinds.node import JOINED, SSH_PORT, Node, public_address
from teleport.net import ssh_onward
from teleport.net.ssh import ServerConnection
from teleport.net.ssh_carried import OnwardSession
from teleport.net.ssh_onward import Credential, Onward
from teleport.net.stream import Stream
from teleport.pki import check, keys, ssh
from teleport.pki.login_proof import LoginProof


class Certifier(Protocol):
    """Who certifies for this proxy: the Auth Service."""

    async def issue_target(self, node: str, ssh_public_key: bytes) -> Certified: ...

    async def issue_login(self, asked: LoginAt) -> Certified: ...


class Way:
    """Leads to one server. `stream` is the connection to it, on which nothing was said yet."""

    def __init__(
        self, client: ServerConnection, stream: Stream, *, authority: Authority, certifier: Certifier, clock: Clock,
        entropy: Entropy, cluster: str, checks_host_keys: Callable[[], bool], watch: ssh_onward.Watch,
    ) -> None:  # fmt: skip
        self._client = client
        self._stream = stream
        self._authority = authority
        self._certifier = certifier
        self._clock = clock
        self._entropy = entropy
        self._cluster = cluster
        self._checks_host_keys = checks_host_keys
        self._watch = watch
        self.sessions: dict[str, OnwardSession] = {}
        """Who hears the server in the user's sessions, by the id of the session."""
        self._turn = asyncio.Lock()
        self._onward: Onward | None = None
        self._failure: TeleportError | None = None

    @property
    def names_sessions(self) -> bool:
        """Whether what is there wants to know under which id a session is recorded: a node does."""
        return not self._authority.node().agentless

    async def onward(self) -> Onward:
        """Return the connection to the server, signed in as the login that the user signed in as.

        Raises what the Auth Service says to `issue_login`, NotAuthenticated (SSH-HOST-KEY, PKI-*), and what
        `net.ssh_onward.connect` raises; a way that failed once stays closed.
        """
        async with self._turn:
            if self._failure is not None:
                raise self._failure
            if self._onward is None:
                try:
                    self._onward = await self._connect()
                except TeleportError as error:
                    self._failure = error
                    raise
            return self._onward

    async def session(self, id: str) -> tuple[Onward, OnwardSession]:
        """Return the channel of a session, which is open from here on, and the connection that it is on. Raises what
        `onward` and `Onward.open` raise, and Unavailable (SSH-ENDED) when the user has left."""
        onward = await self.onward()
        far = self.sessions.get(id)
        if far is None:
            raise Unavailable("SSH-ENDED", reason="it has ended")
        if far.far is None:
            await onward.open(far)
        return onward, far

    async def _connect(self) -> Onward:
        node, client = self._authority.node(), self._client
        shown = client.proof
        if shown is None:
            raise Internal("SSH-INTERNAL")
        proof = LoginProof(shown.certificate, shown.session_id, shown.message, shown.signature)
        key = keys.make_ed25519(self._entropy)
        issued = await self._certifier.issue_login(
            LoginAt(
                node=node.name, login=client.login, ssh_public_key=keys.ssh_blob(key.public_key()),
                proof=proof, client_address=client.client,
            )
        )  # fmt: skip
        credential = Credential(keys.private_openssh(key), issued.certificate)
        return await ssh_onward.connect(
            self._stream, host=node.spec.hostname, login=client.login, credential=credential, check=self._check,
            watch=self._watch,
        )  # fmt: skip

    def _check(self, blob: bytes) -> None:
        """Accept the key of the server, or raise. One of its names is enough: those who sign certificates by hand name
        what they know it by."""
        node = self._authority.node()
        if node.agentless and not self._checks_host_keys():
            return
        if not ssh.is_certificate(blob):
            raise NotAuthenticated("SSH-HOST-CERTIFICATE", host=node.spec.hostname)
        refusal: TeleportError | None = None
        for name in names_of(node, self._cluster):
            try:
                check.check_host(
                    blob, host=name, authorities=self._authority.authorities(), now=self._clock.now(),
                    cluster=self._cluster,
                )  # fmt: skip
                return
            except TeleportError as error:
                refusal = refusal or error
        problem = "it has no name" if refusal is None else refusal.what
        raise NotAuthenticated("SSH-HOST-REFUSED", host=node.spec.hostname, problem=problem)

    async def close(self) -> None:
        """End the connection to the server, or what was to become one."""
        self._failure = self._failure or Unavailable("NET-CLOSED", address=self._client.client)
        if self._onward is not None:
            await self._onward.close()
        await self._stream.close()


def names_of(node: Node, cluster: str) -> tuple[str, ...]:
    """Return the names by which a server may prove itself, the most telling one first. A node, and a server that
    registered itself, has a certificate with its id; no other name will do, since anybody with a token may write a
    record with any."""
    own = (node.name, f"{node.name}.{cluster}")
    if JOINED in node.metadata.labels or not node.agentless:
        return own
    host, addr = node.spec.hostname, parse_addr(public_address(node), SSH_PORT).host
    return tuple(dict.fromkeys((host, f"{host}.{cluster}", *own, addr)))
