"""BotCalls: what a bot asks of the Auth Service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from teleport.api.bot_messages import Output, Renewal, Standing
from teleport.api.client import AuthClient
from teleport.api.messages import MadeCertificates
from teleport.api.pb import bots_pb2 as pb
from teleport.api.services import bots
from teleport.api.services.login import authority_of
from teleport.api.times import time_of
from teleport.base.errors import AccessDenied
from teleport.model.kinds.bot_instance import Heartbeat, ServiceHealth


class BotCalls:
    """Calls over the connection of a client."""

    def __init__(self, client: AuthClient) -> None:
        self._channel = client.channel

    async def renew(self, renewal: Renewal) -> MadeCertificates:
        """Return the bot's own next certificates. Raises AccessDenied (AUTH-BOT-GENERATION, AUTH-BOT-*, POL-*)."""
        request = pb.RenewBotRequest(
            ssh_public_key=renewal.ssh_public_key, tls_public_key=renewal.tls_public_key, expires=renewal.expires,
            hostname=renewal.hostname, host_id=renewal.host_id, told=renewal.told,
        )  # fmt: skip
        try:
            return _made(await self._channel.unary(bots.RENEW, request))
        except AccessDenied as error:
            if error.code != "AUTH-BOT-LATE" or renewal.told:
                raise
            told = int(error.fields["stored"])
        return await self.renew(replace(renewal, told=told))  # it was no late request: somebody is here who asks

    async def issue(self, output: Output) -> MadeCertificates:
        """Return certificates with roles of the bot. Raises AccessDenied (POL-IMPERSONATION, AUTH-BOT-*), NotFound
        (POL-NOT-FOUND) for a database, application or Kubernetes cluster that these roles do not show."""
        route = output.database
        database = pb.DatabaseRoute(service=route.service, name=route.name, username=route.username) if route else None
        request = pb.IssueOutputRequest(
            ssh_public_key=output.ssh_public_key, tls_public_key=output.tls_public_key, roles=output.roles,
            expires=output.expires, allow_reissue=output.allow_reissue,
            database=database, app=output.app, kubernetes_cluster=output.kubernetes_cluster,
        )  # fmt: skip
        return _made(await self._channel.unary(bots.ISSUE_OUTPUT, request))

    async def beat(self, said: Heartbeat, health: Sequence[ServiceHealth] = ()) -> None:
        """Say how the bot and its services are. Raises NotFound (AUTH-BOT-NO-INSTANCE), BadParameter
        (AUTH-BOT-HEALTH)."""
        request = pb.BeatRequest(
            hostname=said.hostname, is_startup=said.is_startup, uptime=said.uptime, one_shot=said.one_shot,
            join_method=said.join_method, version=said.version, architecture=said.architecture, os=said.os,
            kind=said.kind, service_health=[_health(each) for each in health],
        )  # fmt: skip
        await self._channel.unary(bots.BEAT, request)

    async def standing(self) -> Standing:
        """Return what the caller's own instance was last given. Raises AccessDenied (POL-LOCKED), NotFound
        (AUTH-BOT-NO-INSTANCE)."""
        reply = await self._channel.unary(bots.STANDING, pb.StandingRequest())
        return Standing(
            generation=reply.generation, public_key=reply.public_key, address=reply.address, hostname=reply.hostname,
            authenticated_at=time_of(reply.authenticated_at) if reply.HasField("authenticated_at") else None,
        )  # fmt: skip


def _health(said: ServiceHealth) -> pb.ServiceHealth:
    return pb.ServiceHealth(name=said.name, status=said.status, reason=said.reason, updated_at=said.updated_at)


def _made(reply: pb.BotCertificates) -> MadeCertificates:
    return MadeCertificates(
        ssh_certificate=reply.ssh_certificate, tls_certificate=reply.tls_certificate, expires=time_of(reply.expires),
        authorities=tuple(authority_of(entry) for entry in reply.authorities),
    )  # fmt: skip
