"""Who is let in to an SSH connection: a certificate, checked by `pki.check` after the client has proven its key.

asyncssh reads and writes the messages of RFC 4252; what they mean is decided here, and no method but `publickey`
exists. Nothing about authorities, logins or locks is told to somebody who does not hold the key of a certificate.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import asyncssh
from asyncssh.constants import DISC_NO_MORE_AUTH_METHODS_AVAILABLE
from asyncssh.packet import SSHPacket, String
from asyncssh.public_key import decode_ssh_public_key

from teleport.base import tasks
from teleport.base.errors import BadParameter, NotAuthenticated, TeleportError
from teleport.model.identity import Identity
from teleport.net.ssh_handler import Handler, Proof, Trust, one_line
from teleport.net.ssh_packets import PacketConnection
from teleport.net.ssh_settings import SIGNATURES, ServerOptions
from teleport.net.stream import Peer
from teleport.pki import ssh
from teleport.pki.check import check_user

ATTEMPTS = 6
"""Signed requests to authenticate that are looked at on one connection."""
QUERIES = 32
"""All requests to authenticate, those with nothing to look at included (an agent may offer many keys)."""


@dataclass
class _Counters:
    """Requests to authenticate so far."""

    signed: int = 0
    all: int = 0


class Authentication(PacketConnection):
    """The half of a connection that lets somebody in."""

    _handler: Handler

    def __init__(self, settings: ServerOptions, *, trust: Trust, client_ip: str) -> None:
        super().__init__(asyncio.get_running_loop(), settings)
        self.client_ip = client_ip
        """Address that a certificate may be bound to; empty where the carrier has none, or it was only claimed."""
        self.identity: Identity | None = None
        """Who authenticated; None before."""
        self.login = ""
        """The account they authenticated for."""
        self.proof: Proof | None = None
        """How they proved it; None before."""
        self._trust = trust
        self._counters = _Counters()

    async def reload_config(self) -> None:
        """Settings do not depend on the user name; asyncssh would build them anew for each."""

    def public_key_auth_supported(self) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return False

    def kbdint_auth_supported(self) -> bool:
        return False

    def host_based_auth_supported(self) -> bool:
        return False

    def gss_kex_auth_supported(self) -> bool:
        return False

    def gss_mic_auth_supported(self) -> bool:
        return False

    async def validate_public_key(self, username: str, key_data: bytes, msg: bytes, signature: bytes) -> bool:
        """Decide on a request to authenticate with a key (RFC 4252 §7).

        Without a signature (`msg` empty) the answer depends on the form of the certificate alone: whoever
        does not hold its key learns nothing about authorities, logins or locks, and leaves no trace. With
        one, the order is: the signature over this connection's session id with the key in the certificate;
        the certificate; the service. Only then does anything carry a text.
        """
        try:
            certificate = ssh.parse(key_data)
        except BadParameter:
            return False
        if not msg:
            self._count(all=1)
            return True
        self._count(signed=1)
        if not _proves(certificate.key, String(self._session_id) + msg, signature):
            return False
        try:
            identity = check_user(
                key_data, proven_key=certificate.key, login=self._principal(certificate, username),
                authorities=self._trust.authorities(), now=self._trust.clock.now(),
                source_ip=self.client_ip, cluster=self._trust.cluster,
            )  # fmt: skip
            await self._handler.authorize(identity, username)
        except TeleportError as error:
            await self._explain(error, certificate, username)
            return False
        self.identity, self.login = identity, username
        self.proof = Proof(self._session_id, msg, signature, key_data, username)
        return True

    def may_resume(self, peer: Peer, signed: Callable[[bytes], bytes], signature: bytes) -> None:
        """Raise unless the client at `peer` is the one that signed in: by a signature over what `signed` returns for
        the digest of the certificate, which must be as good there, now, as it was then.

        Raises NotAuthenticated (SSH-RESUME-EARLY, PKI-*), AccessDenied (PKI-*)."""
        proof = self.proof
        if proof is None or not self._auth_complete:
            raise NotAuthenticated("SSH-RESUME-EARLY")
        certificate = ssh.parse(proof.certificate)
        if not _proves(certificate.key, signed(hashlib.sha256(proof.certificate).digest()), signature):
            raise NotAuthenticated("PKI-BAD-SIGNATURE")
        check_user(
            proof.certificate, proven_key=certificate.key, login=self._principal(certificate, proof.login),
            authorities=self._trust.authorities(), now=self._trust.clock.now(), source_ip=peer.proven_ip,
            cluster=self._trust.cluster,
        )  # fmt: skip

    def _principal(self, certificate: ssh.SSHCertificate, username: str) -> str:
        """Return the principal that must be in the certificate for this user name."""
        own_name = self._trust.user_names and username == certificate.key_id
        return certificate.principals[0] if own_name and certificate.principals else username

    async def _explain(self, error: TeleportError, certificate: ssh.SSHCertificate, login: str) -> None:
        """Record the refusal and say it in a banner. A client that sends its next request at once cancels
        this task; the record is made all the same."""
        record = tasks.spawn(
            self._handler.refused(error, certificate, login), name="ssh-refusal", on_error=self._handler.failed
        )
        shown = await asyncio.shield(record)
        self.send_auth_banner(one_line(shown) + "\n")

    def send_userauth_failure(self, partial_success: bool) -> None:
        self._count(all=1)
        super().send_userauth_failure(partial_success)

    def _count(self, *, signed: int = 0, all: int = 0) -> None:
        self._counters.signed += signed
        self._counters.all += all
        if self._counters.signed > ATTEMPTS or self._counters.all > QUERIES:
            raise asyncssh.DisconnectError(DISC_NO_MORE_AUTH_METHODS_AVAILABLE, "Too many authentication failures")


def _proves(key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` over `message` was made with the private half of `key`, by an algorithm we accept."""
    try:
        algorithm = SSHPacket(signature).get_string()
        return algorithm.decode("ascii") in SIGNATURES and decode_ssh_public_key(key).verify(message, signature)
    except (asyncssh.KeyImportError, asyncssh.packet.PacketDecodeError, ValueError):
        return False
