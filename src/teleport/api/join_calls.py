"""JoinCalls: the conversation of a join as who joins holds it, and what is asked before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from teleport.api.client import AuthClient
from teleport.api.join_messages import Accepted, Asked, ClusterCA, Joined
from teleport.api.messages import MadeCertificates
from teleport.api.pb import join_pb2 as pb
from teleport.api.rpc import Talk
from teleport.api.services import join
from teleport.api.services.login import authority_of
from teleport.api.times import time_of
from teleport.base.errors import BadParameter
from teleport.version import VERSION

Wire = Talk[pb.JoinRequest, pb.JoinReply]

PROXY_ALPN = "teleport-proxy-grpc"
"""Protocol name under which a proxy takes calls of who joins."""


class JoinCalls:
    """Calls over the connection of a client, which may have no certificate."""

    def __init__(self, client: AuthClient) -> None:
        self._channel = client.channel

    async def cluster_ca(self) -> ClusterCA:
        """Return the authority of the cluster's services, as the peer says."""
        reply = await self._channel.unary(join.GET_CA, pb.GetClusterCACertRequest())
        return ClusterCA(reply.cluster, tuple(reply.certificates))

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Conversation]:
        """Open a conversation. In the block is raised what the server raised."""
        async with self._channel.talk(join.JOIN) as wire:
            yield Conversation(wire)


class Conversation:
    """One join: `begin`, `start`, then `answer` as long as there is a challenge."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def begin(self, asked: Asked) -> Accepted:
        """Name the token. Raises what the server refuses it with."""
        init = pb.JoinInit(
            token_name=asked.token, join_method=asked.join_method, system_role=asked.system_role,
            host_name=asked.host_name, client_version=VERSION, services=asked.services,
        )  # fmt: skip
        await self._wire.send(pb.JoinRequest(init=init))
        reply = await self._wire.receive()
        said = reply.accepted
        if not reply.HasField("accepted"):
            raise _out_of_step(reply, "accepted")
        return Accepted(join_method=said.join_method, suite=said.signature_algorithm_suite, cluster=said.cluster)

    async def start(self, asked: Asked, proof: bytes) -> bytes | Joined:
        """Send keys and the first part of the proof; return a challenge, or the end."""
        start = pb.JoinStart(
            ssh_public_key=asked.ssh_public_key, tls_public_key=asked.tls_public_key, dns_names=asked.dns_names,
            additional_principals=asked.additional_principals, expires=asked.expires, proof=proof,
        )  # fmt: skip
        await self._wire.send(pb.JoinRequest(start=start))
        return await self._challenge_or_end()

    async def answer(self, solution: bytes) -> bytes | Joined:
        """Answer a challenge; return the next one, or the end."""
        await self._wire.send(pb.JoinRequest(solution=solution))
        return await self._challenge_or_end()

    async def _challenge_or_end(self) -> bytes | Joined:
        reply = await self._wire.receive()
        if reply.HasField("result"):
            return _joined(reply.result)
        if reply.HasField("challenge"):
            return reply.challenge
        raise _out_of_step(reply, "challenge")


def _joined(said: pb.JoinResult) -> Joined:
    made = MadeCertificates(
        ssh_certificate=said.ssh_certificate, tls_certificate=said.tls_certificate, expires=time_of(said.expires),
        authorities=tuple(authority_of(entry) for entry in said.authorities),
    )  # fmt: skip
    return Joined(
        host_id=said.host_id, cluster=said.cluster, system_roles=tuple(said.system_roles), certificates=made,
        keepsake=said.keepsake,
    )  # fmt: skip


def _out_of_step(reply: pb.JoinReply, wanted: str) -> BadParameter:
    return BadParameter("API-JOIN-STEP", step=reply.WhichOneof("step") or "nothing", wanted=wanted)
