"""Certificates: for the services of the cluster, and for users in whose name an administrator acts."""

from __future__ import annotations

from typing import Protocol

from teleport.api.caller import ADMIN, AUTH, INSTANCE, PEOPLE, Caller
from teleport.api.messages import DatabaseRequest, HostRequest, MadeCertificates, UserRequest
from teleport.api.pb import certificates_pb2 as pb
from teleport.api.rpc import Method, call
from teleport.api.services.login import authority_message
from teleport.api.times import seconds_of

ISSUE_HOST = call("Certificates", "IssueHost", pb.IssueHostRequest, pb.IssueHostReply)
ISSUE_USER = call("Certificates", "IssueUser", pb.IssueUserRequest, pb.IssueUserReply)

ISSUE_DATABASE = call("Certificates", "IssueDatabase", pb.IssueDatabaseRequest, pb.IssueDatabaseReply)


class HostIssuer(Protocol):
    """Who makes certificates of services. Methods raise `base.errors`."""

    async def issue_host(self, caller: Caller, request: HostRequest) -> MadeCertificates:
        """Issue certificates for a service: for itself, or for any when the administrator asks."""
        ...


class UserIssuer(Protocol):
    """Who makes certificates of users without a sign-in. Methods raise `base.errors`."""

    async def issue_user(self, caller: Caller, request: UserRequest) -> MadeCertificates:
        """Issue certificates that name another user, to a caller who may `use` that user."""
        ...


class DatabaseIssuer(Protocol):
    """Who makes certificates of databases. Methods raise `base.errors`."""

    async def issue_database(self, caller: Caller, request: DatabaseRequest) -> MadeCertificates:
        """Issue a certificate for a database itself; there is none for SSH."""
        ...


def methods(hosts: HostIssuer, users: UserIssuer, databases: DatabaseIssuer) -> tuple[Method, ...]:
    """Return the methods of the service."""

    async def issue_host(caller: Caller, request: pb.IssueHostRequest) -> pb.IssueHostReply:
        issued = await hosts.issue_host(
            caller,
            HostRequest(
                host_uuid=request.host_uuid, node_name=request.node_name, roles=tuple(request.roles),
                principals=tuple(request.principals), ssh_public_key=request.ssh_public_key,
                tls_public_key=request.tls_public_key, ttl=seconds_of(request.ttl),
            ),
        )  # fmt: skip
        return pb.IssueHostReply(
            ssh_certificate=issued.ssh_certificate, tls_certificate=issued.tls_certificate, expires=issued.expires,
            authorities=[authority_message(authority) for authority in issued.authorities],
        )  # fmt: skip

    async def issue_user(caller: Caller, request: pb.IssueUserRequest) -> pb.IssueUserReply:
        issued = await users.issue_user(
            caller,
            UserRequest(
                user=request.user, ssh_public_key=request.ssh_public_key, tls_public_key=request.tls_public_key,
                ttl=seconds_of(request.ttl),
            ),
        )  # fmt: skip
        return pb.IssueUserReply(
            ssh_certificate=issued.ssh_certificate, tls_certificate=issued.tls_certificate, expires=issued.expires,
            authorities=[authority_message(authority) for authority in issued.authorities],
        )  # fmt: skip

    async def issue_database(caller: Caller, request: pb.IssueDatabaseRequest) -> pb.IssueDatabaseReply:
        wanted = DatabaseRequest(
            hosts=tuple(request.hosts), tls_public_key=request.tls_public_key, ttl=seconds_of(request.ttl)
        )
        issued = await databases.issue_database(caller, wanted)
        return pb.IssueDatabaseReply(
            tls_certificate=issued.tls_certificate, expires=issued.expires,
            authorities=[authority_message(authority) for authority in issued.authorities],
        )  # fmt: skip

    return (
        Method(ISSUE_HOST, frozenset({ADMIN, AUTH, INSTANCE}), issue_host),
        Method(ISSUE_USER, PEOPLE, issue_user),
        Method(ISSUE_DATABASE, PEOPLE, issue_database),
    )
