"""Bots: renewals, certificates of outputs, and heartbeats. For callers with a bot's certificate alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Protocol

from teleport.api.bot_messages import DatabaseRoute, Output, Renewal, Standing
from teleport.api.caller import BOT, Caller
from teleport.api.messages import MadeCertificates
from teleport.api.pb import bots_pb2 as pb
from teleport.api.rpc import Method, call
from teleport.api.services.login import authority_message
from teleport.api.times import time_of
from teleport.model.kinds.bot_instance import Heartbeat, ServiceHealth

RENEW = call("Bots", "Renew", pb.RenewBotRequest, pb.BotCertificates)
ISSUE_OUTPUT = call("Bots", "IssueOutput", pb.IssueOutputRequest, pb.BotCertificates)
STANDING = call("Bots", "Standing", pb.StandingRequest, pb.StandingReply)
BEAT = call("Bots", "Beat", pb.BeatRequest, pb.BeatReply)

_BOTS = frozenset({BOT})


class Renewals(Protocol):
    """Who looks after the bots' own certificates. Methods raise `base.errors`."""

    async def renew(self, caller: Caller, request: Renewal) -> MadeCertificates:
        """Give the next generation of certificates, or the last one again."""
        ...

    async def beat(self, caller: Caller, said: Heartbeat, health: Sequence[ServiceHealth]) -> None:
        """Note what an instance says of itself and of its services."""
        ...

    async def standing(self, caller: Caller) -> Standing:
        """Return what the caller's instance was last given."""
        ...


class Outputs(Protocol):
    """Who makes certificates of outputs. Methods raise `base.errors`."""

    async def issue(self, caller: Caller, request: Output) -> MadeCertificates:
        """Issue certificates with roles of the bot."""
        ...


def methods(renewals: Renewals, outputs: Outputs) -> tuple[Method, ...]:
    """Return the methods of the service."""

    async def renew(caller: Caller, request: pb.RenewBotRequest) -> pb.BotCertificates:
        wanted = Renewal(
            ssh_public_key=request.ssh_public_key, tls_public_key=request.tls_public_key, expires=_expires(request),
            hostname=request.hostname, host_id=request.host_id, told=request.told,
        )  # fmt: skip
        return _message(await renewals.renew(caller, wanted))

    async def issue_output(caller: Caller, request: pb.IssueOutputRequest) -> pb.BotCertificates:
        wanted = Output(
            ssh_public_key=request.ssh_public_key, tls_public_key=request.tls_public_key, roles=tuple(request.roles),
            expires=_expires(request), allow_reissue=request.allow_reissue, database=_database(request),
            app=request.app, kubernetes_cluster=request.kubernetes_cluster,
        )  # fmt: skip
        return _message(await outputs.issue(caller, wanted))

    async def beat(caller: Caller, request: pb.BeatRequest) -> pb.BeatReply:
        said = Heartbeat(
            hostname=request.hostname, is_startup=request.is_startup, uptime=request.uptime, one_shot=request.one_shot,
            join_method=request.join_method, version=request.version, architecture=request.architecture, os=request.os,
            kind=request.kind,
        )  # fmt: skip
        await renewals.beat(caller, said, [_health(each) for each in request.service_health])
        return pb.BeatReply()

    async def standing(caller: Caller, request: pb.StandingRequest) -> pb.StandingReply:
        found = await renewals.standing(caller)
        return pb.StandingReply(
            generation=found.generation, public_key=found.public_key, authenticated_at=found.authenticated_at,
            address=found.address, hostname=found.hostname,
        )  # fmt: skip

    return (
        Method(RENEW, _BOTS, renew), Method(ISSUE_OUTPUT, _BOTS, issue_output), Method(BEAT, _BOTS, beat),
        Method(STANDING, _BOTS, standing),
    )  # fmt: skip


def _expires(request: pb.RenewBotRequest | pb.IssueOutputRequest) -> dt.datetime | None:
    return time_of(request.expires) if request.HasField("expires") else None


def _health(said: pb.ServiceHealth) -> ServiceHealth:
    updated = time_of(said.updated_at) if said.HasField("updated_at") else None
    return ServiceHealth(name=said.name, status=said.status, reason=said.reason, updated_at=updated)


def _database(request: pb.IssueOutputRequest) -> DatabaseRoute | None:
    if not request.HasField("database"):
        return None
    route = request.database
    return DatabaseRoute(service=route.service, name=route.name, username=route.username)


def _message(made: MadeCertificates) -> pb.BotCertificates:
    return pb.BotCertificates(
        ssh_certificate=made.ssh_certificate, tls_certificate=made.tls_certificate, expires=made.expires,
        authorities=[authority_message(authority) for authority in made.authorities],
    )  # fmt: skip
