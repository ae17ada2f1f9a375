"""Status: facts about the cluster."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Protocol

from google.protobuf.empty_pb2 import Empty

from teleport.api.caller import EVERYONE, NOBODY, SERVICES, Caller
from teleport.api.messages import ClusterSettings, ClusterStatus
from teleport.api.pb import status_pb2 as pb
from teleport.api.rpc import Method, call

PING = call("Status", "Ping", Empty, pb.PingReply)
GET = call("Status", "Get", Empty, pb.ClusterStatus)
GET_SETTINGS = call("Status", "GetSettings", Empty, pb.ClusterSettings)


class Status(Protocol):
    """What the Auth Service says about the cluster. Methods raise `base.errors`."""

    async def ping(self) -> tuple[str, str]:
        """Return the name of the cluster and the version of this program."""
        ...

    async def status(self, caller: Caller) -> ClusterStatus:
        """Return names, pins and where each authority stands in its rotation."""
        ...

    async def settings(self) -> ClusterSettings:
        """Return what the configuration of the Auth Service decides for services elsewhere."""
        ...


def settings_of(reply: pb.ClusterSettings) -> ClusterSettings:
    """Read an answer."""
    return ClusterSettings(**{field.name: getattr(reply, field.name) for field in fields(ClusterSettings)})


def methods(status: Status) -> tuple[Method, ...]:
    """Return the methods of the service."""

    async def ping(caller: Caller, request: Empty) -> pb.PingReply:
        cluster, version = await status.ping()
        return pb.PingReply(cluster=cluster, version=version)

    async def get(caller: Caller, request: Empty) -> pb.ClusterStatus:
        found = await status.status(caller)
        authorities = [
            pb.AuthorityStatus(type=a.type, state=a.state, phase=a.phase, last_rotated=a.last_rotated)
            for a in found.authorities
        ]
        return pb.ClusterStatus(
            cluster=found.cluster, version=found.version, ca_pins=found.ca_pins, authorities=authorities
        )

    async def get_settings(caller: Caller, request: Empty) -> pb.ClusterSettings:
        return pb.ClusterSettings(**asdict(await status.settings()))

    return (
        Method(PING, EVERYONE | {NOBODY}, ping), Method(GET, EVERYONE, get),
        Method(GET_SETTINGS, SERVICES, get_settings),
    )  # fmt: skip
