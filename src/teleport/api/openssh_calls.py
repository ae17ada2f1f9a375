"""OpenSSHCalls: certificates for connections that the proxy ends, and servers without an agent, as plain methods.

Every method raises what the server raised, Unavailable (API-UNAVAILABLE) or TimedOut (API-DEADLINE).
"""

from __future__ import annotations

from teleport.api.client import AuthClient
from teleport.api.openssh_messages import Certified, Former, Joined, JoinServer, LoginAt, ServerCertified, ServerRequest
from teleport.api.pb import openssh_pb2 as pb
from teleport.api.services import openssh
from teleport.api.times import time_of
from teleport.pki import keys


class OpenSSHCalls:
    """Calls over the connection of a client."""

    def __init__(self, client: AuthClient) -> None:
        self._channel = client.channel

    async def issue_target(self, node: str, ssh_public_key: bytes) -> Certified:
        """Return a host certificate with the names of a node for a key (blob) of this proxy."""
        request = pb.IssueTargetRequest(node=node, ssh_public_key=keys.ssh_line(ssh_public_key))
        reply = await self._channel.unary(openssh.ISSUE_TARGET, request)
        return Certified(keys.load_ssh_line(reply.ssh_certificate), time_of(reply.expires))

    async def issue_login(self, asked: LoginAt) -> Certified:
        """Return a user certificate for one login at one server without an agent."""
        proof = asked.proof
        request = pb.IssueLoginRequest(
            node=asked.node, login=asked.login, ssh_public_key=keys.ssh_line(asked.ssh_public_key),
            proof=pb.LoginProof(
                certificate=proof.certificate, session_id=proof.session_id, message=proof.message,
                signature=proof.signature,
            ),
            client_address=asked.client_address,
        )  # fmt: skip
        reply = await self._channel.unary(openssh.ISSUE_LOGIN, request)
        return Certified(keys.load_ssh_line(reply.ssh_certificate), time_of(reply.expires))

    async def join(self, asked: JoinServer) -> Joined:
        """Register a server without an agent."""
        former = asked.former or Former(b"", b"")
        request = pb.JoinOpenSSHRequest(
            token=asked.token, former_certificate=former.certificate, former_signature=former.signature,
            hostname=asked.hostname, address=asked.address, labels=asked.labels, principals=asked.principals,
            ssh_public_key=keys.ssh_line(asked.ssh_public_key), client_address=asked.client_address,
        )  # fmt: skip
        reply = await self._channel.unary(openssh.JOIN, request)
        return Joined(
            host_uuid=reply.host_uuid, cluster=reply.cluster, expires=time_of(reply.expires),
            certificate=keys.load_ssh_line(reply.ssh_certificate), user_authorities=tuple(reply.user_authorities),
        )  # fmt: skip

    async def issue_server(self, asked: ServerRequest) -> ServerCertified:
        """Return a host certificate for an OpenSSH server. Raises AccessDenied (POL-*) without the rule
        `host_cert: create`, BadParameter (AUTH-HOST-REQUEST, PKI-KEY)."""
        request = pb.IssueServerRequest(
            ssh_public_key=keys.ssh_line(asked.ssh_public_key), principals=asked.principals, expires=asked.expires,
            trusts=asked.trusts,
        )  # fmt: skip
        reply = await self._channel.unary(openssh.ISSUE_SERVER, request)
        return ServerCertified(
            certificate=keys.load_ssh_line(reply.ssh_certificate), expires=time_of(reply.expires),
            user_authorities=tuple(reply.user_authorities),
        )  # fmt: skip
