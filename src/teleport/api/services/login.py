"""Login: sign-up and sign-in, called by the proxy for people who have no certificate yet."""

from __future__ import annotations

from typing import Protocol

from teleport.api.caller import PROXY, Caller
from teleport.api.messages import Authority, Invitation, LoginRequest, SignedIn
from teleport.api.pb import login_pb2 as pb
from teleport.api.rpc import Method, call
from teleport.api.times import seconds_of

DESCRIBE_INVITE = call("Login", "DescribeInvite", pb.DescribeInviteRequest, pb.InviteDescription)
COMPLETE_INVITE = call("Login", "CompleteInvite", pb.CompleteInviteRequest, pb.CompleteInviteReply)
LOGIN = call("Login", "Login", pb.LoginRequest, pb.LoginReply)


class Login(Protocol):
    """What the Auth Service does. Methods raise `base.errors`."""

    async def describe_invite(self, token: str) -> Invitation:
        """Say whom a link is for; does not use it up."""
        ...

    async def complete_invite(self, token: str, password: str, client_address: str) -> str:
        """Set the password, use the link up, return the user's name."""
        ...

    async def login(self, request: LoginRequest) -> SignedIn:
        """Exchange a password for certificates."""
        ...


def methods(login: Login) -> tuple[Method, ...]:
    """Return the methods of the service."""

    async def describe(caller: Caller, request: pb.DescribeInviteRequest) -> pb.InviteDescription:
        found = await login.describe_invite(request.token)
        return pb.InviteDescription(user=found.user, purpose=found.purpose, expires=found.expires)

    async def complete(caller: Caller, request: pb.CompleteInviteRequest) -> pb.CompleteInviteReply:
        user = await login.complete_invite(request.token, request.password, request.client_address)
        return pb.CompleteInviteReply(user=user)

    async def sign_in(caller: Caller, request: pb.LoginRequest) -> pb.LoginReply:
        signed = await login.login(
            LoginRequest(
                user=request.user, password=request.password, ssh_public_key=request.ssh_public_key,
                tls_public_key=request.tls_public_key, ttl=seconds_of(request.ttl),
                client_address=request.client_address,
            )
        )  # fmt: skip
        return pb.LoginReply(
            user=signed.username, ssh_certificate=signed.ssh_certificate, tls_certificate=signed.tls_certificate,
            expires=signed.expires, host_authorities=[authority_message(signed.hosts)],
        )  # fmt: skip

    audience = frozenset({PROXY})
    return (
        Method(DESCRIBE_INVITE, audience, describe),
        Method(COMPLETE_INVITE, audience, complete),
        Method(LOGIN, audience, sign_in),
    )


def authority_message(authority: Authority) -> pb.TrustedAuthority:
    """Write the public half of an authority as a message."""
    return pb.TrustedAuthority(
        cluster=authority.cluster, type=authority.type,
        ssh_keys=authority.ssh_keys, tls_certificates=authority.tls_certificates,
    )  # fmt: skip


def authority_of(message: pb.TrustedAuthority) -> Authority:
    """Read the public half of an authority."""
    return Authority(
        cluster=message.cluster, type=message.type,
        ssh_keys=tuple(message.ssh_keys), tls_certificates=tuple(message.tls_certificates),
    )  # fmt: skip
