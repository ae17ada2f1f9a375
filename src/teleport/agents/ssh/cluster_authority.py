"""The SSH Service's `Authority` over the auth service: a live view, and this node's own record.

The node announces itself by writing its `node` resource with an expiry; when it stops, the record ends
by itself.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from teleport.access import explain
from teleport.access.denial import Denial
from teleport.access.roleset import RoleSet
from teleport.agents.ssh.labels import CommandLabels
from teleport.api.client import AuthClient
from teleport.api.cluster_view import ClusterView
from teleport.base import tasks
from teleport.base.clock import Clock
from teleport.base.entropy import Entropy, fraction
from teleport.base.errors import NotFound, TeleportError
from teleport.base.log import logger
from teleport.base.retry import Backoff
from teleport.base.struct import Switch
from teleport.model.events.base import Event
from teleport.model.identity import Identity
from teleport.model.kinds.cert_authority import CertAuthority
from teleport.model.kinds.cluster_networking_config import ClusterNetworkingConfig, ClusterNetworkingConfigSpec
from teleport.model.kinds.lock import Lock
from teleport.model.kinds.node import Node, NodeSpec
from teleport.model.kinds.semaphore import CONNECTION, Lease, Semaphore, SemaphoreSpec
from teleport.model.kinds.session_recording_config import SessionRecordingConfig
from teleport.model.kinds.session_termination import SessionTermination
from teleport.model.kinds.session_tracker import SessionTracker
from teleport.model.resource import Metadata
from teleport.version import VERSION

log = logger("NODE")

KINDS = (
    "cert_authority",
    "role",
    "lock",
    "session_recording_config",
    "cluster_networking_config",
    "session_termination",
)
LIFE = dt.timedelta(minutes=10)
"""How long a node is listed after its last heartbeat."""
LEAVING = dt.timedelta(seconds=1)
"""The same for the last heartbeat of a node that stops: nothing can be stored that has ended already."""
AGAIN = 5.0
"""Seconds at most until a node whose tunnel is back, or whose heartbeat failed, is announced."""
HEARTBEAT = 60.0
"""Seconds between heartbeats; changed labels are announced at once."""


class ClusterAuthority:
    """Answers the SSH Service from a live copy of the cluster's resources."""

    def __init__(
        self,
        client: AuthClient,
        *,
        host_uuid: str,
        hostname: str,
        address: str,
        labels: Mapping[str, str],
        commands: CommandLabels,
        public_addresses: Sequence[str],
        emit: Callable[[Event], Awaitable[None]],
        clock: Clock,
        entropy: Entropy,
        in_tunnel: Callable[[], bool] | None = None,
        proxies: Callable[[], tuple[str, ...]] = tuple,
        on_duty: Callable[[], bool] = lambda: True,
    ) -> None:
        """`emit` takes audit events; it returns when they are durable. `in_tunnel` tells whether the node's tunnel to
        the proxy is there; None: the node is dialled and has none. `proxies` names those to which it has one, where
        that is told; `moved` says that these are others. `on_duty` tells whether this process announces the node:
        another one may have taken over."""
        self._client = client
        self._emit = emit
        self._clock = clock
        self._entropy = entropy
        self._view = ClusterView(client, KINDS, clock=clock, entropy=entropy)
        self._host_uuid = host_uuid
        self._labels = dict(labels)
        self._commands = commands
        self._node: Node | None = None
        self._in_tunnel = in_tunnel
        self._proxies = proxies
        self._moved = asyncio.Event()
        self._on_duty = on_duty
        self._silent = False
        """Whether the last heartbeat failed."""
        tunnelled = in_tunnel is not None
        self._life = 2 * dt.timedelta(seconds=HEARTBEAT) if tunnelled else LIFE
        self._spec = NodeSpec(
            hostname=hostname, addr=address, public_addrs=() if tunnelled else tuple(public_addresses),
            version=VERSION, use_tunnel=Switch(tunnelled),
        )  # fmt: skip

    def authorities(self) -> Sequence[CertAuthority]:
        """Return the authorities trusted at the moment."""
        return self._view.all(CertAuthority)

    async def role_set(self, identity: Identity) -> RoleSet:
        """See ClusterView.role_set."""
        return await self._view.role_set(identity)

    def locks(self) -> tuple[Lock, ...]:
        """Return every lock that is known."""
        return tuple(self._view.all(Lock))

    def networking(self) -> ClusterNetworkingConfigSpec:
        """Return how long connections may be silent."""
        found = next(iter(self._view.all(ClusterNetworkingConfig)), None)
        return ClusterNetworkingConfigSpec() if found is None else found.spec

    def recording_config(self) -> SessionRecordingConfig | None:
        """Return how sessions are recorded; None while it is not known."""
        return next(iter(self._view.all(SessionRecordingConfig)), None)

    def locks_as_of(self) -> dt.datetime | None:
        """Return when the copy was last known to be true; None while it is live."""
        age = self._view.age
        return self._clock.now() - dt.timedelta(seconds=age) if age else None

    async def changed(self, seen: int) -> int:
        """See ClusterView.changed."""
        return await self._view.changed(seen)

    def node(self) -> Node:
        """Return this node with its labels as they are now."""
        labels, proxies = self._commands.current(), self._proxies()
        if self._node is None or (self._node.spec.cmd_labels, self._node.spec.proxy_ids) != (labels, proxies):
            self._node = Node(
                version="v2",
                metadata=Metadata(name=self._host_uuid, labels=self._labels),
                spec=msgspec.structs.replace(self._spec, cmd_labels=labels, proxy_ids=proxies),
            )
        return self._node

    def moved(self) -> None:
        """Announce the node soon: it has tunnels to other proxies."""
        self._moved.set()

    async def record_denial(self, denial: Denial, identity: Identity, client: str) -> str:
        """Keep a refusal at the auth service and return its id."""
        return await self._client.record_denial(explain.to_record(denial), client_address=client)

    async def track(self, tracker: SessionTracker) -> None:
        """Write the tracker of a session."""
        await self._client.upsert(tracker)

    async def untrack(self, session_id: str) -> None:
        """Take the tracker of a session away; one that has gone by itself is fine."""
        try:
            await self._client.delete("session_tracker", session_id)
        except NotFound:
            pass

    async def hold_leases(self, user: str, leases: Sequence[str], most: int) -> None:
        """Write which places of a user's connections this node holds; the auth service decides."""
        await self._client.upsert(
            Semaphore(
                version="v3", sub_kind=CONNECTION, metadata=Metadata(name=user),
                spec=SemaphoreSpec(leases=tuple(Lease(lease_id=id) for id in leases), max_leases=most),
            )
        )  # fmt: skip

    def terminations(self) -> Sequence[SessionTermination]:
        """Return what was asked to end of this node's sessions: the auth service shows no others."""
        return self._view.all(SessionTermination)

    async def emit(self, event: Event) -> None:
        """Write an audit event; returns when it is durable."""
        await self._emit(event)

    async def follow(self, ready: Callable[[], None]) -> None:
        """Keep the view live until cancelled."""
        await self._view.run(ready)

    async def announce(self, ready: Callable[[], None]) -> None:
        """Write this node's record again and again until cancelled; then take it away."""
        backoff = Backoff(first=1.0, most=AGAIN)
        waits = backoff.waits(self._entropy)
        try:
            while True:
                if await self._write_record():
                    ready()
                    waits, pause = backoff.waits(self._entropy), HEARTBEAT * (1.0 - 0.1 * fraction(self._entropy))
                else:
                    pause = next(waits)
                await self._news(pause)
        finally:
            await self._withdraw()

    async def _news(self, within: float) -> None:
        """Return when the record would be another, or after `within` seconds."""
        waiting = [
            tasks.spawn(self._commands.changed(within=within), name="changed labels", on_error=_not_seen),
            tasks.spawn(self._moved.wait(), name="changed proxies", on_error=_not_seen),
        ]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                await tasks.cancel(task)
        self._moved.clear()

    async def _write_record(self, life: dt.timedelta | None = None) -> bool:
        """Announce the node; one whose tunnel is down is silent, until its record ends or the tunnel is back, and so
        is a process after which another has come."""
        if not self._on_duty() or (life is None and self._in_tunnel is not None and not self._in_tunnel()):
            return False
        try:
            expires = self._clock.now() + (life or self._life)
            await self._client.upsert(self.node().with_metadata(expires=expires))
            self._silent = False
            return True
        except TeleportError as error:
            tell = log.debug if self._silent else log.warn  # it is tried again every few seconds
            tell("Heartbeat failed", error=error)
            self._silent = True
            return False

    async def _withdraw(self) -> None:
        try:
            async with asyncio.timeout(2):
                await self._write_record(LEAVING)
        except TimeoutError:
            log.debug("The record of this node stays until it expires")


def _not_seen(error: BaseException) -> None:
    log.error("The node does not see that its record is another", error=error)
