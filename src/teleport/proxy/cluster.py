"""What the proxy knows of its cluster while it serves: a live copy of nodes, roles, locks and authorities."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from teleport.access.roleset import RoleSet
from teleport.api.client import AuthClient
from teleport.api.cluster_view import ClusterView
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy
from teleport.model.events.base import Event
from teleport.model.identity import Identity
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.model.kinds.cluster_networking_config import ClusterNetworkingConfig, ClusterNetworkingConfigSpec
from teleport.model.kinds.lock import Lock
from teleport.model.kinds.node import Node
from teleport.model.kinds.session_recording_config import SessionRecordingConfig
from teleport.model.kinds.session_termination import SessionTermination

KINDS = (
    "cert_authority",
    "role",
    "lock",
    "node",
    "session_recording_config",
    "cluster_networking_config",
    "session_termination",
)


class Cluster(Protocol):
    """The cluster, as the proxy sees it."""

    def authorities(self) -> Sequence[CertAuthority]:
        """Return the certificate authorities trusted at the moment."""
        ...

    def nodes(self) -> Sequence[Node]:
        """Return every node that is registered now."""
        ...

    async def role_set(self, identity: Identity) -> RoleSet:
        """Return the compiled roles that the identity names, as they are now."""
        ...

    def locks(self) -> tuple[Lock, ...]:
        """Return every lock that is known."""
        ...

    def locks_as_of(self) -> dt.datetime | None:
        """Return when the list of locks was last known to be complete; None: it is complete now."""
        ...

    async def record_denial(self, record: bytes, client: str) -> str:
        """Keep a refusal (`access.explain.to_record`) and return its id. Raises Unavailable."""
        ...

    async def emit(self, event: Event) -> None:
        """Write an audit event. Raises Unavailable."""
        ...


class LiveCluster:
    """A Cluster over the Auth Service's watch. A lost connection leaves the last known state in use."""

    def __init__(
        self, client: AuthClient, *, emit: Callable[[Event], Awaitable[None]], clock: Clock, entropy: Entropy
    ) -> None:
        """`emit` takes audit events; it returns when they are durable."""
        self._client = client
        self._emit = emit
        self._clock = clock
        self._view = ClusterView(client, KINDS, clock=clock, entropy=entropy)

    async def follow(self, ready: Callable[[], None]) -> None:
        """Keep the copy live until cancelled; `ready` is called when it is complete."""
        await self._view.run(ready)

    def authorities(self) -> Sequence[CertAuthority]:
        """See Cluster.authorities."""
        return self._view.all(CertAuthority)

    def nodes(self) -> Sequence[Node]:
        """See Cluster.nodes."""
        return self._view.all(Node)

    async def role_set(self, identity: Identity) -> RoleSet:
        """See Cluster.role_set. A role that is gone is left out, which the checker sees."""
        return await self._view.role_set(identity)

    def locks(self) -> tuple[Lock, ...]:
        """See Cluster.locks."""
        return tuple(self._view.all(Lock))

    def locks_as_of(self) -> dt.datetime | None:
        """See Cluster.locks_as_of."""
        age = self._view.age
        return self._clock.now() - dt.timedelta(seconds=age) if age else None

    def terminations(self) -> Sequence[SessionTermination]:
        """Return what was asked to end of all sessions."""
        return self._view.all(SessionTermination)

    async def changed(self, seen: int) -> int:
        """See ClusterView.changed."""
        return await self._view.changed(seen)

    def networking(self) -> ClusterNetworkingConfigSpec:
        """Return how long connections may be silent."""
        found = next(iter(self._view.all(ClusterNetworkingConfig)), None)
        return ClusterNetworkingConfigSpec() if found is None else found.spec

    def recording_config(self) -> SessionRecordingConfig | None:
        """Return how sessions are recorded; None while it is not known."""
        return next(iter(self._view.all(SessionRecordingConfig)), None)

    async def record_denial(self, record: bytes, client: str) -> str:
        """See Cluster.record_denial."""
        return await self._client.record_denial(record, client_address=client)

    async def emit(self, event: Event) -> None:
        """See Cluster.emit."""
        await self._emit(event)
