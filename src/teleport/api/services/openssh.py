"""OpenSSH: certificates for connections that the proxy ends, and servers without an agent."""

from __future__ import annotations

from typing import Protocol

from teleport.api.caller import PEOPLE, PROXY, Caller
from teleport.api.openssh_messages import Certified, Former, Joined, JoinServer, LoginAt, ServerCertified, ServerRequest
from teleport.api.pb import openssh_pb2 as pb
from teleport.api.rpc import Method, call
from teleport.api.times import time_of
from teleport.pki import keys
from teleport.pki.login_proof import LoginProof

ISSUE_TARGET = call("OpenSSH", "IssueTarget", pb.IssueTargetRequest, pb.IssueTargetReply)
ISSUE_LOGIN = call("OpenSSH", "IssueLogin", pb.IssueLoginRequest, pb.IssueLoginReply)
JOIN = call("OpenSSH", "Join", pb.JoinOpenSSHRequest, pb.JoinOpenSSHReply)
ISSUE_SERVER = call("OpenSSH", "IssueServer", pb.IssueServerRequest, pb.IssueServerReply)


class Certifier(Protocol):
    """Who certifies for proxies. Methods raise `base.errors`."""

    async def issue_target(self, caller: Caller, node: str, ssh_public_key: bytes) -> Certified:
        """Certify a proxy's host key for the names of one node."""
        ...

    async def issue_login(self, caller: Caller, request: LoginAt) -> Certified:
        """Certify a proxy's key for one login of the user who has signed in at it."""
        ...


class Joining(Protocol):
    """Who takes in servers without an agent. Methods raise `base.errors`."""

    async def join(self, caller: Caller, request: JoinServer) -> Joined:
        """Register a server and certify its host key."""
        ...


class ServerCertifier(Protocol):
    """Who certifies OpenSSH servers. Methods raise `base.errors`."""

    async def issue_server(self, caller: Caller, request: ServerRequest) -> ServerCertified:
        """Certify a host key for names."""
        ...


def methods(certifier: Certifier, joining: Joining, servers: ServerCertifier) -> tuple[Method, ...]:
    """Return the methods of the service."""

    async def issue_target(caller: Caller, request: pb.IssueTargetRequest) -> pb.IssueTargetReply:
        made = await certifier.issue_target(caller, request.node, keys.load_ssh_line(request.ssh_public_key))
        return pb.IssueTargetReply(ssh_certificate=keys.ssh_line(made.certificate), expires=made.expires)

    async def issue_login(caller: Caller, request: pb.IssueLoginRequest) -> pb.IssueLoginReply:
        proof = request.proof
        made = await certifier.issue_login(
            caller,
            LoginAt(
                node=request.node, login=request.login, ssh_public_key=keys.load_ssh_line(request.ssh_public_key),
                proof=LoginProof(proof.certificate, proof.session_id, proof.message, proof.signature),
                client_address=request.client_address,
            ),
        )  # fmt: skip
        return pb.IssueLoginReply(ssh_certificate=keys.ssh_line(made.certificate), expires=made.expires)

    async def join(caller: Caller, request: pb.JoinOpenSSHRequest) -> pb.JoinOpenSSHReply:
        joined = await joining.join(
            caller,
            JoinServer(
                token=request.token, former=_former(request), hostname=request.hostname, address=request.address,
                labels=dict(request.labels), principals=tuple(request.principals),
                ssh_public_key=keys.load_ssh_line(request.ssh_public_key), client_address=request.client_address,
            ),
        )  # fmt: skip
        return pb.JoinOpenSSHReply(
            ssh_certificate=keys.ssh_line(joined.certificate), expires=joined.expires, host_uuid=joined.host_uuid,
            user_authorities=joined.user_authorities, cluster=joined.cluster,
        )  # fmt: skip

    async def issue_server(caller: Caller, request: pb.IssueServerRequest) -> pb.IssueServerReply:
        made = await servers.issue_server(
            caller,
            ServerRequest(
                ssh_public_key=keys.load_ssh_line(request.ssh_public_key), principals=tuple(request.principals),
                expires=time_of(request.expires), trusts=request.trusts,
            ),
        )  # fmt: skip
        return pb.IssueServerReply(
            ssh_certificate=keys.ssh_line(made.certificate), expires=made.expires,
            user_authorities=made.user_authorities,
        )  # fmt: skip

    return (
        Method(ISSUE_TARGET, frozenset({PROXY}), issue_target),
        Method(ISSUE_LOGIN, frozenset({PROXY}), issue_login),
        Method(JOIN, frozenset({PROXY}), join),
        Method(ISSUE_SERVER, PEOPLE, issue_server),
    )


def _former(request: pb.JoinOpenSSHRequest) -> Former | None:
    if not request.former_certificate:
        return None
    return Former(request.former_certificate, request.former_signature)
