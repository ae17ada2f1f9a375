"""Join: the conversation in which a host or a bot without a certificate gets one.

Open to callers without a certificate; what bounds them stands here (size of a message, seconds of the whole) and in
`auth.join.bounds` (how often, how many at a time). A proxy serves the same methods by `relay`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

from teleport.api.caller import EVERYONE, NOBODY, Caller
from teleport.api.join_messages import Accepted, ClusterCA, Init, Joined, Start
from teleport.api.pb import join_pb2 as pb
from teleport.api.rpc import Channel, Method, call, talk_call
from teleport.api.services.login import authority_message
from teleport.api.times import time_of
from teleport.base import tasks
from teleport.base.errors import BadParameter, TimedOut

LARGEST = 64 * 1024
"""Bytes of one message of who joins."""
LONGEST = 60.0
"""Seconds of a whole conversation."""
JOIN = talk_call("Join", "Join", pb.JoinRequest, pb.JoinReply, largest=LARGEST)
GET_CA = call("Join", "GetClusterCACert", pb.GetClusterCACertRequest, pb.GetClusterCACertReply)

_ANYBODY = EVERYONE | {NOBODY}


class Talk(Protocol):
    """The conversation, as who decides holds it."""

    async def accept(self, accepted: Accepted) -> Start:
        """Say that the token is known; return what the other side sends then."""
        ...

    async def ask(self, challenge: bytes) -> bytes:
        """Put a challenge; return the solution."""
        ...


class Joining(Protocol):
    """Who takes in hosts and bots. Methods raise `base.errors`."""

    async def join(self, caller: Caller, init: Init, talk: Talk) -> Joined:
        """Examine who asks, and certify."""
        ...

    async def cluster_ca(self) -> ClusterCA:
        """Return the authority of the cluster's services."""
        ...


def methods(joining: Joining) -> tuple[Method, ...]:
    """Return the methods of the service."""

    async def join(caller: Caller, requests: AsyncIterator[pb.JoinRequest]) -> AsyncIterator[pb.JoinReply]:
        talk = _Talk(requests)
        work = tasks.spawn(talk.run(caller, joining), name="join", on_error=_told_to_the_peer)
        try:
            while (reply := await talk.replies.get()) is not None:
                yield reply
            await work
        finally:
            await tasks.cancel(work)

    async def get_ca(caller: Caller, request: pb.GetClusterCACertRequest) -> pb.GetClusterCACertReply:
        found = await joining.cluster_ca()
        return pb.GetClusterCACertReply(cluster=found.cluster, certificates=found.certificates)

    return (Method(JOIN, _ANYBODY, join), Method(GET_CA, _ANYBODY, get_ca))


def relay(channel: Channel, address: Callable[[Caller], str] = lambda caller: caller.address) -> tuple[Method, ...]:
    """Return the same methods for a proxy: it passes on what is said, with the address of who says it."""

    async def join(caller: Caller, requests: AsyncIterator[pb.JoinRequest]) -> AsyncIterator[pb.JoinReply]:
        request = await _next(requests)
        if not request.HasField("init"):
            raise BadParameter("API-JOIN-STEP", step=request.WhichOneof("step") or "nothing", wanted="init")
        request.init.forwarded.CopyFrom(pb.JoinForwarded(client_address=address(caller)))
        async with channel.talk(JOIN) as onward:
            while True:
                await onward.send(request)
                reply = await onward.receive()
                yield reply
                if reply.HasField("result"):
                    return
                request = await _next(requests)
                request.init.ClearField("forwarded") if request.HasField("init") else None

    async def get_ca(caller: Caller, request: pb.GetClusterCACertRequest) -> pb.GetClusterCACertReply:
        return await channel.unary(GET_CA, request)

    return (Method(JOIN, _ANYBODY, join), Method(GET_CA, _ANYBODY, get_ca))


class _Talk:
    def __init__(self, requests: AsyncIterator[pb.JoinRequest]) -> None:
        self._requests = requests
        self.replies: asyncio.Queue[pb.JoinReply | None] = asyncio.Queue()
        """Holds one at a time: each waits for what the other side answers. None: there will be no more."""

    async def run(self, caller: Caller, joining: Joining) -> None:
        try:
            async with asyncio.timeout(LONGEST):
                init = await self._step("init")
                joined = await joining.join(caller, _init(init.init), self)
            self.replies.put_nowait(pb.JoinReply(result=_result(joined)))
        except TimeoutError:
            raise TimedOut("API-DEADLINE", method=JOIN.path, seconds=int(LONGEST)) from None
        finally:
            self.replies.put_nowait(None)

    async def accept(self, accepted: Accepted) -> Start:
        told = pb.JoinAccepted(
            join_method=accepted.join_method, signature_algorithm_suite=accepted.suite, cluster=accepted.cluster
        )  # fmt: skip
        self.replies.put_nowait(pb.JoinReply(accepted=told))
        return _start((await self._step("start")).start)

    async def ask(self, challenge: bytes) -> bytes:
        self.replies.put_nowait(pb.JoinReply(challenge=challenge))
        return (await self._step("solution")).solution

    async def _step(self, wanted: str) -> pb.JoinRequest:
        """Return the next message. Raises BadParameter (API-JOIN-STEP) for any other than the wanted one."""
        request = await _next(self._requests)
        if request.WhichOneof("step") != wanted:
            raise BadParameter("API-JOIN-STEP", step=request.WhichOneof("step") or "nothing", wanted=wanted)
        return request


async def _next(requests: AsyncIterator[pb.JoinRequest]) -> pb.JoinRequest:
    try:
        return await anext(requests)
    except StopAsyncIteration:
        raise BadParameter("API-MESSAGE", problem="who asks ended the conversation") from None


def _init(said: pb.JoinInit) -> Init:
    return Init(
        token=said.token_name, join_method=said.join_method, system_role=said.system_role, host_name=said.host_name,
        client_version=said.client_version, services=tuple(said.services),
        forwarded=said.forwarded.client_address if said.HasField("forwarded") else None,
    )  # fmt: skip


def _start(said: pb.JoinStart) -> Start:
    return Start(
        ssh_public_key=said.ssh_public_key, tls_public_key=said.tls_public_key, proof=said.proof,
        additional_principals=tuple(said.additional_principals), dns_names=tuple(said.dns_names),
        expires=time_of(said.expires) if said.HasField("expires") else None,
    )  # fmt: skip


def _result(joined: Joined) -> pb.JoinResult:
    made = joined.certificates
    return pb.JoinResult(
        host_id=joined.host_id, cluster=joined.cluster, system_roles=joined.system_roles,
        ssh_certificate=made.ssh_certificate, tls_certificate=made.tls_certificate, expires=made.expires,
        authorities=[authority_message(entry) for entry in made.authorities], keepsake=joined.keepsake,
    )  # fmt: skip


def _told_to_the_peer(error: BaseException) -> None:
    """The one who waits for the work raises it."""


Ask = Callable[[bytes], Awaitable[bytes]]
"""Puts a challenge and returns the solution."""
