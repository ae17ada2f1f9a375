"""Certificates: for the services of the cluster."""

from __future__ import annotations

from typing import Protocol

from teleport.api.caller import ADMIN, AUTH, INSTANCE, Caller
from teleport.api.messages import HostCertificates, HostRequest
from teleport.api.pb import certificates_pb2 as pb
from teleport.api.rpc import Method, call
from teleport.api.services.login import authority_message
from teleport.api.times import seconds_of

ISSUE_HOST = call("Certificates", "IssueHost", pb.IssueHostRequest, pb.IssueHostReply)


class Certificates(Protocol):
    """What the Auth Service does. Methods raise `base.errors`."""

    async def issue_host(self, caller: Caller, request: HostRequest) -> HostCertificates:
        """Issue certificates for a service: for itself, or for any when the administrator asks."""
        ...


def methods(certificates: Certificates) -> tuple[Method, ...]:
    """Return the methods of the service."""

    async def issue_host(caller: Caller, request: pb.IssueHostRequest) -> pb.IssueHostReply:
        issued = await certificates.issue_host(
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

    return (Method(ISSUE_HOST, frozenset({ADMIN, AUTH, INSTANCE}), issue_host),)
