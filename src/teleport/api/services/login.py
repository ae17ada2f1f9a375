"""Login: sign-up and sign-in, called by the proxy for people who have no certificate yet."""

from __future__ import annotations

from typing import Protocol

from teleport.api.caller import PROXY, Caller
from teleport.api.messages import Authority, Invitation, LoginRequest, SignedIn, SignUp
from teleport.api.pb import login_pb2 as pb
from teleport.api.rpc import Method, call
from teleport.api.times import seconds_of

DESCRIBE_INVITE = call("Login", "DescribeInvite", pb.DescribeInviteRequest, pb.InviteDescription)
COMPLETE_INVITE = call("Login", "CompleteInvite", pb.CompleteInviteRequest, pb.CompleteInviteReply)
LOGIN = call("Login", "Login", pb.LoginRequest, pb.LoginReply)


class Login(Protocol):
    """What the Auth Service does. Methods raise `base.errors`."""

    async def describe_invite(self, token: str, browser: str) -> Invitation:
        """Say whom a link is for and what `browser` may enrol; does not use the link up."""
        ...

    async def complete_invite(self, request: SignUp) -> str:
        """Set the password, enrol the device, use the link up, return the user's name."""
        ...

    async def login(self, request: LoginRequest) -> SignedIn:
        """Exchange credentials for certificates."""
        ...


def methods(login: Login) -> tuple[Method, ...]:
    """Return the methods of the service."""

    async def describe(caller: Caller, request: pb.DescribeInviteRequest) -> pb.InviteDescription:
        found = await login.describe_invite(request.token, request.browser)
        offered = found.enrolment
        return pb.InviteDescription(
            user=found.user, purpose=found.purpose, expires=found.expires,
            enrolment=pb.Enrolment(secret=offered.secret, uri=offered.uri) if offered else None,
        )  # fmt: skip

    async def complete(caller: Caller, request: pb.CompleteInviteRequest) -> pb.CompleteInviteReply:
        asked = SignUp(
            token=request.token, password=request.password, client_address=request.client_address,
            browser=request.browser, code=request.code, device_name=request.device_name,
        )  # fmt: skip
        return pb.CompleteInviteReply(user=await login.complete_invite(asked))

    async def sign_in(caller: Caller, request: pb.LoginRequest) -> pb.LoginReply:
        signed = await login.login(
            LoginRequest(
                user=request.user, password=request.password, code=request.code, ssh_public_key=request.ssh_public_key,
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
